//go:build darwin || freebsd || linux

package evio

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	engine "github.com/tidwall/evio"

	"github.com/sluicegate/sluice/internal/sampled"
	"github.com/sluicegate/sluice/internal/ulimit"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/internal/loop"
	"github.com/sluicegate/sluice/transport/websocket"
)

// server is a Transport that serves.
type server struct {
	opts  transport.Options
	loops []*eventLoop
	cap   int // a descriptor at or above it is one too many
	floor *floor
	inner inner

	serving  chan []net.Addr // what the engine listens on
	visitors chan *visitor
	hung     chan struct{} // closed when all loops have their bell
	hurry    chan struct{}

	stopping atomic.Bool // clients are turned away
	ending   atomic.Bool // the engine is told to return
	fault    atomic.Pointer[error]

	turnedAway sampled.Event // what clients can have logged
}

// The engine's listeners, as it counts them.
const (
	clientsIndex = iota
	bellsIndex
)

// perLoop is how many descriptors above the cap a loop may have for a moment:
// the engine accepts, opens and closes a connection in three rounds, each of
// which may accept another from either listener.
const perLoop = 8

// serve runs an engine until ctx ends and its connections are closed.
func serve(ctx context.Context, addr string, loops int, o transport.Options, h transport.Handler) error {
	if ctx.Err() != nil {
		return nil
	}
	if strings.ContainsAny(addr, "?/") {
		return fmt.Errorf("evio: %q is no address", addr) // the engine would read options from it
	}
	private, err := loopback()
	if err != nil {
		return fmt.Errorf("evio: %w", err)
	}
	s := &server{
		opts:     o,
		cap:      ulimit.Descriptors() - loops*perLoop,
		serving:  make(chan []net.Addr, 1),
		visitors: make(chan *visitor),
		hung:     make(chan struct{}),
		hurry:    make(chan struct{}, 1),
	}
	if s.floor, err = reserve(loops, s.cap); err != nil {
		return err
	}
	defer s.floor.release()
	for i := range loops {
		l := &eventLoop{s: s}
		l.core = loop.New(i, &s.opts, h, l, time.Now())
		s.loops = append(s.loops, l)
	}

	ended := make(chan struct{})
	var others sync.WaitGroup
	others.Go(func() { s.tick(ended) })
	self := goroutine()
	others.Go(func() { s.attend(ctx, self, ended) })
	err = engine.Serve(s.events(), "tcp://"+addr, "tcp://"+private)
	close(ended)
	others.Wait()
	for _, l := range s.loops {
		l.core.Stop()
		l.unhang()
	}
	switch fault := s.fault.Load(); {
	case fault != nil:
		return *fault
	case err != nil:
		return fmt.Errorf("evio: %w", err)
	case ctx.Err() == nil:
		return errors.New("evio: the engine has stopped by itself: it could not accept a connection, for which see the descriptor limit (ulimit -n), or not reach a loop")
	}
	return nil
}

// attend sees the engine from its beginning to its end. main is the goroutine
// that the engine was started on.
func (s *server) attend(ctx context.Context, main string, ended <-chan struct{}) {
	var addrs []net.Addr
	select {
	case addrs = <-s.serving:
	case <-ended:
		return
	}
	awaitParked(main, ended)
	if err := s.hangBells(addrs[bellsIndex], ended); err != nil {
		s.fail(err)
		s.end()
		return
	}
	if ctx.Err() == nil {
		s.opts.Ready(addrs[clientsIndex])
	}
	select {
	case <-ctx.Done():
		s.shutDown(ended)
	case <-ended:
	}
}

// shutDown has the loops close their connections, waits for the peers' answers
// as long as a close may take, and ends the engine. It gives up when ended is
// closed.
func (s *server) shutDown(ended <-chan struct{}) {
	s.stopping.Store(true)
	deadline := time.Now().Add(s.opts.CloseTimeout + 500*time.Millisecond)
	var done sync.WaitGroup
	for _, l := range s.loops {
		done.Go(func() { l.closeAll(deadline, ended) })
	}
	done.Wait()
	s.end()
}

// end has the engine return. One loop that ends is enough: the others follow.
func (s *server) end() {
	s.ending.Store(true)
	for _, l := range s.loops {
		l.ring()
	}
}

// fail notes the first thing that went wrong.
func (s *server) fail(err error) { s.fault.CompareAndSwap(nil, &err) }

// tick drives the loops' clocks. The engine's own ticker outlives the engine.
func (s *server) tick(ended <-chan struct{}) {
	const calm, busy = 125 * time.Millisecond, 10 * time.Millisecond
	timer := time.NewTimer(calm)
	defer timer.Stop()
	for {
		select {
		case <-ended:
			return
		case <-s.hurry:
		case <-timer.C:
		}
		next := calm
		for _, l := range s.loops {
			if l.core.Stalled() || l.isHolding.Load() {
				next = busy
			}
			l.requestTick()
		}
		timer.Reset(next)
	}
}

// turnAway notes a client for whom there is no descriptor. Whoever attacks must
// not fill the log as well.
func (s *server) turnAway() {
	if n, ok := s.turnedAway.Next(); ok {
		s.opts.Logger.Warn("client turned away", "reason", "the descriptor limit is near", "limit", s.cap, "suppressed", n)
	}
}

// goingAway is what clients are told when the gateway stops.
const (
	goingAwayCode   = websocket.CloseGoingAway
	goingAwayReason = "going away"
)

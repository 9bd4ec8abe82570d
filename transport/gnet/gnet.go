// Package gnet is the default transport: event loops on epoll or kqueue, by
// github.com/panjf2000/gnet. Connections cost no goroutine.
//
//	gateway.Config{Transports: []transport.Transport{gnet.Listen("127.0.0.1:6060")}}
//
// It does not speak TLS: put a proxy that does before it, or mount the gateway in
// an HTTP server with package nethttp.
//
// A loop that waits for its sockets keeps one of Go's processors (GOMAXPROCS) until
// the runtime takes it away, which can take milliseconds. A program whose business
// processes broadcast much does well to have one processor more than loops:
//
//	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1) // after Listen
//
// Where clients come and go, or are answered one by one, it costs more than it
// brings: docs/performance.md has figures.
//
// What the engine leaves open, this package closes. It never lets a slice of
// the engine's read buffer out of an event, keeps order in its own mailbox
// instead of the engine's task queue, bounds what the engine buffers for
// output, recovers from panics of handlers, and turns clients away before the
// process is out of descriptors, because the engine ends when accepting fails.
//
// gnet keeps one logger for the whole process, that of the engine which was
// started last.
package gnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	engine "github.com/panjf2000/gnet/v2"

	"github.com/sluicegate/sluice/internal/sampled"
	"github.com/sluicegate/sluice/internal/ulimit"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/internal/loop"
	"github.com/sluicegate/sluice/transport/websocket"
)

// A Transport listens on one TCP address, or on none. It is made by [Listen] or
// [WithoutListener] and belongs to one gateway. Its methods may be called on any
// goroutine, but Adopt not on a loop's.
type Transport struct {
	addr  string
	loops int
	deaf  bool // there is no listener

	opts    transport.Options
	handler transport.Handler
	cap     int // a descriptor at or above it is one too many

	mu     sync.Mutex
	byLoop map[engine.EventLoop]*eventLoop
	all    []*eventLoop
	booted bool
	eng    engine.Engine
	client *engine.Client // the engine, if there is no listener
	bound  net.Addr
	// localIP is the address that connections were adopted at, as they often
	// have it in common.
	localIP net.IP
	hurry   chan struct{}
	again   chan *eventLoop // loops whose work is not done

	adopting sync.WaitGroup
	over     chan struct{} // closed when the engine has ended; guarded by mu

	ending  sync.RWMutex
	tearing bool // the engine is being torn down: hand it nothing

	turnedAway, lost, panics sampled.Event // what clients can have logged
	beats                    atomic.Int64  // of the engine's ticker, if there is no listener

	served, stopping atomic.Bool
}

// An Option changes how a Transport works. It is for [Listen] and
// [WithoutListener].
type Option func(*Transport)

// Loops sets the number of event loops. The default, and what is not above 0, is
// one for each CPU that Go uses.
func Loops(n int) Option { return func(t *Transport) { t.loops = n } }

// Listen returns a transport that will listen on addr, for example
// "127.0.0.1:6060" or ":6060"; port 0 picks a free one, which the gateway's Addrs
// tell. Nothing happens before Serve, which fails if the address is taken.
func Listen(addr string, opts ...Option) *Transport {
	t := &Transport{
		addr:   addr,
		byLoop: make(map[engine.EventLoop]*eventLoop),
		hurry:  make(chan struct{}, 1),
	}
	for _, o := range opts {
		o(t)
	}
	if t.loops <= 0 {
		t.loops = runtime.GOMAXPROCS(0)
	}
	// A loop asks once until it is answered, so that none waits to ask.
	t.again = make(chan *eventLoop, t.loops)
	return t
}

// bindAttempts is how often a free port is looked for: between finding one and
// the engine's taking it, another program may.
const bindAttempts = 8

// Serve implements [transport.Transport]. It may be called once, which is what a
// gateway does. At the end it waits for the clients to answer their close frames,
// for half a second more than Options.CloseTimeout at most.
func (t *Transport) Serve(ctx context.Context, o transport.Options, h transport.Handler) error {
	if t.served.Swap(true) {
		return errors.New("gnet: Serve was called before; Listen anew")
	}
	t.opts, t.handler = o, h
	t.cap = ulimit.Descriptors()
	ticking, stopTicking := context.WithCancel(context.Background())
	var ticker sync.WaitGroup
	ticker.Go(func() { t.tick(ticking) })
	defer ticker.Wait()
	defer stopTicking()
	if t.deaf {
		return t.runDeaf(ctx)
	}

	for attempt := 1; ; attempt++ {
		addr, chosen, err := probe(ctx, t.addr)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		err = t.run(ctx, addr)
		if err != nil && chosen && attempt < bindAttempts && !t.isBooted() && strings.Contains(err.Error(), "in use") {
			continue
		}
		if err == nil && ctx.Err() == nil {
			err = errStoppedItself
		}
		return err
	}
}

var errStoppedItself = errors.New("gnet: the engine has stopped by itself; see the log, and the descriptor limit (ulimit -n)")

// run runs one engine until ctx ends and its connections are closed.
func (t *Transport) run(ctx context.Context, addr *net.TCPAddr) error {
	ended := t.begin()
	var stopper sync.WaitGroup
	stopper.Go(func() {
		select {
		case <-ctx.Done():
			t.shutDown(ended)
		case <-ended:
		}
	})
	defer stopper.Wait()
	defer close(ended)
	t.bound = addr
	err := engine.Run(&events{t: t}, "tcp://"+engineAddr(addr), append(t.engineOptions(engine.TCPNoDelay),
		// A listener for each loop: it accepts one connection at a time and
		// opens it at once, so that the descriptor cap is exact.
		engine.WithReusePort(true),
		engine.WithReuseAddr(true),
		engine.WithTicker(true))...,
	)
	for _, l := range t.eventLoops() {
		l.core.Stop()
	}
	if err != nil {
		return fmt.Errorf("gnet: %s: %w", addr, err)
	}
	return nil
}

func (t *Transport) engineOptions(delay engine.TCPSocketOpt) []engine.Option {
	return []engine.Option{
		engine.WithNumEventLoop(t.loops),
		engine.WithTCPNoDelay(delay),
		engine.WithLoadBalancing(engine.LeastConnections),
		engine.WithLogger(logger{log: t.opts.Logger, errors: new(sampled.Event)}),
	}
}

// begin returns a channel for the engine's end.
func (t *Transport) begin() chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = make(chan struct{})
	return t.over
}

// runDeaf runs an engine without a listener, which is what the engine calls a
// client.
func (t *Transport) runDeaf(ctx context.Context) error {
	defer close(t.begin())
	// Package net has set no delay on what is adopted. The engine loses a
	// descriptor when it cannot set it.
	client, err := engine.NewClient(&events{t: t}, append(t.engineOptions(engine.TCPDelay), engine.WithTicker(true))...)
	if err == nil {
		t.client = client
		err = client.Start()
	}
	if err != nil {
		return fmt.Errorf("gnet: %w", err)
	}
	t.boot()
	t.opts.Ready(noAddr{})
	itself := t.awaitEnd(ctx)
	// A loop that has stopped does not say that it has closed anything.
	late := make(chan struct{})
	defer time.AfterFunc(t.opts.CloseTimeout+time.Second, func() { close(late) }).Stop()
	t.closeClients(late)
	err = errors.Join(itself, client.Stop())
	for _, l := range t.eventLoops() {
		l.core.Stop()
	}
	if err != nil {
		return fmt.Errorf("gnet: %w", err)
	}
	return nil
}

// The engine's ticker beats so often while its loops run, and has stopped when it
// was not heard of for so long.
const (
	beatEvery = 500 * time.Millisecond
	beatLost  = 5 * time.Second
)

// awaitEnd waits until ctx ends, or an engine without a listener has stopped by
// itself, which nothing but the end of its ticker tells.
func (t *Transport) awaitEnd(ctx context.Context) error {
	look := time.NewTicker(beatEvery)
	defer look.Stop()
	for seen, since := t.beats.Load(), time.Now(); ; {
		select {
		case <-ctx.Done():
			return nil
		case now := <-look.C:
			if beats := t.beats.Load(); beats != seen {
				seen, since = beats, now
			} else if now.Sub(since) > beatLost {
				return errStoppedItself
			}
		}
	}
}

// noAddr is the address of a transport without a listener.
type noAddr struct{}

func (noAddr) Network() string { return "none" }
func (noAddr) String() string  { return "no address of its own" }

// shutDown closes the connections and stops the engine. It gives up when ended
// is closed.
func (t *Transport) shutDown(ended <-chan struct{}) {
	if !t.closeClients(ended) {
		return
	}
	// The context has ended already: this asks the engine to stop and does
	// not wait, as Run's return tells.
	stopped, cancel := context.WithCancel(context.Background())
	cancel()
	_ = t.eng.Stop(stopped)
}

// closeClients has the loops close their connections and waits for the peers'
// answers as long as a close may take, or until ended is closed. It does nothing
// and returns false if the engine has not booted.
func (t *Transport) closeClients(ended <-chan struct{}) bool {
	if !t.stop() {
		return false
	}
	// Those who are on their way to a loop must find it running.
	t.adopting.Wait()
	deadline := time.Now().Add(t.opts.CloseTimeout + 500*time.Millisecond)
	var done sync.WaitGroup
	for _, l := range t.eventLoops() {
		done.Go(func() { l.closeAll(deadline, ended) })
	}
	done.Wait()
	return true
}

// tick drives the loops' clocks.
func (t *Transport) tick(ctx context.Context) {
	const calm, busy = 125 * time.Millisecond, 10 * time.Millisecond
	timer := time.NewTimer(calm)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case l := <-t.again:
			l.Wake()
			continue
		case <-t.hurry:
		case <-timer.C:
		}
		next := calm
		for _, l := range t.eventLoops() {
			if l.core.Stalled() {
				next = busy
			}
			l.requestTick()
		}
		timer.Reset(next)
	}
}

// stop has later connections turned away. It reports whether the engine has
// booted; if not, it will find that it need not.
func (t *Transport) stop() (booted bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stopping.Store(true)
	return t.booted
}

// turnAway notes a client for whom there is no descriptor. Whoever attacks must
// not fill the log as well.
func (t *Transport) turnAway() {
	if n, ok := t.turnedAway.Next(); ok {
		t.opts.Logger.Warn("client turned away", "reason", "the descriptor limit is near", "limit", t.cap, "suppressed", n)
	}
}

// boot notes that the loops run, unless they need not. It reports whether they
// did not before.
func (t *Transport) boot() (fresh, stopping bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fresh = !t.booted
	t.booted = true
	return fresh, t.stopping.Load()
}

func (t *Transport) isBooted() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.booted
}

func (t *Transport) eventLoops() []*eventLoop {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.all
}

// loopOf returns our side of the engine's loop el, or nil when the transport
// takes no more connections.
func (t *Transport) loopOf(el engine.EventLoop) *eventLoop {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopping.Load() {
		// Asked with the lock held: a loop made later would not be closed.
		return nil
	}
	l, ok := t.byLoop[el]
	if !ok {
		l = &eventLoop{t: t, el: el}
		l.core = loop.New(len(t.all), &t.opts, t.handler, l, time.Now())
		t.byLoop[el] = l
		// A new slice: others read the old one without the lock.
		t.all = append(t.all[:len(t.all):len(t.all)], l)
	}
	return l
}

// engineAddr is addr in the engine's words. All addresses are those of both
// protocols, as in package net; the engine takes [::] for IPv6 alone.
func engineAddr(addr *net.TCPAddr) string {
	if addr.IP.IsUnspecified() && addr.IP.To4() == nil {
		return ":" + strconv.Itoa(addr.Port)
	}
	return addr.String()
}

// probe checks that addr is free and resolves port 0. The engine's listeners
// share their port by SO_REUSEPORT, and so would share it, in silence, with
// another program of the same user.
func probe(ctx context.Context, addr string) (a *net.TCPAddr, chosen bool, err error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, false, fmt.Errorf("gnet: %w", err)
	}
	a = ln.Addr().(*net.TCPAddr)
	if err := ln.Close(); err != nil {
		return nil, false, fmt.Errorf("gnet: %w", err)
	}
	_, port, _ := net.SplitHostPort(addr)
	n, _ := strconv.Atoi(port)
	return a, n == 0, nil
}

var _ transport.Transport = (*Transport)(nil)

// goingAway is what clients are told when the gateway stops.
const (
	goingAwayCode   = websocket.CloseGoingAway
	goingAwayReason = "going away"
)

// Package pipe is a transport in memory, for tests: clients connect with
// [Transport.Dial] and nothing touches the network.
//
//	memory := pipe.New()
//	gw, err := gateway.New(gateway.Config{Transports: []transport.Transport{memory}})
//	… // and once gw.Run has made it ready
//	conn, err := memory.Dial(ctx)
//
// Package gateway/gatewaytest has clients for it, and is what most tests want.
//
// It runs the same connection code as the transports with sockets. Its clock
// stands still unless a test moves it with Advance, so time-outs happen when a
// test wants them to and at no other time. Its buffers are as small as a test
// wants them, so a client that does not read is stalled after a known number
// of bytes.
package pipe

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/internal/loop"
)

// A Transport serves clients in memory. It is made by [New]. All its methods may
// be called on any goroutine, but those that wait for loops, which are Advance,
// Rest, Next and Freeze, not on a loop: an inline handler must not call them.
type Transport struct {
	loopCount, buffer, segment int

	mu     sync.Mutex
	loops  []*eventLoop // while serving
	dialed int
	now    time.Time
}

// An Option changes how a Transport works. It is for [New].
type Option func(*Transport)

// Loops sets the number of event loops. The default is 1, and the least. Clients
// are given to them in turn.
func Loops(n int) Option { return func(t *Transport) { t.loopCount = max(1, n) } }

// Buffer sets how many bytes each direction of a connection holds, as a
// socket's buffers do. The default is 64 KiB, the least 1.
func Buffer(n int) Option { return func(t *Transport) { t.buffer = max(1, n) } }

// Segment sets how many bytes the gateway reads at most at a time. The default
// is 64 KiB; 1, which is the least, delivers everything byte by byte.
func Segment(n int) Option { return func(t *Transport) { t.segment = max(1, n) } }

// New returns a transport. Nothing happens before Serve.
func New(opts ...Option) *Transport {
	t := &Transport{loopCount: 1, buffer: 64 << 10, segment: 64 << 10, now: time.Unix(0, 0)}
	for _, o := range opts {
		o(t)
	}
	return t
}

// ErrNotServing is returned by [Transport.Dial] before Serve and after it.
var ErrNotServing = errors.New("pipe: the transport is not serving")

// Serve implements [transport.Transport]. It may be called once. Its end closes
// connections at once, without waiting for the peers; what was sent to them can
// still be read.
func (t *Transport) Serve(ctx context.Context, o transport.Options, h transport.Handler) error {
	var running sync.WaitGroup
	t.mu.Lock()
	if t.loops != nil {
		t.mu.Unlock()
		return errors.New("pipe: Serve was called before")
	}
	loops := make([]*eventLoop, t.loopCount)
	for i := range loops {
		l := &eventLoop{segment: t.segment, buf: make([]byte, t.segment), began: t.now}
		l.wake.L, l.stills.L = &l.mu, &l.mu
		l.core = loop.New(i, &o, h, l, t.now)
		loops[i] = l
		running.Go(l.run)
	}
	t.loops = loops
	t.mu.Unlock()

	o.Ready(addr(0))
	<-ctx.Done()
	t.mu.Lock()
	t.loops = []*eventLoop{}
	t.mu.Unlock()
	for _, l := range loops {
		l.signal(func() { l.stopping = true })
	}
	running.Wait()
	return nil
}

// Dial connects a client and returns its end: the bytes that it writes are
// what a gateway would read from a socket, beginning with the handshake. Its
// deadlines are of the system's clock, not of the one that Advance moves. Dial
// does not wait; it returns the error of ctx if that has ended, or ErrNotServing.
func (t *Transport) Dial(ctx context.Context) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.loops) == 0 {
		return nil, ErrNotServing
	}
	t.dialed++
	l := t.loops[t.dialed%len(t.loops)]
	s := &socket{loop: l, in: newStream(t.buffer), out: newStream(t.buffer), peer: addr(t.dialed)}
	s.in.onPut = func() { l.enqueue(s) }
	s.out.onTake = func() { l.enqueue(s) }
	l.enqueue(s)
	return &client{s: s}, nil
}

// Advance moves the connections' clock on by d and returns when all loops have
// acted on it, save those that are frozen.
func (t *Transport) Advance(d time.Duration) {
	t.mu.Lock()
	t.now = t.now.Add(d)
	now, loops := t.now, t.loops
	t.mu.Unlock()
	var acted sync.WaitGroup
	for _, l := range loops {
		acted.Add(1)
		l.signal(func() {
			t := tick{now, &acted}
			if l.frozen {
				t.done()
				t.acted = nil
			}
			l.ticks = append(l.ticks, t)
		})
	}
	acted.Wait()
}

// addr is the address of the nth client, on a network of the transport's own.
func addr(n int) net.Addr {
	return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: n % (1 << 16)}
}

var _ transport.Transport = (*Transport)(nil)

// Package gatewaytest tests hosts: it runs a gateway in memory, with clients
// that connect, send and expect.
//
//	func TestEcho(t *testing.T) {
//		gw := gatewaytest.New(t, gateway.Config{Router: echo{}})
//		alice := gw.Connect("/ws?name=alice")
//		alice.Send("hello")
//		alice.Expect("hello")
//	}
//
// There is no port and no network; what a client sends takes the way that it
// takes in production, from the bytes of the handshake on. When the test ends
// the gateway is stopped, and the test fails if a goroutine that a handler has
// started is left.
//
// Time stands still until [Gateway.Advance] moves it on: a test of a heartbeat,
// a delayed kick or a limit takes as long as any other, and nothing times out
// because a machine is slow. [Gateway.Settle] waits until nothing is under way,
// so that a test can tell that something did not happen.
//
// All methods may be called on any goroutine, save those of one [Client], which
// serves one goroutine at a time; but those that fail the test must, as
// [testing.T.FailNow] says, be called on the test's own. None may be called in a
// handler, which the gateway would wait for.
package gatewaytest

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/internal/probe"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/pipe"
)

// patience bounds what is awaited: it is reached only if a promise is broken.
const patience = 20 * time.Second

// A Gateway is a gateway that runs for the length of a test. It is made by [New].
type Gateway struct {
	// Gateway is the gateway itself, for its hooks.Bus and its Stats. Run
	// has been called.
	*gateway.Gateway

	t        testing.TB
	dial     Dial
	clock    *Clock // nil if the Config names one that is not of this package
	pipes    []*pipe.Transport
	inMemory bool // there are no transports but pipes
	spy      *spy
	probe    probe.Probe
	label    string // what the gateway's goroutines are known by
	allowed  []string

	patience time.Duration // of settle
	stop     func() error
	asked    atomic.Bool // Stop was called
}

// Dial connects to a running gateway. It is called on the goroutines of those who
// connect; the connection is theirs.
type Dial func(ctx context.Context, gw *gateway.Gateway) (net.Conn, error)

// An Option changes how New runs a gateway.
type Option func(*options)

type options struct {
	dial    Dial
	pipe    []pipe.Option
	allowed []string
}

// WithDial has clients connect by dial. It is for a Config that names transports
// of its own; without them, or if the first is a [pipe.Transport], clients
// connect in memory.
func WithDial(dial Dial) Option { return func(o *options) { o.dial = dial } }

// WithPipe sets how connections in memory work. With [pipe.Buffer] a client that
// does not read stalls after that many bytes; [pipe.Segment] of 1 has the gateway
// read byte by byte; [pipe.Loops] has clients on different event loops.
func WithPipe(opts ...pipe.Option) Option {
	return func(o *options) { o.pipe = append(o.pipe, opts...) }
}

// New makes a gateway of cfg and runs it until the test ends or Stop is called.
// If cfg names no transport, it gets one in memory; if it names no DrainTime, the
// end closes all clients at once; if it names no clock, one that Advance moves; if it names no logger, what it logs from the level of
// warnings on goes to the test's log. The test fails if the gateway cannot be
// made, if its Run returns an error, or if something is left of it.
func New(t testing.TB, cfg gateway.Config, opts ...Option) *Gateway {
	t.Helper()
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	g := &Gateway{
		t: t, dial: o.dial, spy: newSpy(), label: t.Name() + " " + rand.Text(), allowed: o.allowed, patience: patience,
	}
	switch {
	case len(cfg.Transports) == 0:
		cfg.Transports = []transport.Transport{pipe.New(o.pipe...)}
	case len(o.pipe) > 0:
		t.Fatal("gatewaytest: WithPipe is for a Config without transports")
	}
	for i, tr := range cfg.Transports {
		p, ok := tr.(*pipe.Transport)
		if !ok {
			continue
		}
		if g.pipes = append(g.pipes, p); i == 0 && g.dial == nil {
			g.dial = func(ctx context.Context, _ *gateway.Gateway) (net.Conn, error) { return p.Dial(ctx) }
		}
	}
	g.inMemory = len(g.pipes) == len(cfg.Transports)
	if cfg.DrainTime == 0 {
		cfg.DrainTime = -1 // nobody else waits for the clients
	}
	if cfg.Clock == nil {
		cfg.Clock = NewClock()
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(testLog{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	cfg.Transports = g.spy.wrap(cfg.Transports)
	gw, err := gateway.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	g.Gateway = gw
	g.run()
	t.Cleanup(func() {
		if err := g.stop(); err != nil && !g.asked.Load() {
			t.Errorf("gatewaytest: Run: %v", err)
		}
		g.checkLeaks()
	})
	if c, ok := cfg.Clock.(*Clock); ok {
		g.clock = c
		c.attach(g)
		t.Cleanup(func() { c.detach(g) })
	}
	return g
}

func (g *Gateway) run() {
	g.t.Helper()
	ctx, cancel := context.WithCancel(probe.NewContext(context.Background(), &g.probe))
	ended := make(chan error, 1)
	go pprof.Do(ctx, pprof.Labels(labelKey, g.label), func(ctx context.Context) { ended <- g.Run(ctx) })
	select {
	case <-g.Ready():
	case err := <-ended:
		cancel()
		g.t.Fatalf("gatewaytest: Run: %v", err)
	case <-time.After(patience):
		cancel()
		g.t.Fatal("gatewaytest: the gateway did not become ready")
	}
	g.stop = sync.OnceValue(func() error {
		if g.spy.failed.Err() == nil { // or it ends by itself, and says why
			cancel()
		}
		defer cancel()
		select {
		case err := <-ended:
			return err
		case <-time.After(patience):
			return errors.New("it did not return")
		}
	})
}

// Stop stops the gateway, as the end of the test does, and returns what Run
// returned, which is then the caller's to judge. It may be called again.
func (g *Gateway) Stop() error {
	g.asked.Store(true)
	return g.stop()
}

// testLog writes to a test's log.
type testLog struct{ t testing.TB }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

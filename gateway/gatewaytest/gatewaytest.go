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
// the gateway is stopped.
//
// All methods may be called on any goroutine, save those of one [Client], which
// serves one goroutine at a time; but those that fail the test must, as
// [testing.T.FailNow] says, be called on the test's own.
package gatewaytest

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/pipe"
)

// patience bounds what is awaited: it is reached only if a promise is broken.
const patience = 20 * time.Second

// A Gateway is a gateway that runs for the length of a test.
type Gateway struct {
	*gateway.Gateway

	t    testing.TB
	dial Dial
	spy  *spy
	stop func() error
}

// Dial connects to a running gateway.
type Dial func(ctx context.Context, gw *gateway.Gateway) (net.Conn, error)

// An Option changes how New runs a gateway.
type Option func(*options)

type options struct {
	dial Dial
}

// WithDial has clients connect by dial. It is for a Config that names transports
// of its own; without them, clients connect in memory.
func WithDial(dial Dial) Option { return func(o *options) { o.dial = dial } }

// New makes a gateway of cfg and runs it until the test ends or Stop is called.
// If cfg names no transport, it gets one in memory; if it names no logger, what
// it logs from the level of warnings on goes to the test's log. The test fails
// if the gateway cannot be made or its Run returns an error.
func New(t testing.TB, cfg gateway.Config, opts ...Option) *Gateway {
	t.Helper()
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	if len(cfg.Transports) == 0 {
		p := pipe.New()
		cfg.Transports = []transport.Transport{p}
		o.dial = func(ctx context.Context, _ *gateway.Gateway) (net.Conn, error) { return p.Dial(ctx) }
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(testLog{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	g := &Gateway{t: t, dial: o.dial, spy: newSpy()}
	cfg.Transports = g.spy.wrap(cfg.Transports)
	gw, err := gateway.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	g.Gateway = gw
	g.run()
	t.Cleanup(func() {
		if err := g.Stop(); err != nil {
			t.Errorf("gatewaytest: Run: %v", err)
		}
	})
	return g
}

func (g *Gateway) run() {
	g.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
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
		cancel()
		select {
		case err := <-ended:
			return err
		case <-time.After(patience):
			return errors.New("it did not return")
		}
	})
}

// Stop stops the gateway, as the end of the test does, and returns what Run
// returned. It may be called again.
func (g *Gateway) Stop() error { return g.stop() }

// testLog writes to a test's log.
type testLog struct{ t testing.TB }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

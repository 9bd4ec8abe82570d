package gateway_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/await"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/pipe"
)

// logbook is a log that a test reads.
type logbook struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logbook) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// await waits until the log has a line with all of texts.
func (l *logbook) await(t testing.TB, texts ...string) {
	t.Helper()
	await.Until(t, func() string {
	lines:
		for line := range strings.Lines(l.String()) {
			for _, text := range texts {
				if !strings.Contains(line, text) {
					continue lines
				}
			}
			return ""
		}
		return "no line of the log has " + strings.Join(texts, ", ")
	})
}

// awaitStuck waits until so many calls are known not to have returned.
func (g *host) awaitStuck(n int64) {
	g.t.Helper()
	await.Until(g.t, func() string {
		if got := g.Stats().Stuck; got != n {
			return "not so many are stuck"
		}
		return ""
	})
}

// obstinate is a host whose calls block when they are asked to.
type obstinate struct {
	hooks.Router
	release chan struct{}
}

func (o *obstinate) blockHereForTheTest() { <-o.release }

func (o *obstinate) Message(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
	if string(e.Data) == "block" {
		o.blockHereForTheTest()
	}
	_ = bus.SingleCast(ctx, e.UniqID, e.Data)
}

func (o *obstinate) Authenticate(ctx context.Context, r *http.Request) (hooks.Identity, error) {
	if r.URL.RawQuery == "block" {
		o.blockHereForTheTest()
	}
	return hooks.Identity{}, nil
}

// A handler that does not return is reported, with its client and its stack; the
// other clients are served.
func TestStuckHandler(t *testing.T) {
	var l logbook
	o := &obstinate{Router: greeter(), release: make(chan struct{})}
	g := onGnet().start(t, gateway.Config{StuckAfter: 100 * time.Millisecond, Router: o, Logger: l.logger()})
	stuck, other := g.join(), g.join()
	stuck.send("block")
	l.await(t, "handler late", "uniqId="+stuck.id, "blockHereForTheTest")
	g.awaitStuck(1)
	other.send("served")
	other.expect("served")
	close(o.release)
	stuck.expect("block")
	g.awaitStuck(0)
}

// So is an Authenticator. Its client has long been answered.
func TestStuckAuthenticator(t *testing.T) {
	var l logbook
	o := &obstinate{Router: greeter(), release: make(chan struct{})}
	g := onGnet().start(t, gateway.Config{
		StuckAfter: 200 * time.Millisecond, HandshakeTimeout: 100 * time.Millisecond, Router: o, Logger: l.logger(),
	})
	if _, resp, err := g.dialWith("/ws?block", nil); err == nil || resp == nil || resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("%v, %v, want 503", resp, err)
	}
	l.await(t, "handler late", "Authenticate", "blockHereForTheTest")
	g.awaitStuck(1)
	close(o.release)
	g.awaitStuck(0)
}

// A Router that blocks an event loop, though it has promised not to, is reported.
func TestStuckLoop(t *testing.T) {
	onEach(t, func(t *testing.T, h harness) {
		var l logbook
		o := &obstinate{Router: greeter(), release: make(chan struct{})}
		g := h.start(t, gateway.Config{StuckAfter: 100 * time.Millisecond, Router: o, Inline: true, Logger: l.logger()})
		c := g.join()
		c.send("block")
		l.await(t, "loop held up", "blockHereForTheTest")
		g.awaitStuck(1)
		close(o.release)
		c.expect("block")
		g.awaitStuck(0)
	})
}

// grenade is hooks that panic when they are told to.
type grenade struct{ hooks.Limiter }

func (grenade) Open(netip.Addr) error               { return nil }
func (grenade) Message(string, int) error           { return nil }
func (grenade) Close(string, netip.Addr)            {}
func (grenade) SetLimits(hooks.Limits) hooks.Limits { panic("limits") }
func (grenade) FailedSends() int64                  { panic("failed sends") }
func (grenade) Handled(hooks.EventKind, time.Duration) {
	panic("handled")
}
func (grenade) WantsGaps(r *http.Request) bool {
	if r.URL.RawQuery == "boom" {
		panic("gaps")
	}
	return true
}
func (grenade) Gap(string, int64) []byte { panic("gap") }

// What panics beside the calls that have a test of their own costs its caller an
// error, or its client its connection, and nobody else anything.
func TestPanicsStayWhereTheyAre(t *testing.T) {
	onEach(t, func(t *testing.T, h harness) {
		var l logbook
		g := h.start(t, gateway.Config{
			Router: greeter(), Hooks: []any{grenade{}}, Limiter: grenade{}, Logger: l.logger(), Slow: transport.SlowDropOldest,
			WriteLimit: 64 << 10,
		})
		other := g.join()
		if _, err := g.Limit(t.Context(), hooks.Limits{OnOpen: 1}); err == nil || !strings.Contains(err.Error(), "limiter panicked") {
			t.Errorf("Limit: %v", err)
		}
		if _, err := g.Metrics(t.Context()); err != nil {
			t.Errorf("Metrics: %v", err)
		}
		l.await(t, "handler panicked", "what=forwarder", "stack=")
		l.await(t, "handler panicked", "what=\"handler observer\"", "stack=")
		if _, resp, err := g.dialWith("/ws?boom", nil); err == nil || resp != nil && resp.StatusCode != http.StatusInternalServerError {
			t.Errorf("a panic in WantsGaps: %v, %v", resp, err)
		}
		slow := g.join()
		for i := 0; g.Stats().Drops[hooks.DropSlow].Messages == 0 && i < 1000; i++ {
			must(t, g.SingleCast(t.Context(), slow.id, make([]byte, 32<<10)))
		}
		for {
			if _, _, err := slow.ReadMessage(); err != nil {
				break // it has come to the gap
			}
		}
		g.awaitClients(1)
		must(t, g.SingleCast(t.Context(), other.id, []byte("served")))
		other.expect("served")
	})
}

// A Runner that panics ends the gateway as one does that fails.
func TestRunnerPanics(t *testing.T) {
	var l logbook
	gw, err := gateway.New(gateway.Config{
		Transports: []transport.Transport{pipe.New()}, Logger: l.logger(),
		Hooks: []any{runFunc(func() error { panic("runner") })},
	})
	must(t, err)
	if err := gw.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "runner panicked") || errors.Is(err, context.Canceled) {
		t.Errorf("Run: %v", err)
	}
	l.await(t, "handler panicked", "what=runner", "stack=")
}

package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/await"
	"github.com/sluicegate/sluice/registry"
)

// noter notes who leaves.
type noter struct {
	mu     sync.Mutex
	closed []hooks.CloseEvent
}

func (n *noter) Closed(e hooks.CloseEvent) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = append(n.closed, e)
}

func (n *noter) left() []hooks.CloseEvent {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.closed)
}

// porter admits clients by their query, and notes who leaves. A client with
// the query "wait" waits for release.
type porter struct {
	noter
	release chan struct{}
}

func newPorter() *porter { return &porter{release: make(chan struct{})} }

func (p *porter) Admit(ctx context.Context, e hooks.OpenEvent) (hooks.Admission, error) {
	switch e.RawQuery {
	case "no":
		return hooks.Admission{Data: msg("not you")}, &hooks.Disconnect{Code: 1008, Reason: "unauthorized"}
	case "broken":
		return hooks.Admission{}, errors.New("a secret of the host's")
	case "panic":
		panic("porter")
	case "wait":
		select {
		case <-p.release:
		case <-ctx.Done():
		}
		if err := ctx.Err(); err != nil { // whichever was seen first
			return hooks.Admission{}, err
		}
	case "stubborn":
		<-p.release
	}
	return hooks.Admission{
		Identity: hooks.Identity{CustomerID: "customer", Session: "session", Topics: []string{"news"}},
		Data:     msg("welcome"),
	}, nil
}

// onBoth runs f with the Router called on workers and on the loops.
func onBoth(t *testing.T, f func(t *testing.T, h harness, inline bool)) {
	onEach(t, func(t *testing.T, h harness) {
		t.Run("workers", func(t *testing.T) { f(t, h, false) })
		t.Run("inline", func(t *testing.T) { f(t, h, true) })
	})
}

func TestAdmitter(t *testing.T) {
	onBoth(t, func(t *testing.T, h harness, inline bool) {
		p := newPorter()
		r := greeter()
		r.OnMessage = func(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
			_ = bus.SingleCast(ctx, e.UniqID, []byte(e.CustomerID+" said "+string(e.Data)))
		}
		g := h.start(t, gateway.Config{Router: r, Hooks: []any{p}, Inline: inline})

		no := g.connect("no")
		if before := no.expectClose(1008, "unauthorized"); !slices.Equal(before, []string{"not you"}) {
			t.Errorf("before the close came %q", before)
		}
		g.connect("broken").expectClose(1011, "internal error")
		g.connect("panic").expectClose(1011, "internal error")
		if s := g.Stats(); s.Opened != 0 || s.Clients != 0 {
			t.Errorf("refused clients were listed: %+v", s)
		}

		yes := g.connect("yes")
		yes.expect("welcome")
		yes.id = yes.read()
		must(t, g.Publish(t.Context(), []string{"news"}, msg("1")))
		must(t, g.SingleCastByCustomerID(t.Context(), "customer", msg("2")))
		yes.expect("1", "2")
		must(t, yes.Close())
		await.Until(t, func() string {
			if len(p.left()) != 1 {
				return "the porter was not told that a client left"
			}
			return ""
		})
		if e := p.left()[0]; e.UniqID != yes.id || e.CustomerID != "customer" || e.Session != "session" || !slices.Equal(e.Topics, []string{"news"}) {
			t.Errorf("close event %+v", e)
		}
	})
}

// What a client sends before it is admitted waits, in order.
func TestMessagesWaitForAdmission(t *testing.T) {
	onBoth(t, func(t *testing.T, h harness, inline bool) {
		p := newPorter()
		r := greeter()
		r.OnMessage = func(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
			_ = bus.SingleCast(ctx, e.UniqID, e.Data)
		}
		g := h.start(t, gateway.Config{Router: r, Hooks: []any{p}, Inline: inline})
		c := g.connect("wait")
		c.send("1")
		c.send("2")
		await.Until(t, func() string {
			if g.Stats().MessagesIn != 2 {
				return "the messages have not arrived"
			}
			return ""
		})
		if s := g.Stats(); s.Clients != 0 || s.Events != 0 {
			t.Errorf("the client was listed before it was admitted: %+v", s)
		}
		close(p.release)
		c.expect("welcome")
		c.id = c.read()
		c.expect("1", "2")
	})
}

// Too much of it closes the client.
func TestAdmissionIsBounded(t *testing.T) {
	onEach(t, func(t *testing.T, h harness) {
		p := newPorter()
		g := h.start(t, gateway.Config{Hooks: []any{p}, InboxLimit: 200})
		c := g.connect("wait")
		c.send(string(make([]byte, 150)))
		c.send(string(make([]byte, 150)))
		c.expectClose(1013, "inbox full")
		await.Until(t, func() string {
			if d := g.Stats().Drops; d[hooks.DropBacklog].Messages != 1 || d[hooks.DropClosed].Messages != 1 {
				return "not both messages are counted as dropped"
			}
			return ""
		})
	})
}

// A client that leaves before it is admitted is never listed; whoever admits
// it all the same is told that it left.
func TestClientLeavesBeforeAdmission(t *testing.T) {
	onEach(t, func(t *testing.T, h harness) {
		p := newPorter()
		g := h.start(t, gateway.Config{Hooks: []any{p}})
		polite, stubborn := g.connect("wait"), g.connect("stubborn")
		polite.send("1")
		stubborn.send("2")
		await.Until(t, func() string {
			if g.Stats().MessagesIn != 2 {
				return "the messages have not arrived"
			}
			return ""
		})
		must(t, polite.Close())
		must(t, stubborn.Close())
		await.Until(t, func() string {
			if g.Stats().Drops[hooks.DropClosed].Messages != 2 {
				return "the messages are not counted as dropped"
			}
			return ""
		})
		close(p.release)
		await.Until(t, func() string {
			if len(p.left()) != 1 {
				return "the porter was not told that the client left"
			}
			return ""
		})
		must(t, g.stop())
		if e := p.left(); len(e) != 1 || e[0].CustomerID != "customer" || g.Stats().Opened != 0 {
			t.Errorf("closed %+v, stats %+v", e, g.Stats())
		}
	})
}

// A gateway that stops does not wait for Admitters that heed their context.
func TestStopDuringAdmission(t *testing.T) {
	onEach(t, func(t *testing.T, h harness) {
		p := newPorter()
		g := h.start(t, gateway.Config{Hooks: []any{p}})
		c := g.connect("wait")
		c.send("1")
		await.Until(t, func() string {
			if g.Stats().MessagesIn != 1 {
				return "the message has not arrived"
			}
			return ""
		})
		must(t, g.stop())
	})
}

// clerk is an Admitter that does as it is told, and notes who leaves.
type clerk struct {
	noter
	admit func(ctx context.Context, e hooks.OpenEvent) error
}

func (c *clerk) Admit(ctx context.Context, e hooks.OpenEvent) (hooks.Admission, error) {
	return hooks.Admission{Identity: hooks.Identity{Session: "clerk"}}, c.admit(ctx, e)
}

// awaitLeft waits until n clients have left, and returns the last one's event.
func (n *noter) awaitLeft(t *testing.T, want int) hooks.CloseEvent {
	t.Helper()
	await.Until(t, func() string {
		if got := len(n.left()); got != want {
			return fmt.Sprintf("an observer heard of %d clients that left, want %d", got, want)
		}
		return ""
	})
	return n.left()[want-1]
}

// A client that one Admitter admits and a later one does not is closed, and
// those who admitted it hear of that; so do observers that are no Admitters.
func TestLaterAdmitterRefuses(t *testing.T) {
	onEach(t, func(t *testing.T, h harness) {
		first, never, watcher := newPorter(), new(clerk), new(noter)
		never.admit = func(context.Context, hooks.OpenEvent) error {
			t.Error("asked after a refusal")
			return nil
		}
		var asked string
		for i, refuse := range []func() error{
			func() error { return &hooks.Disconnect{Code: 4000, Reason: "full"} },
			func() error { return errors.New("a secret of the host's") },
			func() error { panic("clerk") },
		} {
			second := &clerk{admit: func(_ context.Context, e hooks.OpenEvent) error {
				asked = e.UniqID
				return refuse()
			}}
			g := h.start(t, gateway.Config{Hooks: []any{watcher, first, second, never}})
			code, reason := 1011, "internal error"
			if i == 0 {
				code, reason = 4000, "full"
			}
			if before := g.connect("yes").expectClose(code, reason); !slices.Equal(before, []string{"welcome"}) {
				t.Errorf("before the close came %q", before)
			}
			for _, n := range []*noter{&first.noter, watcher} {
				if e := n.awaitLeft(t, i+1); e.UniqID != asked || e.CustomerID != "customer" || e.Session != "session" {
					t.Errorf("close event %+v of %s", e, asked)
				}
			}
			// Nobody has admitted this one.
			g.connect("no").expectClose(1008, "unauthorized")
			must(t, g.stop())
			if s := g.Stats(); s.Opened != 0 || s.Closed != 0 {
				t.Errorf("a client that was refused was listed: %+v", s)
			}
			if n, m, k := len(first.left()), len(watcher.left()), len(second.left())+len(never.left()); n != i+1 || m != i+1 || k != 0 {
				t.Errorf("the first Admitter heard of %d clients, an observer of %d, the others of %d; want %d, %d, none", n, m, k, i+1, i+1)
			}
		}
	})
}

// So it is if the client leaves meanwhile, and if nobody refuses it each hears
// of it once.
func TestEachObserverHearsOnce(t *testing.T) {
	onEach(t, func(t *testing.T, h harness) {
		first, watcher, began := newPorter(), new(noter), make(chan struct{}, 1)
		second := &clerk{admit: func(ctx context.Context, e hooks.OpenEvent) error {
			if e.RawQuery == "slow" {
				began <- struct{}{}
				<-ctx.Done()
			}
			return ctx.Err()
		}}
		g := h.start(t, gateway.Config{Router: greeter(), Hooks: []any{first, second, watcher}})
		slow := g.connect("slow")
		<-began
		must(t, slow.Close())
		first.awaitLeft(t, 1)
		watcher.awaitLeft(t, 1)
		yes := g.connect("yes")
		yes.expect("welcome")
		yes.id = yes.read()
		must(t, yes.Close())
		for _, e := range []hooks.CloseEvent{first.awaitLeft(t, 2), watcher.awaitLeft(t, 2), second.awaitLeft(t, 1)} {
			if e.UniqID != yes.id || e.Session != "clerk" {
				t.Errorf("close event %+v of %s", e, yes.id)
			}
		}
		must(t, g.stop())
		first.awaitLeft(t, 2)
		watcher.awaitLeft(t, 2)
		second.awaitLeft(t, 1)
	})
}

// fullRegistry lists nobody.
type fullRegistry struct{ registry.Registry }

func (fullRegistry) Add(*registry.Client, registry.Entry) error { return errors.New("no room") }

// gatekeeper is a Limiter that refuses nobody and notes who has gone.
type gatekeeper struct{ noter }

func (*gatekeeper) Open(netip.Addr) error               { return nil }
func (*gatekeeper) Message(string, int) error           { return nil }
func (k *gatekeeper) Close(uniqID string, _ netip.Addr) { k.Closed(hooks.CloseEvent{UniqID: uniqID}) }

// A client that cannot be listed is closed; everybody hears of that by its id.
func TestClientCannotBeListed(t *testing.T) {
	onBoth(t, func(t *testing.T, h harness, inline bool) {
		for _, admitted := range []bool{false, true} {
			limiter, watcher, p := new(gatekeeper), new(noter), newPorter()
			cfg := gateway.Config{
				Registry: fullRegistry{registry.NewMemory()}, Limiter: limiter, Hooks: []any{watcher}, Inline: inline,
				Router: hooks.RouterFuncs{
					OnOpen:  func(context.Context, hooks.Bus, hooks.OpenEvent) { t.Error("the Router was told of an open") },
					OnClose: func(context.Context, hooks.Bus, hooks.CloseEvent) { t.Error("the Router was told of a close") },
				},
			}
			if admitted {
				cfg.Hooks = append(cfg.Hooks, p)
			}
			g := h.start(t, cfg)
			c := g.connect("wait")
			if admitted {
				c.send("1")
				await.Until(t, func() string {
					if g.Stats().MessagesIn != 1 {
						return "the message has not arrived"
					}
					return ""
				})
				close(p.release)
			}
			c.expectClose(1011, "internal error")
			e := watcher.awaitLeft(t, 1)
			if e.UniqID == "" || limiter.awaitLeft(t, 1).UniqID != e.UniqID {
				t.Errorf("%q has left, the Limiter was told of %q", e.UniqID, limiter.left()[0].UniqID)
			}
			if admitted {
				if mine := p.awaitLeft(t, 1); mine.UniqID != e.UniqID || mine.CustomerID != "customer" {
					t.Errorf("close event %+v", mine)
				}
			}
			must(t, g.stop())
			watcher.awaitLeft(t, 1)
			s := g.Stats()
			if want := int64(len(p.left())); s.Opened != 0 || s.Closed != 0 || s.Drops[hooks.DropClosed].Messages != want {
				t.Errorf("%+v, want %d messages dropped", s, want)
			}
		}
	})
}

// bomb is a CloseObserver that panics.
type bomb struct{}

func (bomb) Closed(hooks.CloseEvent) { panic("observer") }

// An observer that panics keeps nothing from the others.
func TestPanickingObserver(t *testing.T) {
	onEach(t, func(t *testing.T, h harness) {
		watcher := new(noter)
		g := h.start(t, gateway.Config{Router: greeter(), Hooks: []any{bomb{}, watcher}})
		must(t, g.join().Close())
		watcher.awaitLeft(t, 1)
	})
}

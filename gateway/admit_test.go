package gateway_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
)

// porter admits clients by their query, and notes who leaves. A client with
// the query "wait" waits for release.
type porter struct {
	release chan struct{}
	mu      sync.Mutex
	closed  []hooks.CloseEvent
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
			return hooks.Admission{}, ctx.Err()
		}
	case "stubborn":
		<-p.release
	}
	return hooks.Admission{
		Identity: hooks.Identity{CustomerID: "customer", Session: "session", Topics: []string{"news"}},
		Data:     msg("welcome"),
	}, nil
}

func (p *porter) Closed(e hooks.CloseEvent) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = append(p.closed, e)
}

func (p *porter) left() []hooks.CloseEvent {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.closed)
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
		eventually(t, func() string {
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
		eventually(t, func() string {
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
		c.expectClose(1008, "inbox full")
		eventually(t, func() string {
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
		eventually(t, func() string {
			if g.Stats().MessagesIn != 2 {
				return "the messages have not arrived"
			}
			return ""
		})
		must(t, polite.Close())
		must(t, stubborn.Close())
		eventually(t, func() string {
			if g.Stats().Drops[hooks.DropClosed].Messages != 2 {
				return "the messages are not counted as dropped"
			}
			return ""
		})
		close(p.release)
		eventually(t, func() string {
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
		eventually(t, func() string {
			if g.Stats().MessagesIn != 1 {
				return "the message has not arrived"
			}
			return ""
		})
		must(t, g.stop())
	})
}

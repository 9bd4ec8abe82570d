package gateway_test

import (
	"context"
	"testing"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/gateway/gatewaytest"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/await"
	"github.com/sluicegate/sluice/protocol"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/pipe"
)

// switchboard is a Router that is every kind of hook that the gateway finds by
// itself.
type switchboard struct {
	hooks.RouterFuncs
	ran chan struct{}
}

func (s *switchboard) Node() protocol.Node { return protocol.Node{1, 2, 3, 4, 5, 6} }
func (s *switchboard) FailedSends() int64  { return 7 }
func (s *switchboard) Run(ctx context.Context, _ hooks.Bus) error {
	close(s.ran)
	<-ctx.Done()
	return nil
}

// A Router that is a hook is found once, whether or not it is listed.
func TestRouterIsAHook(t *testing.T) {
	for name, listed := range map[string]bool{"alone": false, "listed": true} {
		t.Run(name, func(t *testing.T) {
			s := &switchboard{ran: make(chan struct{})}
			cfg := gateway.Config{Router: s}
			if listed {
				cfg.Hooks = []any{s}
			}
			gw := gatewaytest.New(t, cfg)
			<-s.ran
			if id := gw.Connect("/").ID(); id[:12] != "010203040506" {
				t.Errorf("uniqId %s does not begin with the Router's node", id)
			}
			if n := gw.Stats().FailedSends; n != 7 {
				t.Errorf("%d failed sends, want the Router's 7", n)
			}
		})
	}
}

// limits is a Limiter with limits to set, which lets through clients' messages
// by their length.
type limits struct {
	bouncer
	now hooks.Limits
}

func (l *limits) SetLimits(n hooks.Limits) hooks.Limits {
	if n.OnOpen > 0 {
		l.now.OnOpen = n.OnOpen
	}
	if n.OnMessage > 0 {
		l.now.OnMessage = n.OnMessage
	}
	return l.now
}

func (l *limits) Message(_ string, size int) error {
	switch size {
	case 2:
		return hooks.ErrClientLimited
	case 3:
		return hooks.ErrLimited
	}
	return nil
}

func TestMetricsAndLimit(t *testing.T) {
	onEach(t, func(t *testing.T, h harness) {
		ctx := t.Context()
		l := &limits{bouncer: bouncer{limit: 1}, now: hooks.Limits{OnOpen: 5}}
		g := h.start(t, gateway.Config{Router: greeter(), Limiter: l})
		c := g.join()
		_, _, err := g.dialWith("/", nil)
		if err == nil {
			t.Fatal("a second client was let in")
		}
		c.send("~6YOt5rW35piO~")
		c.send("22")
		c.send("333")
		c.send("4444")
		must(t, c.Close())
		g.awaitClients(0)
		await.Until(t, func() string {
			if g.Stats().Events != 3 {
				return "the events have not been forwarded"
			}
			return ""
		})
		m, err := g.Metrics(ctx)
		must(t, err)
		for item, want := range map[hooks.MetricItem]int64{
			hooks.MetricOpened: 1, hooks.MetricClosed: 1, hooks.MetricHeartbeats: 1, hooks.MetricEvents: 3,
			hooks.MetricEventBytes: 4, hooks.MetricWrites: 1, hooks.MetricWriteBytes: 30, hooks.MetricOpensLimited: 1,
			hooks.MetricMessagesLimited: 1, hooks.MetricFailedSends: 0, hooks.MetricFailedWrites: 0,
			hooks.MetricFailedWriteBytes: 0, hooks.MetricClientLimited: 1,
		} {
			if got := m[item]; got.Count != want || (want > 0) != (got.MeanRate > 0) {
				t.Errorf("item %d is %+v, want %d", item, got, want)
			}
		}
		if len(m) != hooks.MetricItems {
			t.Errorf("%d items, want all", len(m))
		}
		for _, step := range []struct{ set, want hooks.Limits }{
			{hooks.Limits{}, hooks.Limits{OnOpen: 5}},
			{hooks.Limits{OnOpen: -1, OnMessage: 9}, hooks.Limits{OnOpen: 5, OnMessage: 9}},
		} {
			if got, err := g.Limit(ctx, step.set); err != nil || got != step.want {
				t.Errorf("Limit(%+v) = %+v, %v", step.set, got, err)
			}
		}
	})
}

func TestMetricsKept(t *testing.T) {
	p := pipe.New()
	for name, items := range map[string][]hooks.MetricItem{"none": {}, "two": {1, 13}} {
		g, err := gateway.New(gateway.Config{Transports: []transport.Transport{p}, Metrics: items})
		must(t, err)
		m, err := g.Metrics(t.Context())
		must(t, err)
		if len(m) != len(items) {
			t.Errorf("%s: %d items", name, len(m))
		}
		for _, i := range items {
			if _, ok := m[i]; !ok {
				t.Errorf("%s: item %d is missing", name, i)
			}
		}
		if got, err := g.Limit(t.Context(), hooks.Limits{OnOpen: 3}); err != nil || got != (hooks.Limits{}) {
			t.Errorf("without a Limiter Limit says %+v, %v", got, err)
		}
	}
	if _, err := gateway.New(gateway.Config{Transports: []transport.Transport{p}, Metrics: []hooks.MetricItem{14}}); err == nil {
		t.Error("item 14 was accepted")
	}
}

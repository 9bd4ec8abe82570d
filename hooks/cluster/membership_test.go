package cluster_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/hooks/cluster"
	"github.com/sluicegate/sluice/internal/await"
	"github.com/sluicegate/sluice/internal/certs"
	"github.com/sluicegate/sluice/protocol"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/pipe"
)

// awaitChange waits until a node was told of another's change.
func (n *node) awaitChange(t testing.TB, of protocol.Node, want cluster.MemberChange) {
	t.Helper()
	await.Until(t, func() string {
		for _, e := range n.changes() {
			if e.Node == of && e.Change == want {
				return ""
			}
		}
		return "nobody said that " + of.String() + " " + string(want)
	})
}

// Nodes come, take their leave, and are missed; a hook and the counts tell of it.
func TestMembership(t *testing.T) {
	e := startEngine(t)
	a := join(t, quick(e))
	b := join(t, quick(e))
	way := layCable(t, strings.TrimPrefix(e.url(), "nats://"))
	cfg := quick(e)
	cfg.Servers = way.url()
	c := join(t, cfg)
	for _, one := range []*node{a, b, c} {
		one.awaitNodes(t, 3)
	}
	a.awaitChange(t, b.id, cluster.MemberJoined)
	a.awaitChange(t, c.id, cluster.MemberJoined)
	must(t, b.Stop())
	a.awaitChange(t, b.id, cluster.MemberLeft)
	c.awaitChange(t, b.id, cluster.MemberLeft)
	way.cut()
	a.awaitChange(t, c.id, cluster.MemberLost)
	if st := a.Stats().Cluster; st.Nodes != 1 || st.Joined != 2 || st.Left != 1 || st.Lost != 1 || !st.Connected {
		t.Errorf("a counts %+v", st)
	}
	// A node that is cut off does not take the others for lost, and is back when
	// its cable is mended.
	if st := c.Stats().Cluster; st.Nodes != 2 || st.Connected {
		t.Errorf("c counts %+v", st)
	}
	way.mend()
	a.awaitNodes(t, 2)
	await.Until(t, func() string {
		if st := c.Stats().Cluster; !st.Connected || st.Reconnects != 1 {
			return "c is not back"
		}
		return ""
	})
}

// Whom a node could not hear as it was cut off itself is not lost when it is back, but
// has as long to be heard as before.
func TestGrace(t *testing.T) {
	e := startEngine(t)
	cable := func() (*cable, cluster.Config) {
		way := layCable(t, strings.TrimPrefix(e.url(), "nats://"))
		cfg := quick(e)
		cfg.Servers, cfg.MissedHeartbeats = way.url(), 10
		return way, cfg
	}
	wayA, cfgA := cable()
	wayB, cfgB := cable()
	a, b := join(t, cfgA), join(t, cfgB)
	a.awaitNodes(t, 2)
	b.awaitNodes(t, 2)
	wayB.cut()
	wayA.hold() // so that nothing of a is heard when b is back
	await.Until(t, func() string {
		if b.Stats().Cluster.Connected {
			return "b has not noticed"
		}
		return ""
	})
	<-time.After(time.Duration(cfgA.MissedHeartbeats+2) * cfgA.Heartbeat)
	wayB.mend()
	var sent int64
	await.Until(t, func() string {
		st := b.Stats().Cluster
		if sent = st.Sent; !st.Connected {
			return "b is not back"
		}
		return ""
	})
	await.Until(t, func() string {
		if b.Stats().Cluster.Sent < sent+3 {
			return "b does not say that it is there"
		}
		return ""
	})
	if all := b.changes(); len(all) != 1 || all[0].Change != cluster.MemberJoined {
		t.Errorf("b was told %+v", all)
	}
	b.awaitChange(t, a.id, cluster.MemberLost) // in time
	wayA.release()
	b.awaitNodes(t, 2)
}

// Two gateways with one node: the second is refused, and the first goes on.
func TestNodeTaken(t *testing.T) {
	e := startEngine(t)
	same := func(g *gateway.Config) { g.Node = protocol.Node{10, 0, 0, 1, 0x17, 0xad} }
	a := join(t, quick(e), same)
	joined, err := cluster.New(quick(e))
	must(t, err)
	cfg := gateway.Config{Transports: []transport.Transport{pipe.New()}, Cluster: joined}
	same(&cfg)
	gw, err := gateway.New(cfg)
	must(t, err)
	if err := gw.Run(t.Context()); !errors.Is(err, cluster.ErrNodeTaken) || gw.Status() != gateway.StatusStopped {
		t.Fatalf("Run returned %v, and the gateway is %v", err, gw.Status())
	}
	client := a.Connect("/ws")
	client.Expect(client.ID())
	b := join(t, quick(e))
	b.awaitNodes(t, 2)
	must(t, b.SingleCast(t.Context(), client.ID(), []byte("still here")))
	client.Expect("still here")
}

// Of two that come at the same time, one goes on.
func TestNodeTakenAtOnce(t *testing.T) {
	e := startEngine(t)
	cfg := quick(e)
	cfg.JoinWait = 500 * time.Millisecond
	ended := make(chan error, 2)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var ready []<-chan struct{}
	for range 2 {
		joined, err := cluster.New(cfg)
		must(t, err)
		gw, err := gateway.New(gateway.Config{Transports: []transport.Transport{pipe.New()}, Cluster: joined, Node: protocol.Node{1}})
		must(t, err)
		ready = append(ready, gw.Ready())
		go func() { ended <- gw.Run(ctx) }()
	}
	select {
	case err := <-ended:
		if !errors.Is(err, cluster.ErrNodeTaken) {
			t.Errorf("the first to end returned %v", err)
		}
	case <-time.After(wait):
		t.Fatal("both go on")
	}
	select {
	case <-ready[0]:
	case <-ready[1]:
	case <-time.After(wait):
		t.Fatal("none goes on")
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("the other one returned %v", err)
	}
}

// Without NATS a gateway does not start, and says why, unless it is told to try
// again: then it serves its own clients, and joins when there is one.
func TestAwayAtStart(t *testing.T) {
	e := startEngine(t)
	e.stop()
	joined, err := cluster.New(quick(e))
	must(t, err)
	gw, err := gateway.New(gateway.Config{Transports: []transport.Transport{pipe.New()}, Cluster: joined})
	must(t, err)
	if err := gw.Run(t.Context()); err == nil || !strings.Contains(err.Error(), e.url()) || !strings.Contains(err.Error(), "Config.Retry") {
		t.Errorf("Run returned %v", err)
	}

	cfg := quick(e)
	cfg.Retry = true
	a, b := join(t, cfg), join(t, cfg)
	ca, cb := a.Connect("/ws"), b.Connect("/ws")
	ca.Expect(ca.ID())
	cb.Expect(cb.ID())
	must(t, a.Subscribe(t.Context(), ca.ID(), []string{"news"}, nil))
	if err := a.Publish(t.Context(), []string{"news"}, []byte("alone")); !errors.Is(err, cluster.ErrAway) {
		t.Errorf("Publish without NATS returned %v", err)
	}
	ca.Expect("alone")
	// Whom it does not know may be there.
	far := []string{cb.ID()}
	for what, err := range map[string]error{
		"SingleCast":   a.SingleCast(t.Context(), cb.ID(), []byte("far")),
		"ForceOffline": a.ForceOffline(t.Context(), far, nil),
		"Subscribe":    a.Subscribe(t.Context(), cb.ID(), []string{"news"}, nil),
	} {
		if !errors.Is(err, cluster.ErrAway) {
			t.Errorf("%s without NATS returned %v", what, err)
		}
	}
	if st := a.Stats().Cluster; st.Unsent != 4 || st.Connected {
		t.Errorf("a counts %+v", st)
	}
	ids, err := a.UniqIDs(t.Context())
	var silent *cluster.SilentError
	if !slices.Equal(ids, []string{ca.ID()}) || !errors.Is(err, cluster.ErrAway) || !errors.As(err, &silent) || len(silent.Nodes) > 0 {
		t.Errorf("there are %v, %v", ids, err)
	}
	if on, err := a.CheckOnline(t.Context(), []string{ca.ID(), cb.ID()}); !slices.Equal(on, []string{ca.ID()}) || !errors.Is(err, cluster.ErrAway) {
		t.Errorf("online are %v, %v", on, err)
	}
	if on, err := a.CheckOnline(t.Context(), []string{ca.ID()}); !slices.Equal(on, []string{ca.ID()}) || err != nil {
		t.Errorf("of its own, online are %v, %v", on, err)
	}
	e.start()
	a.awaitNodes(t, 2)
	b.awaitNodes(t, 2)
	must(t, b.Publish(t.Context(), []string{"news"}, []byte("together")))
	ca.Expect("together")
	await.Until(t, func() string {
		if gaps := a.missed(); len(gaps) != 1 || gaps[0] != (cluster.Gap{From: a.id, Messages: 4}) {
			return "a was not told what it had not sent"
		}
		return ""
	})
}

// The options of nats.go are what a node authenticates with: who has the password and
// the authority is let in, who has not is told why.
func TestAuthentication(t *testing.T) {
	ca := certs.New(t)
	e := startEngine(t, func(o *server.Options) {
		o.Username, o.Password = "sluice", "secret"
		o.TLSConfig = &tls.Config{Certificates: []tls.Certificate{ca.Certificate()}, ClientCAs: ca.Pool, ClientAuth: tls.RequireAndVerifyClientCert}
		o.TLSTimeout = wait.Seconds()
	})
	secure := nats.Secure(&tls.Config{RootCAs: ca.Pool, Certificates: []tls.Certificate{ca.Certificate()}})
	for _, tc := range []struct {
		name, want string
		options    []nats.Option
	}{
		{"no certificate", "tls", []nats.Option{nats.UserInfo("sluice", "secret"), nats.Secure(&tls.Config{RootCAs: ca.Pool})}},
		{"no password", "Authorization", []nats.Option{secure}},
		{"another authority", "tls", []nats.Option{nats.UserInfo("sluice", "secret"), nats.Secure(&tls.Config{RootCAs: certs.New(t).Pool})}},
	} {
		cfg := quick(e)
		cfg.Options = tc.options
		joined, err := cluster.New(cfg)
		must(t, err)
		gw, err := gateway.New(gateway.Config{Transports: []transport.Transport{pipe.New()}, Cluster: joined})
		must(t, err)
		if err := gw.Run(t.Context()); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: Run returned %v", tc.name, err)
		}
	}
	cfg := quick(e)
	cfg.Options = []nats.Option{nats.UserInfo("sluice", "secret"), secure}
	all := joinAll(t, 2, cfg)
	client := all[0].Connect("/ws")
	client.Expect(client.ID())
	must(t, all[1].SingleCast(t.Context(), client.ID(), []byte("hello")))
	client.Expect("hello")
}

// Clusters of different names share a NATS and nothing else, whatever their topics are.
func TestClustersApart(t *testing.T) {
	e := startEngine(t)
	one, other := quick(e), quick(e)
	one.Name, other.Name = "one", "other"
	a, b, c := join(t, one), join(t, one), join(t, other)
	a.awaitNodes(t, 2)
	b.awaitNodes(t, 2)
	topic := []string{"sluice.other.all", "x.>", "*", "a b\x00\n"}
	cb, cc := b.Connect("/ws"), c.Connect("/ws")
	cb.Expect(cb.ID())
	cc.Expect(cc.ID())
	must(t, b.Subscribe(t.Context(), cb.ID(), topic, nil))
	must(t, c.Subscribe(t.Context(), cc.ID(), topic, nil))
	for _, name := range topic {
		must(t, a.Publish(t.Context(), []string{name}, []byte(name)))
	}
	must(t, a.Broadcast(t.Context(), []byte("the end")))
	cb.Expect(append(slices.Clone(topic), "the end")...)
	must(t, c.SingleCast(t.Context(), cc.ID(), []byte("nothing before")))
	cc.Expect("nothing before")
	if st := c.Stats().Cluster; st.Nodes != 1 || st.Received != 0 {
		t.Errorf("the other cluster counts %+v", st)
	}
}

// A node that does not answer is named, and the others' answers are there.
func TestSilentNode(t *testing.T) {
	e := startEngine(t)
	way := layCable(t, strings.TrimPrefix(e.url(), "nats://"))
	slow := quick(e)
	slow.Servers = way.url()
	cfg := quick(e)
	cfg.QueryTimeout = 200 * time.Millisecond
	cfg.MissedHeartbeats = 1000
	slow.MissedHeartbeats = 1000
	a, b, c := join(t, cfg), join(t, cfg), join(t, slow)
	a.awaitNodes(t, 3)
	for _, n := range []*node{a, b, c} {
		client := n.Connect("/ws")
		client.Expect(client.ID())
	}
	if n, err := a.UniqIDCount(t.Context()); n != 3 || err != nil {
		t.Errorf("%d clients, %v", n, err)
	}
	way.hold()
	n, err := a.UniqIDCount(t.Context())
	silent, ok := errors.AsType[*cluster.SilentError](err)
	if !ok || n != 2 || !slices.Equal(silent.Nodes, []protocol.Node{c.id}) || !strings.Contains(err.Error(), c.id.String()) {
		t.Errorf("%d clients, %v", n, err)
	}
	if n := a.Stats().Cluster.Silent; n != 1 {
		t.Errorf("silence was counted %d times", n)
	}
	way.release()
	await.Until(t, func() string {
		if n, err := a.UniqIDCount(t.Context()); n != 3 || err != nil {
			return "the slow node does not answer again"
		}
		return ""
	})
	// On an event loop, nobody can be waited for.
	n, err = a.UniqIDCount(hooks.WithoutWaiting(t.Context()))
	if !errors.Is(err, cluster.ErrNoWaiting) || n != 1 {
		t.Errorf("on a loop: %d clients, %v", n, err)
	}
}

// A limit that is set on one node holds on all, and on those that come later.
func TestLimitEverywhere(t *testing.T) {
	e := startEngine(t)
	limiter := func(g *gateway.Config) { g.Limiter = newLimits() }
	a, b := join(t, quick(e), limiter), join(t, quick(e), limiter)
	a.awaitNodes(t, 2)
	b.awaitNodes(t, 2)
	now, err := a.Limit(t.Context(), hooks.Limits{OnOpen: 7})
	if err != nil || now != (hooks.Limits{OnOpen: 7, OnMessage: 2000}) {
		t.Errorf("a: %+v, %v", now, err)
	}
	now, err = b.Local().Limit(t.Context(), hooks.Limits{})
	if err != nil || now != (hooks.Limits{OnOpen: 7, OnMessage: 2000}) {
		t.Errorf("b: %+v, %v", now, err)
	}
	_, err = b.Limit(t.Context(), hooks.Limits{OnMessage: 9})
	must(t, err)
	c := join(t, quick(e), limiter)
	await.Until(t, func() string {
		if now, err := c.Local().Limit(t.Context(), hooks.Limits{}); err != nil || now != (hooks.Limits{OnOpen: 7, OnMessage: 9}) {
			return "the limits do not hold on a node that came later"
		}
		return ""
	})
}

// A node subscribes to a topic while it has a subscriber: a publish does not travel
// where nobody listens.
func TestInterest(t *testing.T) {
	e := startEngine(t)
	cfg := quick(e)
	cfg.Linger = 50 * time.Millisecond
	a, b := join(t, cfg), join(t, cfg)
	a.awaitNodes(t, 2)
	subscribed := func(want int) {
		t.Helper()
		await.Until(t, func() string {
			if n := b.Stats().Cluster.Topics; n != want {
				return "b wants other topics"
			}
			return ""
		})
	}
	begin := e.NumSubscriptions()
	topics := []string{"one", "two", strings.Repeat("long ", 100)}
	client := b.Connect("/ws")
	client.Expect(client.ID())
	must(t, b.Subscribe(t.Context(), client.ID(), topics, nil))
	subscribed(3)
	if n := e.NumSubscriptions() - begin; n != 3 {
		t.Errorf("NATS has %d more subscriptions, want 3", n)
	}
	for _, name := range topics {
		must(t, a.Publish(t.Context(), []string{name}, []byte(name)))
		client.Expect(name)
	}
	must(t, b.Unsubscribe(t.Context(), client.ID(), topics[:1], nil))
	subscribed(2)
	must(t, a.DeleteTopics(t.Context(), topics[1:2], nil))
	subscribed(1)
	client.Close()
	subscribed(0)
	await.Until(t, func() string {
		if n := e.NumSubscriptions() - begin; n != 0 {
			return "NATS still has subscriptions"
		}
		return ""
	})
}

// A client that hooks have subscribed to a topic from its beginning gets what is
// published elsewhere as soon as it is there.
func TestInterestOfIdentity(t *testing.T) {
	e := startEngine(t)
	a := join(t, quick(e))
	b := join(t, quick(e), func(g *gateway.Config) { g.Hooks = []any{topicsOf{}} })
	a.awaitNodes(t, 2)
	for _, name := range []string{"one", "two", "three"} {
		c := b.Connect("/ws?topic=" + name)
		c.Expect(c.ID())
		must(t, a.Publish(t.Context(), []string{name}, []byte(name)))
		c.Expect(name)
	}
}

// topicsOf subscribes a client to what it asks for.
type topicsOf struct{}

func (topicsOf) Authenticate(_ context.Context, r *http.Request) (hooks.Identity, error) {
	return hooks.Identity{Topics: r.URL.Query()["topic"]}, nil
}

// limiter keeps its limits and holds nobody up.
type limiter struct {
	mu  sync.Mutex
	now hooks.Limits
}

func newLimits() *limiter { return &limiter{now: hooks.Limits{OnOpen: 1000, OnMessage: 2000}} }

func (*limiter) Open(netip.Addr) error     { return nil }
func (*limiter) Message(string, int) error { return nil }
func (*limiter) Close(string, netip.Addr)  {}
func (l *limiter) SetLimits(v hooks.Limits) hooks.Limits {
	l.mu.Lock()
	defer l.mu.Unlock()
	if v.OnOpen > 0 {
		l.now.OnOpen = v.OnOpen
	}
	if v.OnMessage > 0 {
		l.now.OnMessage = v.OnMessage
	}
	return l.now
}

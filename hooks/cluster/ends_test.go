package cluster_test

import (
	"errors"
	"testing"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/await"
)

// Of several servers, one that can be reached is enough, at the start and later.
func TestServers(t *testing.T) {
	e, other := startEngine(t), startEngine(t)
	cfg := quick(e)
	cfg.Servers = "nats://127.0.0.1:1, " + e.url() + "," + other.url() + ","
	n := join(t, cfg)
	if n.Stats().Cluster.Reconnects != 0 {
		t.Error("it has lost what it has just found")
	}
	for _, one := range []*engine{e, other} {
		one.stop()
		await.Until(t, func() string {
			if st := n.Stats().Cluster; !st.Connected {
				return "the cluster is not reached"
			}
			return ""
		})
		one.start()
	}
}

// A topic without a name is nobody's, and no subject of NATS.
func TestNamelessTopic(t *testing.T) {
	e := startEngine(t)
	n := joinAll(t, 2, quick(e))[0]
	c := n.Connect("/ws")
	c.Expect(c.ID())
	before := n.Stats().Cluster
	must(t, n.Publish(t.Context(), []string{"", "t"}, []byte("x")))
	must(t, n.PublishLatest(t.Context(), []string{""}, "key", []byte("x")))
	must(t, n.PublishBulk(t.Context(), []string{"", "t"}, [][]byte{[]byte("x"), []byte("y")}))
	must(t, n.Local().Subscribe(t.Context(), c.ID(), []string{""}, nil))
	await.Until(t, func() string {
		if sent := n.Stats().Cluster.Sent - before.Sent; sent < 2 {
			return "what has a name was not sent"
		}
		return ""
	})
	if st := n.Stats().Cluster; st.Unsent != 0 || st.Topics != 0 {
		t.Errorf("%+v", st)
	}
}

// Who still has the Bus of a gateway that has stopped is told so, and waits for nothing.
func TestStopped(t *testing.T) {
	e := startEngine(t)
	nodes := joinAll(t, 2, quick(e))
	n, far := nodes[0], nodes[1].Connect("/ws")
	far.Expect(far.ID())
	must(t, n.Stop())
	for what, err := range map[string]error{
		"Publish":    n.Publish(t.Context(), []string{"t"}, []byte("x")),
		"Broadcast":  n.Broadcast(t.Context(), []byte("x")),
		"SingleCast": n.SingleCast(t.Context(), far.ID(), []byte("x")),
	} {
		if !errors.Is(err, hooks.ErrStopped) {
			t.Errorf("%s returned %v", what, err)
		}
	}
	if _, err := n.UniqIDs(t.Context()); !errors.Is(err, hooks.ErrStopped) {
		t.Errorf("UniqIDs returned %v", err)
	}
	n.cluster.Want(t.Context(), []string{"t"}) // returns
	if st := n.Stats().Cluster; st.Connected || st.Topics != 0 {
		t.Errorf("%+v", st)
	}
}

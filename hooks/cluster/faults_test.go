package cluster_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/gateway/gatewaytest"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/hooks/cluster"
	"github.com/sluicegate/sluice/internal/await"
)

// A ring is nodes that publish to one topic at the same time, each with a client that
// listens and notes what it gets: once, in each publisher's order.
type ring struct {
	t                   testing.TB
	nodes               []*node
	clients             []*gatewaytest.Client
	stop                chan struct{}
	publishing, reading sync.WaitGroup
	published           []atomic.Int64
	got                 [][]atomic.Int64 // by client and publisher
	last                [][]int64
}

func newRing(t testing.TB, nodes []*node) *ring {
	r := &ring{t: t, nodes: nodes, stop: make(chan struct{}), published: make([]atomic.Int64, len(nodes))}
	for _, n := range nodes {
		c := n.Connect("/ws")
		c.Expect(c.ID())
		r.clients = append(r.clients, c)
		r.got = append(r.got, make([]atomic.Int64, len(nodes)))
		r.last = append(r.last, make([]int64, len(nodes)))
	}
	for _, n := range nodes {
		for _, c := range r.clients { // by each that publishes, so that it is heard from the first on
			must(t, n.Subscribe(t.Context(), c.ID(), []string{"ring"}, nil))
		}
	}
	return r
}

// talk has each node publish again and again. An error must be one of those.
func (r *ring) talk(pause time.Duration, allowed ...error) {
	for i, n := range r.nodes {
		r.publishing.Go(func() {
			for {
				select {
				case <-r.stop:
					return
				case <-time.After(pause):
				}
				seq := r.published[i].Add(1)
				err := n.Publish(r.t.Context(), []string{"ring"}, fmt.Appendf(nil, "%d %d", i, seq))
				for _, a := range allowed {
					if errors.Is(err, a) {
						err = nil
					}
				}
				if err != nil {
					r.t.Errorf("node %d: %v", i, err)
					return
				}
			}
		})
	}
	for i, c := range r.clients {
		r.reading.Go(func() {
			for {
				text := c.Read()
				if text == "end" {
					return
				}
				var from int
				var seq int64
				if _, err := fmt.Sscanf(text, "%d %d", &from, &seq); err != nil {
					r.t.Errorf("client %d got %q", i, text)
					return
				}
				if seq <= r.last[i][from] {
					r.t.Errorf("client %d got %d of node %d behind %d", i, seq, from, r.last[i][from])
				}
				r.last[i][from] = seq
				r.got[i][from].Add(1)
			}
		})
	}
}

// awaitTalk waits until each client got so many more messages of every node.
func (r *ring) awaitTalk(more int64) {
	r.t.Helper()
	for i := range r.got {
		for from := range r.got[i] {
			want := r.got[i][from].Load() + more
			await.Until(r.t, func() string {
				if n := r.got[i][from].Load(); n < want {
					return fmt.Sprintf("client %d got %d messages of node %d, want %d", i, n, from, want)
				}
				return ""
			})
		}
	}
}

// end stops the talk, and returns how many messages of others each client has missed.
func (r *ring) end() (lost []int64) {
	r.t.Helper()
	close(r.stop)
	r.publishing.Wait()
	// An answer shows that what the node has published before was carried out.
	for _, n := range r.nodes {
		_, err := n.UniqIDs(r.t.Context())
		must(r.t, err)
	}
	for i, n := range r.nodes {
		must(r.t, n.Local().SingleCast(r.t.Context(), r.clients[i].ID(), []byte("end")))
	}
	r.reading.Wait()
	for i := range r.clients {
		lost = append(lost, 0)
		for from := range r.nodes {
			n := r.published[from].Load() - r.got[i][from].Load()
			if from == i && n != 0 {
				r.t.Errorf("client %d has missed %d messages of its own node", i, n)
			}
			if from != i {
				lost[i] += n
			}
		}
	}
	r.t.Logf("published %d, %d, %d; lost %v", r.published[0].Load(), r.published[1].Load(), r.published[2].Load(), lost)
	return lost
}

// counted checks that what was lost is what was counted: by the publisher if it was
// not sent, else by who missed it.
func (r *ring) counted(lost []int64) {
	r.t.Helper()
	for i, n := range r.nodes {
		want := func() int64 {
			count := n.Stats().Cluster.Missed
			for from, other := range r.nodes {
				if from != i {
					count += other.Stats().Cluster.Unsent
				}
			}
			return count
		}
		await.Until(r.t, func() string {
			if want() != lost[i] {
				return fmt.Sprintf("node %d: %d messages were lost and %d counted", i, lost[i], want())
			}
			return ""
		})
		var told int64
		for _, g := range n.missed() {
			if g.AtMost {
				r.t.Errorf("node %d was told %+v", i, g)
			}
			if g.From != n.id {
				told += g.Messages
			}
		}
		if m := n.Stats().Cluster.Missed; told != m {
			r.t.Errorf("node %d was told of %d messages and counts %d", i, told, m)
		}
	}
}

// NATS restarts in the midst of it: clients miss nothing of their own node; of the
// others what is counted, and nothing else; afterwards all is as before.
func TestEngineRestarts(t *testing.T) {
	e := startEngine(t)
	nodes := joinAll(t, 3, quick(e))
	r := newRing(t, nodes)
	r.talk(200*time.Microsecond, cluster.ErrAway)
	for range 3 {
		r.awaitTalk(200)
		e.stop()
		await.Until(t, func() string {
			for _, n := range nodes {
				if n.Stats().Cluster.Connected {
					return "a node has not noticed"
				}
			}
			return ""
		})
		e.start()
		await.Until(t, func() string {
			for _, n := range nodes {
				if st := n.Stats().Cluster; !st.Connected || st.Nodes != 3 {
					return "a node is not back"
				}
			}
			return ""
		})
	}
	r.awaitTalk(200)
	lost := r.end()
	for i, n := range lost {
		if n == 0 {
			t.Errorf("node %d has lost nothing: this has tested nothing", i)
		}
	}
	r.counted(lost)
}

// The cable of one node is cut, again and again: what it missed, and what others
// missed of it, is counted; they miss nothing of each other.
func TestCableCut(t *testing.T) {
	e := startEngine(t)
	way := layCable(t, strings.TrimPrefix(e.url(), "nats://"))
	cfg := quick(e)
	cfg.Servers, cfg.Linger = way.url(), time.Hour
	nodes := []*node{join(t, quick(e)), join(t, quick(e)), join(t, cfg)}
	for _, n := range nodes {
		n.awaitNodes(t, 3)
	}
	r := newRing(t, nodes)
	// Many topics have to be told to NATS again each time: what is published
	// meanwhile is missed as well.
	many := make([]string, 50_000)
	for i := range many {
		many[i] = strconv.Itoa(i)
	}
	nodes[2].cluster.Want(t.Context(), many)
	r.talk(200*time.Microsecond, cluster.ErrAway)
	for i := range int64(5) {
		r.awaitTalk(100)
		way.cut()
		way.mend()
		await.Until(t, func() string {
			if st := nodes[2].Stats().Cluster; !st.Connected || st.Reconnects != i+1 {
				return "the node is not back"
			}
			return ""
		})
	}
	r.awaitTalk(100)
	lost := r.end()
	for from, i := range []int{1, 0} {
		if n := r.published[from].Load() - r.got[i][from].Load(); n != 0 {
			t.Errorf("node %d has missed %d messages of node %d", i, n, from)
		}
	}
	if lost[2] == 0 {
		t.Error("the node has lost nothing: this has tested nothing")
	}
	r.counted(lost)
}

// One of three servers ends: its node finds another one, and what it missed meanwhile is
// counted. Nodes of the others miss nothing of each other.
func TestServerEnds(t *testing.T) {
	engines := startEngines(t, 3)
	var nodes []*node
	for i := range engines {
		cfg := quick(engines[i])
		cfg.Servers += ", " + engines[(i+1)%3].url() + "," + engines[(i+2)%3].url()
		cfg.Options = []nats.Option{nats.DontRandomize()}
		nodes = append(nodes, join(t, cfg))
	}
	for _, n := range nodes {
		n.awaitNodes(t, 3)
	}
	r := newRing(t, nodes)
	r.talk(200*time.Microsecond, cluster.ErrAway)
	r.awaitTalk(200)
	begun := time.Now()
	engines[2].stop()
	await.Until(t, func() string {
		if st := nodes[2].Stats().Cluster; !st.Connected || st.Reconnects != 1 {
			return "the node has found no other server"
		}
		return ""
	})
	t.Logf("another server after %v", time.Since(begun))
	r.awaitTalk(200)
	lost := r.end()
	for from, i := range []int{1, 0} {
		if n := r.published[from].Load() - r.got[i][from].Load(); n != 0 {
			t.Errorf("node %d has missed %d messages of node %d", i, n, from)
		}
	}
	r.counted(lost)
}

// The way between two servers of one NATS is cut. No node's own connection breaks, and
// yet what is lost is counted: whether the nodes have missed each other meanwhile or not.
func TestRouteCut(t *testing.T) {
	for name, missed := range map[string]int{"for a moment": 100, "until nodes are missed": 5} {
		t.Run(name, func(t *testing.T) {
			near := startRouted(t, "near")
			way := layCable(t, near.ClusterAddr().String())
			far := startRouted(t, "far", way.lis.Addr().String())
			near.awaitRemotes(1)
			far.awaitRemotes(1)
			var nodes []*node
			for _, e := range []*engine{near, near, far} {
				cfg := quick(e)
				cfg.MissedHeartbeats = missed
				nodes = append(nodes, join(t, cfg))
			}
			for _, n := range nodes {
				n.awaitNodes(t, 3)
			}
			r := newRing(t, nodes)
			r.talk(200 * time.Microsecond)
			for range 3 {
				r.awaitTalk(200)
				way.cut()
				near.awaitRemotes(0)
				far.awaitRemotes(0)
				if missed < 100 {
					nodes[0].awaitNodes(t, 2)
					nodes[2].awaitNodes(t, 1)
				}
				way.mend()
				near.awaitRemotes(1)
				far.awaitRemotes(1)
				for _, n := range nodes {
					n.awaitNodes(t, 3)
				}
			}
			r.awaitTalk(200)
			lost := r.end()
			for i, n := range lost {
				if n == 0 {
					t.Errorf("node %d has lost nothing: this has tested nothing", i)
				}
			}
			r.counted(lost)
			for i, n := range nodes {
				if st := n.Stats().Cluster; st.Reconnects != 0 || !st.Connected {
					t.Errorf("node %d was cut off itself: this has tested something else", i)
				}
			}
		})
	}
}

// NATS takes nothing: what waits for it is bounded, commands say so in time, and the
// node's own clients do not notice.
func TestEngineStalls(t *testing.T) {
	e := startEngine(t)
	way := layCable(t, strings.TrimPrefix(e.url(), "nats://"))
	cfg := quick(e)
	cfg.Servers, cfg.OutgoingLimit, cfg.SendWait = way.url(), 1<<20, 50*time.Millisecond
	patient := func(g *gateway.Config) { g.WriteLimit = 64 << 20 } // who reads late
	a, b := join(t, cfg), join(t, quick(e), patient)
	a.awaitNodes(t, 2)
	client, far := a.Connect("/ws"), b.Connect("/ws")
	client.Expect(client.ID())
	far.Expect(far.ID())
	must(t, a.Subscribe(t.Context(), client.ID(), []string{"t"}, nil))
	must(t, b.Subscribe(t.Context(), far.ID(), []string{"t"}, nil))
	way.hold()
	data := []byte(strings.Repeat("x", 32<<10))
	sent, full := 0, 0
	for full < 3 {
		err := a.Publish(t.Context(), []string{"t"}, data)
		switch {
		case errors.Is(err, hooks.ErrOverloaded):
			full++
		case err != nil:
			t.Fatal(err)
		}
		if sent++; sent > 10000 {
			t.Fatal("everything was taken")
		}
		if text := client.Read(); text != string(data) {
			t.Fatalf("the client got %d bytes", len(text))
		}
		if st := a.Stats().Cluster; st.Outgoing > st.OutgoingLimit {
			t.Fatalf("%d bytes wait, %d may", st.Outgoing, st.OutgoingLimit)
		}
	}
	begun := time.Now()
	if err := a.Publish(hooks.WithoutWaiting(t.Context()), []string{"t"}, data); !errors.Is(err, hooks.ErrOverloaded) || time.Since(begun) > 40*time.Millisecond {
		t.Errorf("on a loop, after %v: %v", time.Since(begun), err)
	}
	if n := a.Stats().Cluster.Unsent; n != 4 {
		t.Errorf("%d messages are counted as unsent, want 4", n)
	}
	way.release()
	for range sent - full {
		if text := far.Read(); text != string(data) {
			t.Fatalf("the other client got %d bytes", len(text))
		}
	}
}

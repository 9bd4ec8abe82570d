package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/wsclient"
	"github.com/sluicegate/sluice/transport/websocket"
)

// testContracts covers the six contracts of a gateway; see docs/design.md.
func testContracts(t *testing.T, mk maker) {
	group(t, "contracts", func(t *testing.T) {
		for _, c := range []struct {
			name string
			run  func(*testing.T, maker)
		}{
			{"1 inbound order on workers", func(t *testing.T, mk maker) { inboundOrder(t, mk, false) }},
			{"1 inbound order inline", func(t *testing.T, mk maker) { inboundOrder(t, mk, true) }},
			{"2 outbound order", outboundOrder},
			{"3 own writes", ownWrites},
			{"4 bounded writes", boundedWrites},
			{"4 bounded inbox", boundedInbox},
			{"4 flood while the handler blocks", floodWhileBlocked},
			{"5 exact counters", exactCounters},
			{"6 late close", lateClose},
		} {
			t.Run(c.name, func(t *testing.T) { c.run(t, mk) })
		}
	})
}

// Contract 1: for one client, Open, its messages in the order of arrival, then
// Close exactly once, never overlapping. The book sees to all but the messages'
// order.
func inboundOrder(t *testing.T, mk maker, inline bool) {
	const clients, messages = 20, 300
	seq := &sequence{next: make(map[string]int), closed: make(chan string, clients)}
	s := start(t, mk, gateway.Config{Router: seq, Inline: inline})
	var senders sync.WaitGroup
	for range clients {
		p := s.open(wsclient.Request{})
		senders.Go(func() {
			for i := range messages {
				if err := p.WriteMessage(websocket.OpText, []byte(strconv.Itoa(i))); err != nil {
					t.Error(err)
					return
				}
			}
			_ = p.Close()
		})
	}
	senders.Wait()
	for range clients {
		within(t, seq.closed, "a client's Close")
	}
	must(t, s.Stop())
	if len(seq.faults) > 0 {
		t.Errorf("%d faults, the first: %s", len(seq.faults), seq.faults[0])
	}
	for id, n := range seq.next {
		if n != messages {
			t.Errorf("client %s: %d messages handled", id, n)
		}
	}
	if len(seq.next) != clients {
		t.Errorf("%d clients, want %d", len(seq.next), clients)
	}
}

// A sequence is a Router that expects each client's messages to count from 0.
type sequence struct {
	mu     sync.Mutex
	next   map[string]int
	faults []string
	closed chan string
}

func (q *sequence) Open(_ context.Context, _ hooks.Bus, e hooks.OpenEvent) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.next[e.UniqID] = 0
}

func (q *sequence) Message(_ context.Context, _ hooks.Bus, e hooks.MessageEvent) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if want := strconv.Itoa(q.next[e.UniqID]); string(e.Data) != want {
		q.faults = append(q.faults, fmt.Sprintf("%s: got %s, want %s", e.UniqID, e.Data, want))
	}
	q.next[e.UniqID]++
}

func (q *sequence) Close(_ context.Context, _ hooks.Bus, e hooks.CloseEvent) { q.closed <- e.UniqID }

// Contract 2: commands issued one after the other by one caller reach a client
// in that order, across all kinds of command, while other callers do the same.
func outboundOrder(t *testing.T, mk maker) {
	const clients, callers, rounds = 8, 4, 60
	s := start(t, mk, gateway.Config{})
	ctx := t.Context()
	var peers []*peer
	var ids []string
	for i := range clients {
		p := s.join()
		peers, ids = append(peers, p), append(ids, p.id)
		must(t, s.UpdateConnInfo(ctx, hooks.ConnInfoUpdate{
			UniqID: p.id, NewCustomerID: "customer" + strconv.Itoa(i), NewTopics: []string{"all"},
		}))
	}
	customers, err := s.CustomerIDs(ctx)
	must(t, err)

	var calling, reading sync.WaitGroup
	perRound := 0
	for number := range callers {
		c := &caller{s: s, number: number, ids: ids, customers: customers}
		commands := c.commands(ctx)
		perRound = len(commands) + 2 // PublishBulk sends three
		calling.Go(func() {
			for range rounds {
				for _, command := range commands {
					if err := command(); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	for _, p := range peers {
		reading.Go(func() {
			next := make([]int, callers)
			for range callers * rounds * perRound {
				_, data, err := p.ReadMessage()
				if err != nil {
					t.Errorf("client %s: %v", p.id, err)
					return
				}
				var number, seq int
				if _, err := fmt.Sscanf(string(data), "%d %d", &number, &seq); err != nil {
					t.Errorf("client %s got %q", p.id, data)
					return
				}
				if next[number]++; seq != next[number] {
					t.Errorf("client %s: caller %d's message %d came when %d was due", p.id, number, seq, next[number])
					return
				}
			}
		})
	}
	calling.Wait()
	reading.Wait()
}

// A caller numbers what it sends.
type caller struct {
	s              *scene
	number, seq    int
	ids, customers []string
}

func (c *caller) data() []byte {
	c.seq++
	return fmt.Appendf(nil, "%d %d", c.number, c.seq)
}

// commands are all kinds of command that carry a message. Each reaches every
// client once.
func (c *caller) commands(ctx context.Context) []func() error {
	g, ids, customers := c.s.Gateway, c.ids, c.customers
	each := func(ids []string, send func(id string, data []byte) error) func() error {
		return func() error {
			var err error
			data := c.data()
			for _, id := range ids {
				err = errors.Join(err, send(id, data))
			}
			return err
		}
	}
	return []func() error{
		func() error { return g.Broadcast(ctx, c.data()) },
		func() error { return g.Publish(ctx, []string{"all"}, c.data()) },
		func() error { return g.Multicast(ctx, ids, c.data()) },
		func() error { return g.MulticastByCustomerID(ctx, customers, c.data()) },
		func() error { return g.PublishBulk(ctx, []string{"all"}, [][]byte{c.data(), c.data(), c.data()}) },
		func() error { return g.SingleCastBulk(ctx, ids, slices.Repeat([][]byte{c.data()}, len(ids))) },
		each(ids, func(id string, data []byte) error { return g.SingleCast(ctx, id, data) }),
		each(customers, func(id string, data []byte) error { return g.SingleCastByCustomerID(ctx, id, data) }),
		each(ids, func(id string, data []byte) error { return g.Subscribe(ctx, id, []string{"other"}, data) }),
		each(ids, func(id string, data []byte) error {
			return g.UpdateConnInfo(ctx, hooks.ConnInfoUpdate{UniqID: id, NewSession: "s", Data: data})
		}),
	}
}

// Contract 3: a query after a change by the same caller sees it; whoever
// subscribed before a publish gets it, even if it unsubscribes right after;
// whoever unsubscribed before it does not.
func ownWrites(t *testing.T, mk maker) {
	const rounds = 200
	s := start(t, mk, gateway.Config{})
	ctx := t.Context()
	a, b := s.join(), s.join()
	for i := range rounds {
		topic := []string{"topic" + strconv.Itoa(i)}
		must(t, s.Subscribe(ctx, a.id, topic, nil))
		if subs, err := s.TopicUniqIDs(ctx, topic); err != nil || !slices.Equal(subs[topic[0]], []string{a.id}) {
			t.Fatalf("after Subscribe: %v, %v", subs, err)
		}
		must(t, s.Publish(ctx, topic, []byte("before "+strconv.Itoa(i))))
		must(t, s.Unsubscribe(ctx, a.id, topic, nil))
		must(t, s.Publish(ctx, topic, []byte("after")))
		if n, err := s.TopicUniqIDCounts(ctx, topic, false); err != nil || len(n) != 0 {
			t.Fatalf("after Unsubscribe: %v, %v", n, err)
		}
		must(t, s.SingleCast(ctx, b.id, []byte(strconv.Itoa(i))))
	}
	for i := range rounds {
		a.expect("before " + strconv.Itoa(i))
		b.expect(strconv.Itoa(i))
	}
	must(t, s.ForceOffline(ctx, []string{a.id}, []byte("bye")))
	if on, err := s.CheckOnline(ctx, []string{a.id, b.id}); err != nil || !slices.Equal(on, []string{b.id}) {
		t.Fatalf("after ForceOffline: online %v, %v", on, err)
	}
	must(t, s.SingleCast(ctx, a.id, []byte("too late")))
	if got := a.expectClose(1008, "forceOffline"); !slices.Equal(got, []string{"bye"}) {
		t.Fatalf("before the close frame: %q", got)
	}
}

// Contract 6: a late close never removes a newer connection's entry. The older
// client's loop is held up, so that its close is late beyond doubt.
func lateClose(t *testing.T, mk maker) {
	held, release := make(chan struct{}), make(chan struct{})
	letGo := sync.OnceFunc(func() { close(release) })
	defer letGo()
	closed := make(chan hooks.CloseEvent, 1)
	s := start(t, mk, gateway.Config{Inline: true, Router: hooks.RouterFuncs{
		OnMessage: func(context.Context, hooks.Bus, hooks.MessageEvent) {
			close(held)
			<-release
		},
		OnClose: func(_ context.Context, _ hooks.Bus, e hooks.CloseEvent) {
			select {
			case closed <- e:
			default: // another's, later
			}
		},
	}})
	ctx := t.Context()
	old, fresh, brief := s.join(), s.join(), s.join()
	who := hooks.ConnInfoUpdate{UniqID: old.id, NewCustomerID: "c", NewSession: "s", NewTopics: []string{"t"}}
	must(t, s.UpdateConnInfo(ctx, who))
	old.send("hold")
	within(t, held, "the older client's loop is held up")
	// Off the registry at once, but its connection lives until its loop is
	// free and it has answered.
	must(t, s.ForceOfflineByCustomerID(ctx, []string{"c"}, nil))
	who.UniqID = fresh.id
	must(t, s.UpdateConnInfo(ctx, who))
	letGo()
	old.expectClose(1008, "forceOfflineByCustomerId")
	if e := within(t, closed, "the older client's Close"); e.UniqID != old.id || e.CustomerID != "c" || e.Session != "s" || !slices.Equal(e.Topics, []string{"t"}) {
		t.Errorf("the close event %+v does not carry what the connection held", e)
	}
	_ = old.Close()
	stays := func() {
		t.Helper()
		infos, err := s.ConnInfoByCustomerID(ctx, []string{"c"}, hooks.ConnInfoFields{UniqID: true})
		if err != nil || len(infos["c"]) != 1 || infos["c"][0].UniqID != fresh.id {
			t.Fatalf("after the late close: %v, %v", infos, err)
		}
		must(t, s.Publish(ctx, []string{"t"}, []byte("still here")))
		fresh.expect("still here")
	}
	stays()

	// A connection that is lost takes nothing along either.
	who.UniqID = brief.id
	must(t, s.UpdateConnInfo(ctx, who))
	_ = brief.Close()
	s.awaitClients(1)
	stays()
}

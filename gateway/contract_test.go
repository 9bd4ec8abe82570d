package gateway_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
)

// The six contracts of a gateway, on every transport.

// Contract 1: for one client, Open, its messages in the order of arrival, then
// Close exactly once, never overlapping; on workers and inline.
func TestContractInboundOrder(t *testing.T) {
	const clients, messages = 20, 300
	for _, inline := range []bool{false, true} {
		t.Run(fmt.Sprintf("inline=%v", inline), func(t *testing.T) {
			onEach(t, func(t *testing.T, h harness) {
				r := &orderRouter{states: make(map[string]*orderState), closed: make(chan string, clients)}
				g := h.start(t, gateway.Config{Router: r, Inline: inline})
				var senders sync.WaitGroup
				for range clients {
					c := g.connect()
					senders.Go(func() {
						for i := range messages {
							if err := c.WriteMessage(1, []byte(strconv.Itoa(i))); err != nil {
								t.Error(err)
								return
							}
						}
						_ = c.Close()
					})
				}
				senders.Wait()
				for range clients {
					<-r.closed
				}
				must(t, g.stop())
				if len(r.faults) > 0 {
					t.Fatalf("%d faults, the first: %s", len(r.faults), r.faults[0])
				}
				for id, s := range r.states {
					if s.next != messages || !s.over {
						t.Errorf("client %s: %d messages, closed %v", id, s.next, s.over)
					}
				}
			})
		})
	}
}

type orderState struct {
	busy, over bool
	next       int
}

type orderRouter struct {
	mu     sync.Mutex
	states map[string]*orderState
	faults []string
	closed chan string
}

// enter checks that no other call runs for the client, and leave that none
// has begun meanwhile.
func (r *orderRouter) enter(id string, opening bool) *orderState {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.states[id]
	if (s == nil) != opening {
		r.faults = append(r.faults, id+": a call before Open, or a second Open")
	}
	if s == nil {
		s = new(orderState)
		r.states[id] = s
	}
	if s.busy || s.over {
		r.faults = append(r.faults, fmt.Sprintf("%s: overlapping %v, after Close %v", id, s.busy, s.over))
	}
	s.busy = true
	return s
}

func (r *orderRouter) leave(s *orderState, over bool) {
	runtime.Gosched()
	r.mu.Lock()
	defer r.mu.Unlock()
	s.busy, s.over = false, over
}

func (r *orderRouter) Open(_ context.Context, _ hooks.Bus, e hooks.OpenEvent) {
	r.leave(r.enter(e.UniqID, true), false)
}

func (r *orderRouter) Message(_ context.Context, _ hooks.Bus, e hooks.MessageEvent) {
	s := r.enter(e.UniqID, false)
	if string(e.Data) != strconv.Itoa(s.next) {
		r.mu.Lock()
		r.faults = append(r.faults, fmt.Sprintf("%s: got %s, want %d", e.UniqID, e.Data, s.next))
		r.mu.Unlock()
	}
	s.next++
	r.leave(s, false)
}

func (r *orderRouter) Close(_ context.Context, _ hooks.Bus, e hooks.CloseEvent) {
	r.leave(r.enter(e.UniqID, false), true)
	r.closed <- e.UniqID
}

// Contract 2: commands issued one after the other by one caller reach a client
// in that order, across all kinds of command, while other callers do the same.
func TestContractOutboundOrder(t *testing.T) {
	const clients, callers, rounds = 8, 4, 60
	onEach(t, func(t *testing.T, h harness) {
		g := h.start(t, gateway.Config{Router: greeter()})
		ctx := t.Context()
		cs := make([]*client, clients)
		ids := make([]string, clients)
		for i := range cs {
			cs[i] = g.join()
			ids[i] = cs[i].id
			must(t, g.UpdateConnInfo(ctx, hooks.ConnInfoUpdate{UniqID: ids[i], NewCustomerID: "customer" + strconv.Itoa(i), NewTopics: []string{"all"}}))
		}
		customers, _ := g.CustomerIDs(ctx)

		var calling sync.WaitGroup
		perRound := 0
		for caller := range callers {
			seq := 0
			data := func() []byte {
				seq++
				return fmt.Appendf(nil, "%d %d", caller, seq)
			}
			// Each command reaches every client once.
			commands := []func() error{
				func() error { return g.Broadcast(ctx, data()) },
				func() error { return g.Publish(ctx, []string{"all"}, data()) },
				func() error { return g.Multicast(ctx, ids, data()) },
				func() error { return g.MulticastByCustomerID(ctx, customers, data()) },
				func() error { return g.PublishBulk(ctx, []string{"all"}, [][]byte{data(), data(), data()}) },
				func() error {
					d := data()
					return each(ids, func(id string) error { return g.SingleCast(ctx, id, d) })
				},
				func() error {
					d := data()
					return each(customers, func(id string) error { return g.SingleCastByCustomerID(ctx, id, d) })
				},
				func() error {
					d := data()
					return each(ids, func(id string) error { return g.Subscribe(ctx, id, []string{"other"}, d) })
				},
				func() error {
					d := data()
					return each(ids, func(id string) error {
						return g.UpdateConnInfo(ctx, hooks.ConnInfoUpdate{UniqID: id, NewSession: "s", Data: d})
					})
				},
				func() error {
					d := [][]byte{}
					one := data()
					for range ids {
						d = append(d, one)
					}
					return g.SingleCastBulk(ctx, ids, d)
				},
			}
			perRound = len(commands) + 2 // PublishBulk sends three
			calling.Go(func() {
				for range rounds {
					for _, c := range commands {
						if err := c(); err != nil {
							t.Error(err)
							return
						}
					}
				}
			})
		}
		var reading sync.WaitGroup
		for _, c := range cs {
			reading.Go(func() {
				next := make([]int, callers)
				for range callers * rounds * perRound {
					_, b, err := c.ReadMessage()
					if err != nil {
						t.Errorf("client %s: %v", c.id, err)
						return
					}
					var caller, seq int
					_, _ = fmt.Sscanf(string(b), "%d %d", &caller, &seq)
					if next[caller]++; seq != next[caller] {
						t.Errorf("client %s: caller %d's message %d came when %d was due", c.id, caller, seq, next[caller])
						return
					}
				}
			})
		}
		calling.Wait()
		reading.Wait()
	})
}

func each(ids []string, f func(string) error) error {
	for _, id := range ids {
		if err := f(id); err != nil {
			return err
		}
	}
	return nil
}

// Contract 3: a query after a change by the same caller sees it; whoever
// subscribed before a publish gets it, even if it unsubscribes right after;
// whoever unsubscribed before it does not.
func TestContractOwnWrites(t *testing.T) {
	onEach(t, func(t *testing.T, h harness) {
		g := h.start(t, gateway.Config{Router: greeter()})
		ctx := t.Context()
		a, b := g.join(), g.join()
		for i := range 200 {
			topic := []string{"topic" + strconv.Itoa(i)}
			must(t, g.Subscribe(ctx, a.id, topic, nil))
			if subs, _ := g.TopicUniqIDs(ctx, topic); !slices.Equal(subs[topic[0]], []string{a.id}) {
				t.Fatalf("after Subscribe: %v", subs)
			}
			must(t, g.Publish(ctx, topic, []byte("before "+strconv.Itoa(i))))
			must(t, g.Unsubscribe(ctx, a.id, topic, nil))
			must(t, g.Publish(ctx, topic, []byte("after")))
			if n, _ := g.TopicUniqIDCounts(ctx, topic, false); len(n) != 0 {
				t.Fatalf("after Unsubscribe: %v", n)
			}
			must(t, g.SingleCast(ctx, b.id, []byte(strconv.Itoa(i))))
		}
		for i := range 200 {
			a.expect("before " + strconv.Itoa(i))
			b.expect(strconv.Itoa(i))
		}
		must(t, g.ForceOffline(ctx, []string{a.id}, []byte("bye")))
		if on, _ := g.CheckOnline(ctx, []string{a.id, b.id}); !slices.Equal(on, []string{b.id}) {
			t.Fatalf("after ForceOffline: online %v", on)
		}
		must(t, g.SingleCast(ctx, a.id, []byte("too late")))
		if got := a.expectClose(1008, "forceOffline"); !slices.Equal(got, []string{"bye"}) {
			t.Fatalf("before the close frame: %q", got)
		}
	})
}

// Contract 4, outbound: a client that does not read costs a bounded amount, is
// closed with a code, and does not hold up the others.
func TestContractBoundedWrites(t *testing.T) {
	const others, limit = 50, 256 << 10
	onEach(t, func(t *testing.T, h harness) {
		g := h.start(t, gateway.Config{Router: greeter(), WriteLimit: limit})
		ctx := t.Context()
		slow := g.join()
		cs := make([]*client, others)
		for i := range cs {
			cs[i] = g.join()
		}
		msg := strings.Repeat("x", 8<<10)
		var reading sync.WaitGroup
		counts := make([]int, others)
		// The publisher waits for those who read: what is tested is the one
		// who does not, and not how fast this machine is.
		arrived := make(chan struct{}, others)
		for i, c := range cs {
			reading.Go(func() {
				for {
					_, b, err := c.ReadMessage()
					if err != nil {
						t.Errorf("client %s: %v", c.id, err)
						return
					}
					if string(b) == "end" {
						return
					}
					counts[i]++
					arrived <- struct{}{}
				}
			})
		}
		sent := 0
		for g.Stats().Drops[hooks.DropSlow].Messages == 0 && sent < 5000 {
			must(t, g.Broadcast(ctx, []byte(msg)))
			sent++
			for range others {
				select {
				case <-arrived:
				case <-time.After(wait):
					t.Fatalf("message %d did not reach everyone who reads", sent)
				}
			}
		}
		must(t, g.Broadcast(ctx, []byte("end")))
		reading.Wait()
		for i, n := range counts {
			if n != sent {
				t.Errorf("client %d got %d of %d messages", i, n, sent)
			}
		}
		g.awaitClients(others)
		if d := g.Stats().Drops[hooks.DropSlow]; d.Messages == 0 {
			t.Error("the slow client's drops were not counted")
		}
		// What waits for it is bounded: it gets no more than its limit and
		// what sockets hold, however much was sent.
		got := 0
		for {
			_, b, err := slow.ReadMessage()
			if err != nil {
				break
			}
			got += len(b)
		}
		if got >= sent*len(msg) {
			t.Errorf("the slow client got all %d bytes", got)
		}
	})
}

// Contract 4, inbound: a client that sends faster than its handler works is
// closed when its inbox is full; the others are served meanwhile.
func TestContractBoundedInbox(t *testing.T) {
	onEach(t, func(t *testing.T, h harness) {
		release := make(chan struct{})
		r := greeter()
		r.OnMessage = func(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
			if string(e.Data) == "echo" {
				_ = bus.SingleCast(ctx, e.UniqID, e.Data)
				return
			}
			<-release
		}
		g := h.start(t, gateway.Config{Router: r, InboxLimit: 64 << 10})
		flood, other := g.join(), g.join()
		var flooding sync.WaitGroup
		flooding.Go(func() {
			msg := []byte(strings.Repeat("x", 1000))
			for flood.WriteMessage(1, msg) == nil {
			}
		})
		flood.expectClose(1008, "inbox full")
		for range 100 {
			other.send("echo")
			other.expect("echo")
		}
		_ = flood.Close()
		flooding.Wait()
		close(release)
		if d := g.Stats().Drops[hooks.DropBacklog]; d.Messages != 1 {
			t.Errorf("%d messages counted as dropped, want the one that did not fit", d.Messages)
		}
	})
}

// Contract 5: whatever is not delivered is counted by reason, and the counters
// are exact: with clients coming and going, every message of every command is
// either written or dropped.
func TestContractExactCounters(t *testing.T) {
	const clients, rounds = 40, 200
	onEach(t, func(t *testing.T, h harness) {
		g := h.start(t, gateway.Config{})
		ctx := context.Background()
		for range clients {
			c := g.connect()
			go func() {
				for i := 0; ; i++ {
					if _, _, err := c.ReadMessage(); err != nil || i == rounds/2 {
						_ = c.UnderlyingConn().Close() // in the middle of the stream
						return
					}
				}
			}()
		}
		g.awaitClients(clients)
		ids, _ := g.UniqIDs(ctx)
		for i := range rounds {
			must(t, g.Multicast(ctx, ids, []byte("to each, whether it is there or not")))
			if i == rounds*3/4 {
				eventually(t, func() string {
					if g.Stats().Clients == clients {
						return "no client has gone"
					}
					return ""
				})
			}
		}
		must(t, g.stop())
		s := g.Stats()
		total := s.MessagesOut
		for _, d := range s.Drops {
			total += d.Messages
		}
		if want := int64(clients * rounds); total != want {
			t.Errorf("written %d + dropped %+v = %d, want %d", s.MessagesOut, s.Drops, total, want)
		}
		if s.Drops[hooks.DropUnknown].Messages+s.Drops[hooks.DropClosed].Messages+s.Drops[hooks.DropFailed].Messages == 0 {
			t.Error("no client was gone: the test did not test")
		}
		if s.Opened != clients || s.Closed != clients {
			t.Errorf("opened %d, closed %d, want %d", s.Opened, s.Closed, clients)
		}
	})
}

// Contract 6: a late close never removes a newer connection's entry.
func TestContractLateClose(t *testing.T) {
	onEach(t, func(t *testing.T, h harness) {
		closed := make(chan hooks.CloseEvent, 1)
		r := greeter()
		r.OnClose = func(_ context.Context, _ hooks.Bus, e hooks.CloseEvent) { closed <- e }
		g := h.start(t, gateway.Config{Router: r})
		ctx := t.Context()
		old := g.join()
		who := hooks.ConnInfoUpdate{UniqID: old.id, NewCustomerID: "c", NewSession: "s", NewTopics: []string{"t"}}
		must(t, g.UpdateConnInfo(ctx, who))
		// Off the registry at once, but its connection lives until it answers.
		must(t, g.ForceOfflineByCustomerID(ctx, []string{"c"}, nil))
		fresh := g.join()
		who.UniqID = fresh.id
		must(t, g.UpdateConnInfo(ctx, who))
		old.expectClose(1008, "forceOfflineByCustomerId")
		if e := <-closed; e.UniqID != old.id || e.CustomerID != "c" || e.Session != "s" || !slices.Equal(e.Topics, []string{"t"}) {
			t.Errorf("close event %+v does not carry what the connection held", e)
		}
		old.Close()
		infos, _ := g.ConnInfoByCustomerID(ctx, []string{"c"}, hooks.ConnInfoFields{UniqID: true})
		if len(infos["c"]) != 1 || infos["c"][0].UniqID != fresh.id {
			t.Fatalf("after the late close: %v", infos)
		}
		must(t, g.Publish(ctx, []string{"t"}, []byte("still here")))
		fresh.expect("still here")
	})
}

package conformance

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/bustest"
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
			{"2 outbound order", func(t *testing.T, mk maker) { busContract(t, mk, bustest.Order) }},
			{"3 own writes", func(t *testing.T, mk maker) { busContract(t, mk, bustest.OwnWrites) }},
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

// Contracts 2 and 3: the order of commands, and a caller's own writes.
func busContract(t *testing.T, mk maker, contract func(*testing.T, bustest.World)) {
	s := start(t, mk, gateway.Config{Router: bustest.Greeter()})
	contract(t, bustest.World{
		Bus:  s.Gateway,
		Dial: func() (net.Conn, error) { return s.setup.Dial(context.Background(), s.Gateway.Gateway) },
	})
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

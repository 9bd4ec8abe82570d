package conformance

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/wsclient"
	"github.com/sluicegate/sluice/transport/websocket"
)

// Contract 4, outbound: a client that does not read costs a bounded amount, is
// closed with a code, and does not hold up the others.
func boundedWrites(t *testing.T, mk maker) {
	const others, limit = 10, 256 << 10
	s := start(t, mk, gateway.Config{WriteLimit: limit})
	ctx := t.Context()
	slow := s.join()
	narrow(slow.Conn.Conn)
	// The publisher waits for those who read: what is tested is the one who
	// does not, and not how fast this machine is.
	arrived := make(chan struct{}, others)
	counts := make([]int, others)
	var reading sync.WaitGroup
	for i := range others {
		p := s.join()
		reading.Go(func() {
			for {
				_, data, err := p.ReadMessage()
				if err != nil {
					t.Errorf("client %s: %v", p.id, err)
					return
				}
				if string(data) == "end" {
					return
				}
				counts[i]++
				arrived <- struct{}{}
			}
		})
	}
	msg := []byte(strings.Repeat("x", 16<<10))
	sent := 0
	for s.Stats().Drops[hooks.DropSlow].Messages == 0 && sent < 5000 {
		must(t, s.Broadcast(ctx, msg))
		sent++
		for range others {
			select {
			case <-arrived:
			case <-time.After(patience):
				t.Fatalf("message %d did not reach everyone who reads", sent)
			}
		}
	}
	must(t, s.Broadcast(ctx, []byte("end")))
	reading.Wait()
	for i, n := range counts {
		if n != sent {
			t.Errorf("client %d got %d of %d messages", i, n, sent)
		}
	}
	s.awaitClients(others)
	if d := s.Stats().Drops[hooks.DropSlow]; d.Messages == 0 {
		t.Error("the slow client's drops were not counted")
	}
	// What waits for it is bounded: it gets no more than its limit and what
	// sockets hold, however much was sent.
	got := 0
	for {
		_, data, err := slow.ReadMessage()
		if err != nil {
			break
		}
		got += len(data)
	}
	if got >= sent*len(msg) {
		t.Errorf("the slow client got all %d bytes", got)
	}
}

// Contract 4, inbound: a client that sends faster than its handler works is
// closed when its inbox is full; the others are served meanwhile.
func boundedInbox(t *testing.T, mk maker) {
	b := newBlocker()
	s := start(t, mk, gateway.Config{Router: b.router(), InboxLimit: 64 << 10})
	flood, other := s.join(), s.join()
	b.block(flood.id)
	stop := s.flood(flood, func(int) []byte { return []byte(strings.Repeat("x", 1000)) })
	flood.expectClose(1013, "inbox full")
	for range 100 {
		other.echoes("echo")
	}
	stop()
	b.release()
	if d := s.Stats().Drops[hooks.DropBacklog]; d.Messages != 1 {
		t.Errorf("%d messages counted as dropped, want the one that did not fit", d.Messages)
	}
}

// Contract 4 again: one client floods while its handler blocks. The loops serve
// those who come meanwhile, and what the handler gets is in order and counted.
func floodWhileBlocked(t *testing.T, mk maker) {
	const others, rounds = 10, 10
	b := newBlocker()
	s := start(t, mk, gateway.Config{Router: b.router(), InboxLimit: 128 << 10})
	flood := s.join()
	b.block(flood.id)
	stop := s.flood(flood, func(i int) []byte { return fmt.Appendf(nil, "%06d", i) })
	for range others {
		p := s.join()
		for range rounds {
			p.echoes("echo")
		}
		p.leave()
	}
	flood.expectClose(1013, "inbox full")
	stop()
	b.release()
	must(t, s.Stop())
	for i, got := range b.seen {
		if want := fmt.Sprintf("%06d", i); got != want {
			t.Fatalf("message %d is %s", i, got)
		}
	}
	st := s.Stats()
	if n := int64(len(b.seen)); n == 0 || n+st.Drops[hooks.DropBacklog].Messages+others*rounds != st.MessagesIn {
		t.Errorf("%d handled, drops %+v, %d came in", n, st.Drops, st.MessagesIn)
	}
}

// A blocker is a Router that echoes, but blocks on one client's messages.
type blocker struct {
	mu      sync.Mutex
	victim  string
	freed   chan struct{}
	seen    []string // of the victim
	release func()
}

func newBlocker() *blocker {
	b := &blocker{freed: make(chan struct{})}
	b.release = sync.OnceFunc(func() { close(b.freed) })
	return b
}

func (b *blocker) block(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.victim = id
}

func (b *blocker) router() hooks.Router {
	return hooks.RouterFuncs{OnMessage: func(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
		b.mu.Lock()
		victim := e.UniqID == b.victim
		b.mu.Unlock()
		if !victim {
			_ = bus.SingleCast(ctx, e.UniqID, e.Data)
			return
		}
		select {
		case <-b.freed:
		case <-ctx.Done():
		}
		b.seen = append(b.seen, string(e.Data))
	}}
}

// flood has p send until it cannot, or until stop is called, which closes it.
func (s *scene) flood(p *peer, message func(i int) []byte) (stop func()) {
	var flooding sync.WaitGroup
	flooding.Go(func() {
		for i := 0; p.WriteMessage(websocket.OpText, message(i)) == nil; i++ {
		}
	})
	return func() {
		_ = p.Close()
		flooding.Wait()
	}
}

// Contract 5: whatever is not delivered is counted by reason, and the counters
// are exact: with clients coming and going, every message of every command is
// either written or dropped.
func exactCounters(t *testing.T, mk maker) {
	const clients, rounds = 40, 200
	s := start(t, mk, gateway.Config{})
	ctx := context.Background()
	var reading sync.WaitGroup
	for range clients {
		p := s.open(wsclient.Request{})
		reading.Go(func() {
			for i := 0; ; i++ {
				if _, _, err := p.ReadMessage(); err != nil || i == rounds/2 {
					_ = p.Close() // in the middle of the stream
					return
				}
			}
		})
	}
	s.awaitClients(clients)
	ids, err := s.UniqIDs(ctx)
	must(t, err)
	for i := range rounds {
		must(t, s.Multicast(ctx, ids, []byte("to each, whether it is there or not")))
		if i == rounds*3/4 {
			s.Eventually("a client has gone", func() bool { return s.Stats().Clients < clients })
		}
	}
	must(t, s.Stop())
	reading.Wait()
	st := s.Stats()
	if want := int64(clients * rounds); total(st) != want {
		t.Errorf("written %d + dropped %+v = %d, want %d", st.MessagesOut, st.Drops, total(st), want)
	}
	if st.Drops[hooks.DropUnknown].Messages+st.Drops[hooks.DropClosed].Messages+st.Drops[hooks.DropFailed].Messages == 0 {
		t.Error("no client was gone: the case did not test what it should")
	}
	if st.Opened != clients || st.Closed != clients {
		t.Errorf("opened %d, closed %d, want %d", st.Opened, st.Closed, clients)
	}
}

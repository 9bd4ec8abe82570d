package conformance

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/wsclient"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/websocket"
)

// slowLimit is how much may wait for a client in these cases: a few blocks.
const slowLimit = 4 * block

// overrun sends numbered messages to a client that does not read, until so many
// are lost.
func (s *scene) overrun(lost int64, reason hooks.DropReason, send func(i int) error) (sent int) {
	s.t.Helper()
	for s.Stats().Drops[reason].Messages < lost {
		if sent == 2000 {
			s.t.Fatalf("%d bytes to a client that does not read, and it has lost nothing", sent*block)
		}
		must(s.t, send(sent))
		sent++
	}
	return sent
}

// A diary is what a client that has asked to be told of gaps was sent.
type diary struct {
	numbers []int // in order
	missing int   // the sum of the gaps that it was told of
}

// diaryOf reads up to "end".
func diaryOf(p *peer) (d diary) {
	p.t.Helper()
	for {
		_, data, err := p.ReadMessage()
		must(p.t, err)
		var gap struct{ Gap int }
		switch {
		case string(data) == "end":
			return d
		case len(data) < 100 && json.Unmarshal(data, &gap) == nil && gap.Gap > 0:
			d.missing += gap.Gap
		default:
			n := numberOf(data, block)
			if n < 0 || len(d.numbers) > 0 && n <= d.numbers[len(d.numbers)-1] {
				p.t.Fatalf("message %d came behind %v", n, d.numbers)
			}
			d.numbers = append(d.numbers, n)
		}
	}
}

// dropping: a client that is not closed for its slowness gets what there is room
// for, in order, learns how much it has missed, and where, and is served on. What
// it has missed is counted, to the message.
func dropping(policy transport.SlowPolicy) func(*testing.T, maker) {
	return func(t *testing.T, mk maker) {
		s := start(t, mk, gateway.Config{
			WriteLimit: slowLimit, MailboxLimit: 1 << 20, Slow: policy,
			Hooks: []any{hooks.TellGaps("name")}, // all clients ask, by a parameter that each has
		})
		p, other := s.deaf(), s.join()
		sent := s.overrun(20, hooks.DropSlow, func(i int) error {
			return s.SingleCast(t.Context(), p.id, numbered(i, block))
		})
		ended := make(chan error, 1)
		go func() {
			// It may be dropped as well, until the client has read something.
			for s.Stats().Clients == 2 {
				if err := s.SingleCast(t.Context(), p.id, []byte("end")); err != nil {
					ended <- err
					return
				}
				time.Sleep(5 * time.Millisecond)
			}
			ended <- nil
		}()
		d := diaryOf(p)
		p.leaveAll()
		must(t, within(t, ended, "the end of the sender"))
		if newest := d.numbers[len(d.numbers)-1]; policy == transport.SlowDropOldest && newest != sent-1 {
			t.Errorf("of %d messages, the last that came is %d", sent, newest)
		}
		if d.missing < sent-len(d.numbers) {
			t.Errorf("%d of %d messages came; told of %d missing", len(d.numbers), sent, d.missing)
		}
		other.echoes("served on")
		other.leave()
		s.settle()
		must(t, s.Stop())
		if st := s.Stats(); st.Drops[hooks.DropSlow].Messages < int64(sent-len(d.numbers)) || st.MessagesOut < int64(len(d.numbers)) {
			t.Errorf("%d of %d messages came, counted %d and %+v", len(d.numbers), sent, st.MessagesOut, st.Drops)
		}
	}
}

// leaveAll is leave for a client that messages may still be on their way to.
func (p *peer) leaveAll() {
	p.t.Helper()
	must(p.t, p.WriteClose(websocket.CloseNormal, ""))
	for {
		if _, _, err := p.ReadMessage(); err != nil {
			if !isClose(err, websocket.CloseNormal) {
				p.t.Error(err)
			}
			return
		}
	}
}

// latest: of what is published with keys, a client that reads too slowly gets the
// last of each, behind what was sent before; no more is lost than was superseded.
func latest(t *testing.T, mk maker) {
	const topics, keys = 2, 3
	s := start(t, mk, gateway.Config{
		WriteLimit: 2 * topics * keys * block, MailboxLimit: 1 << 20, Slow: transport.SlowLatest,
	})
	p, other := s.deaf(), s.join()
	names := []string{"a", "b"}
	must(t, s.Subscribe(t.Context(), p.id, names, nil))
	sent := s.overrun(30, hooks.DropSuperseded, func(i int) error {
		// The keys of one topic are not those of the other.
		return s.PublishLatest(t.Context(), names[i%topics:][:1], fmt.Sprint(i/topics%keys), numbered(i, block))
	})
	must(t, s.SingleCast(t.Context(), p.id, []byte("end")))
	d := diaryOf(p)
	got := make(map[int]bool)
	for _, n := range d.numbers {
		got[n] = true
	}
	for i := sent - topics*keys; i < sent; i++ {
		if !got[i] {
			t.Errorf("message %d of %d was not superseded and did not come: %v", i, sent, d.numbers)
		}
	}
	p.leave()
	other.echoes("served on")
	other.leave()
	s.checkCounts(map[hooks.DropReason]int64{hooks.DropSuperseded: int64(sent - len(d.numbers))}, int64(len(d.numbers)+2))
}

// stallsTooLong: a client that takes nothing is closed when its time is up, long
// before its limit is passed, and what waits for it is counted.
func stallsTooLong(t *testing.T, mk maker) {
	setup := mk(t)
	timeout := setup.span(30*time.Second, time.Second)
	cfg := stallConfig()
	cfg.StallTimeout, cfg.Slow, cfg.HeartbeatInterval = timeout, transport.SlowDropNewest, -1
	s := startOn(t, setup, cfg)
	p := s.stall()
	begin := time.Now()
	s.pass(timeout + time.Second)
	s.awaitClients(0)
	if took := time.Since(begin); s.setup.Advance == nil && took > timeout+2*time.Second {
		t.Errorf("closed after %v, want %v", took, timeout)
	}
	s.pass(closedFor)
	// It may still learn why, if it reads in time.
	if _, err := follow(p, block, func(int) {}); isClose(err, websocket.CloseNormal) {
		t.Error(err)
	}
	s.settle()
	must(t, s.Stop())
	if st := s.Stats(); total(st) != stalled || st.Drops[hooks.DropSlow].Messages == 0 {
		t.Errorf("written %d + dropped %+v, want %d together", st.MessagesOut, st.Drops, stalled)
	}
}

// memoryBudget: when all clients together hold too much, those that hold the most
// are closed, newcomers are asked to wait, and the others are served on.
func memoryBudget(t *testing.T, mk maker) {
	const clients, budget = 12, 4 << 20
	s := start(t, mk, gateway.Config{WriteLimit: math.MaxInt32, MaxMessage: 64 << 20, MailboxLimit: 1 << 20, MemoryBudget: budget})
	other := s.join()
	var deaf []string
	for range clients {
		deaf = append(deaf, s.deaf().id)
	}
	writer := s.join()
	part := wsclient.AppendFrame(nil, wsclient.Frame{Fin: true, Op: websocket.OpText, Data: []byte(strings.Repeat("x", 2*budget))}, [4]byte{1, 2, 3, 4})
	_, err := writer.Write(part[:len(part)-1])
	if err == nil {
		_, _, err = writer.ReadMessage() // to the end, if it comes as a surprise
	}
	if ce := (*wsclient.CloseError)(nil); errors.As(err, &ce) && (ce.Code != websocket.CloseTryAgainLater || ce.Reason != "memory budget") {
		t.Errorf("a message of twice the budget ended with %v", err)
	}
	s.awaitClients(clients + 1)
	sent := s.overrun(1, hooks.DropBudget, func(i int) error {
		return s.Multicast(t.Context(), deaf, numbered(i, block))
	})
	if n := s.Stats().Clients; n < 2 {
		t.Errorf("%d clients are left, want those that hold less", n)
	}
	other.echoes("served on")
	s.Eventually("there is room", func() bool { return s.Stats().Held <= budget })
	late := s.join()
	late.echoes("let in when there is room")
	for range 20 {
		must(t, s.Multicast(t.Context(), deaf, numbered(sent, block)))
		sent++
	}
	other.echoes("served on")
	other.leave()
	late.leave()
	s.forceAll(deaf)
	s.settle()
	must(t, s.Stop())
	if got, want := total(s.Stats()), int64(sent*clients+3); got != want { // with the echoes
		t.Errorf("written and dropped %d, want %d: %+v", got, want, s.Stats())
	}
}

// forceAll ends clients, however many of them are left.
func (s *scene) forceAll(ids []string) {
	s.t.Helper()
	before := s.Stats().Clients
	online, err := s.CheckOnline(s.t.Context(), ids)
	must(s.t, err)
	must(s.t, s.ForceOffline(s.t.Context(), ids, nil))
	s.pass(closedFor)
	s.awaitClients(before - len(online))
}

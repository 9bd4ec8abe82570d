package loop

import (
	"strings"
	"testing"

	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/websocket"
)

func budgetKit(t *testing.T, limit int64) *kit {
	return newKit(t, func(o *transport.Options) {
		o.Budget, o.WriteLimit, o.MaxHeader = transport.NewBudget(limit), 1<<20, 32<<10
	})
}

// partOf is the first half of a client's message of so many bytes.
func partOf(size int) []byte {
	return clientFrame(websocket.OpText, strings.Repeat("x", size))[:size/2]
}

// Everything that a peer can make a connection hold counts, and nothing once it
// is gone.
func TestBudgetCounts(t *testing.T) {
	k := budgetKit(t, 1<<30)
	used := func() int64 { return k.opts.Budget.Used() }

	head := k.attach()
	head.conn.Input([]byte(request("/ws")[:20] + strings.Repeat("x", 20<<10)))
	if n := used(); n < 20<<10 {
		t.Errorf("an unfinished request head of 20 KiB counts %d", n)
	}
	head.close()
	want(t, "after its end", used(), 0)

	s := k.open()
	want(t, "a client at rest", used(), 0)
	s.conn.Input(partOf(200 << 10))
	if n := used(); n < 100<<10 {
		t.Errorf("half a message of 200 KiB counts %d", n)
	}
	s.conn.Input([]byte(strings.Repeat("x", 100<<10+14)))
	if n := len(k.h.of(1).messages); n == 0 {
		t.Fatal("the message did not come")
	}
	want(t, "after the message", used(), 0)

	s = k.open()
	s.room = 0
	for range 4 {
		s.conn.Send(sized(50 << 10))
		k.l.flush(1)
	}
	if n := used(); n < 200<<10 || n > 220<<10 {
		t.Errorf("200 KiB that wait count %d", n)
	}
	s.take(plenty)
	k.l.Relieve()
	want(t, "when the peer has read", used(), 0)
}

// When all hold too much, those that hold the most go, with a word if it can be
// said, and the others stay.
func TestBudgetSheds(t *testing.T) {
	k := budgetKit(t, 1<<20)
	var little, writers, readers []*fakeSocket
	for range 10 {
		s := k.open()
		s.conn.Input(partOf(16 << 10))
		little = append(little, s)
	}
	for range 8 {
		s := k.open()
		s.room = 0
		readers = append(readers, s)
		for range 4 {
			s.conn.Send(sized(30 << 10))
			k.l.flush(1)
		}
		w := k.open()
		w.conn.Input(partOf(200 << 10))
		writers = append(writers, w)
	}
	k.settle()
	want(t, "over in the end", k.opts.Budget.Over(), false)
	for i, s := range little {
		want(t, "closed, of those that hold little", s.closed, false)
		want(t, "told", k.h.of(i+1).closed, 0)
	}
	closed := 0
	for i := range readers {
		r, w := k.h.of(11+2*i), k.h.of(12+2*i)
		for _, a := range []*account{r, w} {
			closed += a.closed
			if a.closed > 0 {
				want(t, "cause", a.cause, transport.CloseCause{Code: 1013, Reason: "memory budget"})
			}
		}
		if r.closed > 0 {
			want(t, "dropped", r.dropped[transport.DropBudget], 4)
		}
		if w.closed > 0 {
			k.wantBytes(writers[i], &transport.Frame{Plain: closeFrame(1013, "memory budget")})
		}
		want(t, "their sockets", readers[i].closed, r.closed > 0)
		want(t, "their sockets", writers[i].closed, w.closed > 0)
	}
	if closed == 0 || closed > 12 {
		t.Errorf("%d of 16 closed", closed)
	}
}

// A loop whose own connections hold little leaves it to the others; one that holds
// much finds out at its next tick.
func TestBudgetOfOthers(t *testing.T) {
	k := newKit(t, func(o *transport.Options) { o.Budget, o.MaxMessage = transport.NewBudget(1<<20), 4<<20 })
	s := k.open()
	s.conn.Input(partOf(200 << 10))
	other := k.opts.Budget.Account(0, 2<<20)
	for range 3 {
		s.conn.Input([]byte("x"))
		k.l.Tick(k.now)
		k.settle()
	}
	want(t, "closed with a tenth of what another holds", s.closed, false)
	other = k.opts.Budget.Account(other, 0)

	much := k.open()
	much.conn.Input(partOf(1200 << 10))
	want(t, "closed within the budget", much.closed, false)
	k.opts.Budget.Account(other, 600<<10)
	k.l.Tick(k.now)
	k.settle()
	want(t, "closed when another passes the budget", much.closed, true)
	want(t, "the small one closed", s.closed, false)
}

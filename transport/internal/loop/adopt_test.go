package loop

import (
	"testing"
	"time"

	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/websocket"
)

// adopt makes a connection that is open, by way of a handshake elsewhere.
func (k *kit) adopt(value any, received string) *fakeSocket {
	s := &fakeSocket{t: k.t, room: plenty}
	s.conn = k.l.Adopt(s, transport.Upgrade{Handler: k.h, Value: value})
	s.conn.Begin([]byte(received))
	k.settle()
	return s
}

func TestAdopt(t *testing.T) {
	k := newKit(t, func(o *transport.Options) { o.IdleTimeout = time.Minute })
	s := k.adopt("her", string(clientFrame(websocket.OpText, "already here")))
	a := k.h.of("her")
	want(t, "Open", a.opened, 1)
	want(t, "messages", len(a.messages), 1)
	s.conn.Send(text("hello"))
	k.l.flush(1)
	k.wantBytes(s, text("hello"))

	// It is idle like any other, and has no handshake that could time out.
	k.advance(30 * time.Second)
	want(t, "closed before its time", a.closed, 0)
	k.advance(31 * time.Second)
	want(t, "cause", a.cause.Code, websocket.CloseGoingAway)
}

// A connection that ends between Adopt and Begin was never open.
func TestAdoptedAndLost(t *testing.T) {
	k := newKit(t)
	s := &fakeSocket{t: t, room: plenty}
	s.conn = k.l.Adopt(s, transport.Upgrade{Handler: k.h, Value: "lost"})
	s.close()
	s.conn.Begin(nil)
	a := k.h.of("lost")
	want(t, "Abort", a.aborted, 1)
	want(t, "Open", a.opened, 0)
}

func TestPanicWhileAdopting(t *testing.T) {
	k := newKit(t)
	k.h.onOpen = func(*Conn) { panic("no") }
	s := k.adopt("her", "")
	want(t, "code", k.h.of("her").cause.Code, websocket.CloseInternalError)
	k.wantBytes(s, &transport.Frame{Plain: closeFrame(websocket.CloseInternalError, "internal error")})
}

func TestCloseAdopted(t *testing.T) {
	k := newKit(t)
	own, adopted := k.open(), k.adopt("her", "")
	k.l.CloseAdopted(websocket.CloseGoingAway, "away")
	want(t, "closed before the loop came to it", k.h.of("her").closed, 0)
	k.settle()
	want(t, "closed", k.h.of("her").closed, 1)
	want(t, "code", k.h.of("her").cause.Code, websocket.CloseGoingAway)
	want(t, "own connections closed", own.conn.state, stateOpen)
	k.wantBytes(adopted, &transport.Frame{Plain: closeFrame(websocket.CloseGoingAway, "away")})

	k.l.Stop()
	k.l.CloseAdopted(websocket.CloseGoingAway, "away") // nobody is left
}

// A socket that is written elsewhere stalls at each write; what gathers meanwhile
// leaves when it says that it has drained, and other sockets are left alone.
func TestDrained(t *testing.T) {
	k := newKit(t)
	s, other := k.adopt("her", ""), k.adopt("him", "")
	s.room, other.room = 0, 0
	first, more := text("first"), []*transport.Frame{text("and"), text("more")}
	s.conn.Send(first)
	other.conn.Send(first)
	k.l.flush(2)
	for _, f := range more {
		s.conn.Send(f)
		other.conn.Send(f)
	}
	k.l.flush(2)
	want(t, "writes while the socket is busy", s.writes, 1)
	want(t, "counted before it was written", k.h.written, 0)

	s.take(plenty)
	s.conn.Drained()
	k.wantBytes(s, first, more[0], more[1])
	want(t, "writes", s.writes, 2)
	want(t, "writes of the other", other.writes, 1)
	want(t, "counted", k.h.written, 3)
	s.conn.Drained() // once more, with nothing to do
	want(t, "writes", s.writes, 2)
}

// Stalling at each write costs no allocation.
func TestStallingAllocatesNothing(t *testing.T) {
	k := newKit(t)
	s := k.adopt("her", "")
	f := text("again")
	if allocs := testing.AllocsPerRun(100, func() {
		s.held, s.got, s.room = s.held[:0], s.got[:0], 0
		s.conn.Send(f)
		k.l.flush(1)
		s.held = s.held[:0]
		s.conn.Drained()
	}); allocs != 0 {
		t.Errorf("%.1f allocations", allocs)
	}
}

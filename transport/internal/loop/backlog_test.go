package loop

import (
	"bytes"
	"testing"

	"github.com/sluicegate/sluice/transport"
)

func TestStalledPeerGetsTheRestInOrder(t *testing.T) {
	k := newKit(t)
	s := k.open()
	s.room = 5
	var frames []*transport.Frame
	for _, m := range []string{"first", "second", "third", "fourth"} {
		f := text(m)
		frames = append(frames, f)
		k.post(&sends{to: []*Conn{s.conn}, frame: f})
		k.settle()
	}
	want(t, "writes while the peer does not read", s.writes, 1)
	want(t, "hurried", k.e.hurries, 1)
	want(t, "stalled", k.l.Stalled(), true)
	want(t, "written", k.h.written, 0)
	s.take(plenty)
	k.l.Relieve()
	want(t, "writes in all", s.writes, 2)
	k.wantBytes(s, frames...)
	want(t, "written", k.h.written, 4)
	want(t, "written bytes", k.h.writtenBytes, int64(len(s.got)))
	want(t, "stalled", k.l.Stalled(), false)
	if s.conn.backlog != nil {
		t.Error("the backlog is kept")
	}
}

// A connection that stalls, recovers by a send and stalls again between two
// looks is listed once.
func TestFlappingPeerIsListedOnce(t *testing.T) {
	k := newKit(t)
	s := k.open()
	s.room = 0
	send := func() {
		k.post(&sends{to: []*Conn{s.conn}, frame: text("x")})
		k.settle()
	}
	for range 100 {
		send() // stalls
		s.take(len(s.held) + len(text("x").Plain))
		send() // finds room for all there is
		if s.conn.backlog != nil {
			t.Fatal("still stalled")
		}
	}
	send()
	want(t, "entries", len(k.l.stalled), 1)
	want(t, "hurried", k.e.hurries, 1)
	s.take(plenty)
	k.l.Relieve()
	want(t, "entries", len(k.l.stalled), 0)
	want(t, "written", k.h.written, 201)
	s.room = 0
	send()
	want(t, "hurried for a new stall", k.e.hurries, 2)
}

func TestOverflow(t *testing.T) {
	k := newKit(t, func(o *transport.Options) { o.WriteLimit = 1000 })
	s := k.open()
	s.room = 0
	handed := sized(300)
	send := func(f *transport.Frame) {
		k.post(&sends{to: []*Conn{s.conn}, frame: f})
		k.settle()
	}
	send(handed)
	for range 4 {
		send(sized(200)) // 864 with what each counts for besides
	}
	a := k.h.of(1)
	want(t, "closed within the limit", a.closed, 0)
	send(sized(200))
	want(t, "closed", a.closed, 1)
	want(t, "cause", a.cause, transport.CloseCause{Code: 1013, Reason: "slow consumer"})
	want(t, "dropped", a.dropped[transport.DropSlow], 5)
	want(t, "dropped bytes", a.droppedBytes, 1000)
	send(text("too late"))
	want(t, "dropped after the close", a.dropped[transport.DropClosed], 1)

	// The peer still gets what the engine had, whole, and the close frame.
	s.take(plenty)
	k.l.Relieve()
	k.wantBytes(s, handed, &transport.Frame{Plain: closeFrame(1013, "slow consumer")})
	want(t, "written", k.h.written, 1)
	s.conn.Input(clientClose(1013, ""))
	want(t, "socket closed", s.closed, true)
	want(t, "entries left", len(k.l.nodes.items), countFree(k.l))
}

func countFree(l *Loop) (n int) {
	for i := l.nodes.free; i != 0; i = l.nodes.items[i-1].next {
		n++
	}
	return n
}

// Small frames count for more than their bytes, or a client could be made to
// hold very many of them.
func TestManySmallFramesOverflow(t *testing.T) {
	k := newKit(t, func(o *transport.Options) { o.WriteLimit = 1000 })
	s := k.open()
	s.room = 0
	for range 1000 {
		k.post(&sends{to: []*Conn{s.conn}, frame: text("")})
		k.settle()
	}
	a := k.h.of(1)
	want(t, "closed", a.closed, 1)
	s.close()
	want(t, "dropped", a.dropped[0]+a.dropped[1]+a.dropped[2], 1000)
}

// Pings from a peer that does not read their answers are bounded too, and
// nothing comes after Close.
func TestPingFloodOfAStalledPeer(t *testing.T) {
	k := newKit(t, func(o *transport.Options) { o.WriteLimit = 1000 })
	s := k.open()
	s.room = 0
	for range 100 {
		s.conn.Input(clientFrame(9, "ping"))
		k.settle()
	}
	a := k.h.of(1)
	want(t, "closed", a.closed, 1)
	want(t, "code", a.cause.Code, 1013)
	want(t, "dropped", a.dropped, [5]int64{})
	if a.pings == 0 || a.pings == 100 {
		t.Errorf("%d pings reported", a.pings)
	}
}

// A handler that answers a drop with a send must not send the loop in circles.
func TestSendInsideDropped(t *testing.T) {
	k := newKit(t, func(o *transport.Options) { o.WriteLimit = 100 })
	s := k.open()
	s.room = 0
	resent := 0
	k.h.onDropped = func(c *Conn, reason transport.DropReason) {
		if reason == transport.DropSlow {
			resent++
			c.Send(text("sorry"))
		}
	}
	for range 5 {
		k.post(&sends{to: []*Conn{s.conn}, frame: sized(50)})
		k.settle()
	}
	a := k.h.of(1)
	want(t, "dropped slow", a.dropped[transport.DropSlow], 2)
	want(t, "dropped closed", a.dropped[transport.DropClosed], int64(resent)+2)
}

// A write that fails ends the connection, whether the socket closes itself,
// is closed at once or only later, and whoever was in the middle of a write.
func TestFailedWrites(t *testing.T) {
	for name, c := range map[string]struct{ self, async bool }{
		"the socket closes itself": {self: true},
		"the engine closes it":     {},
		"the engine takes a while": {async: true},
	} {
		for _, stage := range []string{"flush", "large flush", "relieve", "send of a chunk", "overflow"} {
			t.Run(name+"/"+stage, func(t *testing.T) {
				k := newKit(t, func(o *transport.Options) { o.WriteLimit = 100 << 10 })
				k.e.async = c.async
				other := k.open()
				s := k.open()
				s.selfClose = c.self
				k.h.onClose = func(*Conn) { other.conn.Send(text("someone left")) } // nests
				sent, wrote := int64(0), int64(0)
				send := func(sizes ...int) {
					k.post(do(func() {
						for _, n := range sizes {
							s.conn.Send(sized(n))
							sent++
						}
					}))
					k.settle()
				}
				switch stage {
				case "flush":
					s.broken = true
					send(10, 20, 30)
				case "large flush":
					s.broken = true
					send(chunk-1, 20, chunk, 10)
				case "relieve":
					s.room = 5
					send(10)
					send(20, 30)
					s.broken = true
					s.take(5)
					wrote = 1 // the first, now whole
					k.l.Relieve()
				case "send of a chunk":
					s.broken = true
					send(chunk/2, chunk, 10, 10)
				case "overflow":
					s.room = 0
					send(10)
					send(90<<10, 5)
					s.broken = true
					s.take(10)
					wrote = 1 // all that was handed over before
					send(90<<10, 5)
				}
				writes := s.writes
				s.conn.Close(4000, "")
				for range 3 { // nothing may be written in the meantime
					send(7)
					s.conn.Input(clientFrame(1, "still there?"))
					k.l.Relieve()
					k.advance(tick)
				}
				for _, f := range k.e.closing {
					f.close()
				}
				k.settle()
				want(t, "writes after the failure", s.writes-writes, 0)
				want(t, "CloseSocket calls", len(k.e.closing), map[bool]int{true: 1}[c.async])
				want(t, "closed", s.closed, true)
				a := k.h.of(2)
				want(t, "Close events", a.closed, 1)
				others := int64(0)
				if len(other.got) > 0 {
					others = 1
				}
				want(t, "the other's message", others, 1)
				want(t, "messages that were written", k.h.written-others, wrote)
				total := k.h.written - others + a.dropped[0] + a.dropped[1] + a.dropped[2]
				want(t, "messages accounted for", total, sent)
				want(t, "messages the client was sent", len(a.messages), 0)
				want(t, "free nodes", countFree(k.l), len(k.l.nodes.items))
			})
		}
	}
}

// When a connection's end has others written to, their bytes and its own do
// not mix.
func TestNestedFlush(t *testing.T) {
	k := newKit(t)
	a, b := k.open(), k.open()
	big := sized(chunk)
	k.h.onClose = func(*Conn) { b.conn.Send(big) } // a chunk: written at once
	a.selfClose, a.broken = true, true
	k.post(do(func() {
		a.conn.Send(text("one"))
		a.conn.Send(text("two"))
		b.conn.Send(text("before"))
	}))
	k.settle()
	k.wantBytes(b, text("before"), big)
	want(t, "written", k.h.written, 2)
	want(t, "dropped", k.h.of(1).dropped[transport.DropFailed], 2)
}

func TestLongBacklogIsCompacted(t *testing.T) {
	k := newKit(t, func(o *transport.Options) { o.WriteLimit = 16 << 20 })
	s := k.open()
	s.room = 0
	var wanted []byte
	sent := 0
	send := func(n int) {
		f := sized(n)
		wanted = append(wanted, f.Plain...)
		s.conn.Send(f)
		sent++
	}
	for range 300 {
		send(30 << 10)
	}
	k.l.flush(1)
	for range 90 {
		s.take(len(s.held))
		k.l.Relieve()
		send(1 << 10)
		k.l.flush(1)
	}
	if n := len(s.conn.backlog.frames); n > 300 {
		t.Errorf("%d places for %d frames", n, n-s.conn.backlog.head)
	}
	s.take(plenty)
	k.l.Relieve()
	if !bytes.Equal(s.got, wanted) {
		t.Error("the bytes are not those that were sent")
	}
	want(t, "written", k.h.written, int64(sent))
}

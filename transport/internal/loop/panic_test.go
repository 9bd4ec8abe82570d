package loop

import (
	"testing"
	"time"

	"github.com/sluicegate/sluice/transport"
)

// A panic in any call of the handler costs the connection that it is about:
// not the loop, not the others, and no message goes uncounted.
func TestPanicsCostOneConnection(t *testing.T) {
	var k *kit
	var s, other *fakeSocket
	boom := func() { panic("boom") }
	on := func(c *Conn) {
		if c == s.conn {
			boom()
		}
	}
	broken := func(self bool) func() {
		return func() {
			k.h.onDropped = func(c *Conn, _ transport.DropReason) { on(c) }
			s.broken, s.selfClose = true, self
			k.post(&sends{to: []*Conn{other.conn, s.conn, other.conn}, frame: text("to all")})
			k.settle()
		}
	}
	for name, c := range map[string]struct {
		do   func()
		sent int64
	}{
		"Message": {func() {
			k.h.onMessage = func(c *Conn, _ string) { on(c) }
			s.conn.Input(clientFrame(1, "x"))
		}, 0},
		"Message, closed before": {func() {
			k.h.onMessage = func(c *Conn, _ string) { c.Close(4000, ""); boom() }
			s.conn.Input(clientFrame(1, "x"))
		}, 0},
		"Ping": {func() {
			k.h.onPing = on
			s.conn.Input(clientFrame(9, "x"))
		}, 0},
		"Close, by us": {func() {
			k.h.onClose = on
			s.conn.Close(4000, "")
		}, 0},
		"Close, by the peer": {func() {
			k.h.onClose = on
			s.conn.Input(clientClose(1000, ""))
		}, 0},
		"Close, the peer has left": {func() {
			k.h.onClose = on
			s.close()
		}, 0},
		"Close, by CloseAll": {func() {
			k.h.onClose = func(*Conn) { boom() }
			k.l.CloseAll(1001, "")
		}, 0},
		"Close, timed out": {func() {
			k.h.onClose = on
			k.advance(k.opts.IdleTimeout / 2)
			other.conn.Input(clientFrame(9, ""))
			k.advance(k.opts.IdleTimeout / 2)
		}, 0},
		"Close, inside a panic": {func() {
			k.h.onMessage = func(c *Conn, _ string) { on(c) }
			k.h.onClose = on
			s.conn.Input(clientFrame(1, "x"))
		}, 0},
		"Dropped, the socket closes itself": {broken(true), 3},
		"Dropped, the engine closes it":     {broken(false), 3},
		"Dropped, late": {func() {
			k.h.onDropped = func(c *Conn, _ transport.DropReason) { on(c) }
			s.conn.Close(4000, "")
			k.post(&sends{to: []*Conn{s.conn, other.conn}, frame: text("late")})
			k.settle()
		}, 2},
		"Dropped, slow": {func() {
			k.h.onDropped = func(c *Conn, _ transport.DropReason) { on(c) }
			s.room = 0
			for range 10 {
				k.post(&sends{to: []*Conn{s.conn, other.conn}, frame: sized(1000)})
				k.settle()
			}
		}, 20},
		"Dropped, one of a backlog": {func() {
			k.h.onDropped = func(c *Conn, _ transport.DropReason) { on(c) }
			s.room = 0
			for range 3 {
				k.post(&sends{to: []*Conn{s.conn, other.conn}, frame: sized(1000)})
				k.settle()
			}
			s.close()
		}, 6},
		"Written": {func() {
			k.h.onWritten = func() { k.h.onWritten = nil; boom() }
			k.post(&sends{to: []*Conn{s.conn}, frame: text("x")})
			k.settle()
			s.close()
		}, 1},
		"a task": {func() {
			k.post(do(boom))
			k.settle()
			s.close()
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			k = newKit(t, func(o *transport.Options) { o.WriteLimit = 5000; o.IdleTimeout = time.Minute })
			other, s = k.open(), k.open()
			c.do()
			k.settle()
			a, b := k.h.of(2), k.h.of(1)
			want(t, "Close events", a.closed, 1)
			written := k.h.written
			all := name == "Close, by CloseAll"
			want(t, "the other was closed", b.closed > 0, all)
			want(t, "the other lost", b.dropped, [5]int64{})

			// The loop is as it should be.
			k.h.onMessage, k.h.onDropped, k.h.onClose, k.h.onPing = nil, nil, nil, nil
			if !all {
				s2 := k.open()
				s2.conn.Input(clientFrame(1, "hello"))
				want(t, "messages of the next", len(k.h.of(3).messages), 1)
				before := len(other.got)
				k.post(&sends{to: []*Conn{other.conn}, frame: text("well?")})
				k.settle()
				want(t, "bytes to the other", len(other.got)-before, len(text("well?").Plain))
			}
			k.l.CloseAll(1001, "")
			k.settle()
			k.advance(time.Minute)
			want(t, "messages accounted for", written+a.dropped[0]+a.dropped[1]+a.dropped[2], c.sent)
			want(t, "connections", k.l.Conns(), 0)
			want(t, "bytes in the mailbox", k.l.box.bytes, 0)
			want(t, "busy", k.l.box.busy, false)
			want(t, "Close events in the end", a.closed, 1)
		})
	}
}

func TestPanicWhileOpening(t *testing.T) {
	for name, c := range map[string]struct {
		status          string
		opened, aborted int
		when            func(k *kit)
	}{
		"Handshake, before its decision": {"500", 0, 0, func(k *kit) {
			k.h.onHandshake = func(transport.Handshake) { panic("boom") }
		}},
		"Handshake, after its decision": {"500", 0, 1, func(k *kit) {
			k.h.onHandshake = func(hs transport.Handshake) { hs.Accept(1, nil); panic("boom") }
		}},
		"Open": {"101", 1, 0, func(k *kit) { k.h.onOpen = func(*Conn) { panic("boom") } }},
		"Abort": {"", 0, 1, func(k *kit) {
			k.h.onAbort = func() { panic("boom") }
			k.h.hold = true
			k.h.onHandshake = func(hs transport.Handshake) {
				k.h.handshakes[0].(*handshake).conn.sock.(*fakeSocket).close()
				hs.Accept(1, nil)
			}
		}},
		"a second Accept": {"101", 1, 1, func(k *kit) {
			k.h.onAbort = func() { panic("boom") }
			k.h.hold = true
			k.h.onHandshake = func(hs transport.Handshake) { hs.Accept(1, nil); hs.Accept(1, nil) }
		}},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKit(t)
			c.when(k)
			s := k.attach()
			s.conn.Input(append([]byte(request("/ws")), clientFrame(1, "x")...))
			k.settle()
			want(t, "status", status(s), c.status)
			a := k.h.of(1)
			want(t, "opened", a.opened, c.opened)
			want(t, "aborted", a.aborted, c.aborted)
			if name == "Open" {
				want(t, "closed", a.closed, 1)
				want(t, "code", a.cause.Code, 1011)
				want(t, "messages", len(a.messages), 0)
			}
			k.advance(time.Hour)
			want(t, "closed in the end", s.closed, name != "a second Accept")
			want(t, "busy", k.l.box.busy, false)
		})
	}
}

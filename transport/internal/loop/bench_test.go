package loop

import (
	"fmt"
	"testing"
	"time"

	"github.com/sluicegate/sluice/transport"
)

// echoes is a Handler that answers each message with a frame, and keeps nothing.
type echoes struct{ frame *transport.Frame }

func (echoes) Handshake(hs transport.Handshake)                           { hs.Accept(nil, nil) }
func (echoes) Open(transport.Conn)                                        {}
func (e echoes) Message(c transport.Conn, _ []byte, _ bool)               { c.Send(e.frame) }
func (echoes) Ping(transport.Conn)                                        {}
func (echoes) Close(transport.Conn, transport.CloseCause)                 {}
func (echoes) Abort(any)                                                  {}
func (echoes) Written(_, _ int64)                                         {}
func (echoes) Dropped(transport.Conn, transport.DropReason, int64, int64) {}

// benchKit is newKit without the recorder, whose notes would be measured too.
func benchKit(b *testing.B, change ...func(*transport.Options)) *kit {
	k := newKit(b, change...)
	k.l.handler = echoes{sized(100)}
	return k
}

// crowd opens connections that forget what they get.
func (k *kit) crowd(n int) []*Conn {
	all := make([]*Conn, n)
	for i := range all {
		s := k.open()
		s.discard = true
		all[i] = s.conn
	}
	return all
}

// BenchmarkInput is what arrives from one client in one read: a message that is
// answered, as by an inline handler, a ping, and a message of which half is
// missing.
func BenchmarkInput(b *testing.B) {
	message := clientFrame(1, string(make([]byte, 100)))
	for _, test := range []struct {
		name   string
		pieces [][]byte
	}{
		{"echo", [][]byte{message}},
		{"ping", [][]byte{clientFrame(9, "still here")}},
		{"halves", [][]byte{message[:50], message[50:]}},
	} {
		b.Run(test.name, func(b *testing.B) {
			k := benchKit(b)
			c := k.crowd(1)[0]
			buf := make([]byte, len(message)) // decoding overwrites it
			b.ReportAllocs()
			for b.Loop() {
				for _, p := range test.pieces {
					c.Input(buf[:copy(buf, p)])
				}
			}
		})
	}
}

// BenchmarkMailbox posts so many tasks to a loop at rest, which then drains.
func BenchmarkMailbox(b *testing.B) {
	for _, tasks := range []int{1, 16} {
		b.Run(fmt.Sprint(tasks), func(b *testing.B) {
			k := benchKit(b)
			t := &task{run: func(int) (int, bool) { return 1, true }, recipients: 1, bytes: 100}
			b.ReportAllocs()
			for b.Loop() {
				for range tasks {
					_ = k.l.Post(t)
				}
				k.settle()
			}
		})
	}
}

// BenchmarkFlush sends so many messages to one client, which leave in one write.
func BenchmarkFlush(b *testing.B) {
	for _, messages := range []int{1, 16} {
		b.Run(fmt.Sprint(messages), func(b *testing.B) {
			k := benchKit(b)
			c, f := k.crowd(1)[0], sized(100)
			b.ReportAllocs()
			for b.Loop() {
				for range messages {
					c.Send(f)
				}
				k.l.flush(1)
			}
		})
	}
}

// BenchmarkFanOut is one message to many clients, from the mailbox to the sockets.
func BenchmarkFanOut(b *testing.B) {
	for _, clients := range []int{1000, 8000} {
		b.Run(fmt.Sprint(clients), func(b *testing.B) {
			k := benchKit(b)
			t := &sends{to: k.crowd(clients), frame: sized(100)}
			b.ReportAllocs()
			for b.Loop() {
				t.next = 0
				_ = k.l.Post(t)
				k.settle()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(clients), "ns/delivery")
		})
	}
}

// BenchmarkBacklog sends 16 messages to a client that has stopped reading, which
// then reads on.
func BenchmarkBacklog(b *testing.B) {
	k := benchKit(b)
	s, f, full := k.open(), sized(100), make([]byte, 100)
	s.discard = true
	b.ReportAllocs()
	for b.Loop() {
		s.held = full
		for range 16 {
			s.conn.Send(f)
			k.l.flush(1)
		}
		s.held = nil
		k.l.Relieve()
		if s.conn.backlog != nil {
			b.Fatal("something waits")
		}
	}
}

// BenchmarkTick is one tick of a loop of 10,000 clients, all of which are heard of
// just in time.
func BenchmarkTick(b *testing.B) {
	const clients, idle = 10_000, 2 * time.Minute
	k := benchKit(b, func(o *transport.Options) { o.IdleTimeout = idle })
	all, next := k.crowd(clients), 0
	step := func() {
		for range clients/(idle/tick) + 1 {
			all[next%clients].lastSeen = k.l.wheel.soon
			next++
		}
		k.now = k.now.Add(tick)
		k.l.Tick(k.now)
	}
	for range 2 * idle / tick {
		step() // deadlines spread as clients are heard of
	}
	b.ReportAllocs()
	for b.Loop() {
		step()
	}
	if n := k.l.Conns(); n != clients || all[0].state != stateOpen {
		b.Fatalf("%d connections are left", n)
	}
}

// BenchmarkWheel sets, moves and removes deadlines on a wheel that has 10,000.
func BenchmarkWheel(b *testing.B) {
	var w wheel
	for i := range 10_000 {
		w.set(&Conn{slot: noSlot}, uint32(1+i%480))
	}
	c, after := &Conn{slot: noSlot}, uint32(0)
	b.ReportAllocs()
	for b.Loop() {
		after++
		w.set(c, 1+after%480)
		w.set(c, 480)
		w.remove(c)
	}
}

// BenchmarkHandshake is the life of a client that connects and leaves.
func BenchmarkHandshake(b *testing.B) {
	k := benchKit(b)
	head := []byte(request("/ws", "User-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n", "Origin: http://example.com\r\n",
		"Pragma: no-cache\r\n", "Cache-Control: no-cache\r\n", "Accept-Language: en\r\n"))
	b.ReportAllocs()
	for b.Loop() {
		s := k.attach()
		s.discard = true
		s.conn.Input(head)
		k.settle()
		if s.conn.state != stateOpen {
			b.Fatal("not open")
		}
		s.close()
	}
}

package loop

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sluicegate/sluice/transport"
)

// traffic is what one connection was sent, in order.
type traffic struct {
	s         *fakeSocket
	value     any
	sent      int64
	bytes     int64
	frames    [][]byte // while it was open, control frames too
	overflows bool
}

// Whatever happens to connections, every message is reported as written or as
// dropped exactly once, and what a peer got is a prefix of what it was sent.
func TestEveryMessageIsAccountedFor(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		k := newKit(t, func(o *transport.Options) { o.WriteLimit = 2000; o.IdleTimeout = time.Minute })
		k.e.async = rapid.Bool().Draw(rt, "engine closes later")
		var all []*traffic
		for i := range rapid.IntRange(1, 3).Draw(rt, "connections") {
			s := k.open()
			s.room = rapid.SampledFrom([]int{0, 10, 500, plenty}).Draw(rt, "room")
			s.selfClose = rapid.Bool().Draw(rt, "closes itself")
			all = append(all, &traffic{s: s, value: i + 1})
		}
		if rapid.Bool().Draw(rt, "handler sends in Close") {
			k.h.onClose = func(*Conn) {
				send(k, all[0], text("one of us has left"))
			}
		}
		pick := func(rt *rapid.T) *traffic { return all[rapid.IntRange(0, len(all)-1).Draw(rt, "connection")] }
		rt.Repeat(map[string]func(*rapid.T){
			"send": func(rt *rapid.T) {
				c, n := pick(rt), rapid.SampledFrom([]int{2, 50, 500, 1900, chunk - 100, chunk + 5}).Draw(rt, "size")
				times := rapid.IntRange(1, 5).Draw(rt, "times")
				k.post(do(func() {
					for range times {
						send(k, c, sized(n))
					}
				}))
			},
			"run": func(*rapid.T) { k.settle() },
			"read": func(rt *rapid.T) {
				if c := pick(rt); !c.s.closed {
					c.s.take(rapid.SampledFrom([]int{1, 100, 3000, 1 << 20}).Draw(rt, "bytes"))
				}
			},
			"tick": func(rt *rapid.T) {
				k.advance(time.Duration(rapid.IntRange(1, 4000).Draw(rt, "ms")) * time.Millisecond)
			},
			"ping": func(rt *rapid.T) {
				if c := pick(rt); !c.s.closed {
					c.s.conn.Input(clientFrame(9, "?"))
				}
			},
			"close": func(rt *rapid.T) {
				c := pick(rt)
				k.post(do(func() { c.s.conn.Close(4000, "bye") }))
			},
			"peer closes": func(rt *rapid.T) {
				if c := pick(rt); !c.s.closed {
					c.s.conn.Input(clientClose(1000, ""))
				}
			},
			"break": func(rt *rapid.T) { pick(rt).s.broken = true },
			"leave": func(rt *rapid.T) {
				if c := pick(rt); rapid.IntRange(0, 3).Draw(rt, "really") == 0 {
					c.s.close()
				}
			},
			"engine closes": func(*rapid.T) {
				for _, s := range k.e.closing {
					s.close()
				}
				k.e.closing = nil
			},
		})
		k.settle()
		k.l.CloseAll(1001, "going away")
		k.settle()
		for _, c := range all {
			c.s.close()
		}
		k.settle()
		k.l.Stop()

		var sent, bytesSent, dropped, droppedBytes int64
		for _, c := range all {
			a := k.h.of(c.value)
			sent += c.sent
			bytesSent += c.bytes
			dropped += a.dropped[0] + a.dropped[1] + a.dropped[2]
			droppedBytes += a.droppedBytes
			if a.opened != 1 || a.closed != 1 {
				rt.Fatalf("connection %v: %d Open, %d Close", c.value, a.opened, a.closed)
			}
			if err := c.checkBytes(); err != nil {
				rt.Fatalf("connection %v: %v", c.value, err)
			}
		}
		if k.h.written+dropped != sent {
			rt.Fatalf("%d messages sent, %d written and %d dropped", sent, k.h.written, dropped)
		}
		if k.h.writtenBytes+droppedBytes != bytesSent {
			rt.Fatalf("%d bytes sent, %d written and %d dropped", bytesSent, k.h.writtenBytes, droppedBytes)
		}
		if n := countFree(k.l); n != len(k.l.nodes.items) {
			rt.Fatalf("%d of %d nodes are free", n, len(k.l.nodes.items))
		}
		if k.l.box.bytes != 0 || k.l.Conns() != 0 || len(k.l.stalled) > len(all) {
			rt.Fatalf("left over: %d bytes, %d connections, %d stalled", k.l.box.bytes, k.l.Conns(), len(k.l.stalled))
		}
		if t.Failed() {
			rt.FailNow()
		}
	})
}

func send(k *kit, c *traffic, f *transport.Frame) {
	c.sent += int64(f.Messages)
	c.bytes += int64(len(f.Plain))
	was := c.s.conn.state
	slow := k.h.of(c.value).dropped[transport.DropSlow]
	c.s.conn.Send(f)
	if was == stateOpen && k.h.of(c.value).dropped[transport.DropSlow] == slow {
		c.frames = append(c.frames, f.Plain)
	}
	c.overflows = c.overflows || k.h.of(c.value).dropped[transport.DropSlow] > 0
}

// checkBytes walks through what the peer got: the messages that it was sent,
// in order, pongs between them, and a close frame with nothing behind it. The
// last may be cut anywhere; only a slow consumer misses some in the middle.
func (c *traffic) checkBytes() error {
	got, next := c.s.got, 0
	pong := []byte("\x8a\x01?")
	for len(got) > 0 {
		if bytes.HasPrefix(got, pong) {
			got = got[len(pong):]
			continue
		}
		if got[0] == 0x88 {
			if len(got) > 1 && len(got) > 2+int(got[1]) {
				return fmt.Errorf("%d bytes behind the close frame", len(got)-2-int(got[1]))
			}
			if next < len(c.frames) && !c.overflows {
				return fmt.Errorf("a close frame before %d messages", len(c.frames)-next)
			}
			return nil
		}
		if next == len(c.frames) {
			if len(got) < len(pong) && bytes.HasPrefix(pong, got) {
				return nil
			}
			return fmt.Errorf("%s was never sent", brief(got))
		}
		f := c.frames[next]
		next++
		if n := min(len(f), len(got)); !bytes.Equal(got[:n], f[:n]) {
			if len(got) < len(pong) && bytes.HasPrefix(pong, got) {
				return nil
			}
			return fmt.Errorf("message %d is %s, want %s", next, brief(got), brief(f))
		} else {
			got = got[n:]
		}
	}
	return nil
}

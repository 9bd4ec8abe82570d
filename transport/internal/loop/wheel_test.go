package loop

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sluicegate/sluice/transport"
)

// The wheel does what a plain table of deadlines would do.
func TestWheelAgainstATable(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var w wheel
		var elapsed time.Duration
		conns := make([]*Conn, 20)
		for i := range conns {
			conns[i] = &Conn{slot: noSlot, slotIndex: uint32(i)}
		}
		table := make(map[*Conn]uint32) // deadlines in ticks
		after := rapid.SampledFrom([]uint32{1, 2, 7, 254, 255, 256, 257, 600, 100_000})
		index := rapid.IntRange(0, len(conns)-1)
		set := func(rt *rapid.T) {
			c, n := conns[index.Draw(rt, "set")], after.Draw(rt, "after")
			w.set(c, n)
			due := elapsed + time.Duration(n)*tick
			table[c] = uint32((due + tick - 1) / tick)
		}
		remove := func(rt *rapid.T) {
			c := conns[index.Draw(rt, "remove")]
			w.remove(c)
			delete(table, c)
		}
		rt.Repeat(map[string]func(*rapid.T){
			"set":    set,
			"remove": remove,
			"advance": func(rt *rapid.T) {
				elapsed += rapid.OneOf(
					rapid.Map(rapid.IntRange(0, 700), func(ms int) time.Duration { return time.Duration(ms) * time.Millisecond }),
					rapid.Map(rapid.IntRange(0, 300), func(n int) time.Duration { return time.Duration(n) * tick }),
					rapid.SampledFrom([]time.Duration{64 * time.Second, 5 * time.Hour, 1000 * time.Hour}),
				).Draw(rt, "time")
				now := uint32(elapsed / tick)
				w.advance(elapsed, func(c *Conn) {
					if due, ok := table[c]; !ok || due > now {
						rt.Fatalf("expired at %d, deadline %d (%v)", now, due, ok)
					}
					delete(table, c)
					// As connections do: they move, end, and end others.
					for range rapid.IntRange(0, 2).Draw(rt, "changes") {
						if rapid.Bool().Draw(rt, "sets") {
							set(rt)
						} else {
							remove(rt)
						}
					}
				})
				for _, due := range table {
					if due <= now {
						rt.Fatalf("at %d a deadline of %d has not expired", now, due)
					}
				}
			},
			"": func(rt *rapid.T) {
				n := 0
				for i, s := range w.slots {
					for j, c := range s {
						if int(c.slot) != i || int(c.slotIndex) != j {
							rt.Fatalf("a connection at %d,%d thinks it is at %d,%d", i, j, c.slot, c.slotIndex)
						}
						n++
					}
				}
				if n != len(table) {
					rt.Fatalf("%d entries for %d deadlines", n, len(table))
				}
			},
		})
	})
}

func TestTicksRoundUp(t *testing.T) {
	for d, n := range map[time.Duration]uint32{
		0: 1, -5: 1, 1: 1, tick: 1, tick + 1: 2, time.Second: 4, 1<<63 - 1: 1<<30 - 1,
	} {
		want(t, d.String(), ticks(d), n)
	}
}

func TestIdleTimeout(t *testing.T) {
	k := newKit(t, func(o *transport.Options) { o.IdleTimeout = 3 * time.Second })
	k.advance(100 * time.Millisecond) // not on a tick
	silent, talks := k.open(), k.open()
	for range 29 {
		k.advance(100 * time.Millisecond)
		talks.conn.Input(clientFrame(1, "x"))
	}
	want(t, "closed before its time", k.h.of(1).closed, 0)
	k.advance(tick + 100*time.Millisecond)
	want(t, "closed", k.h.of(1).closed, 1)
	want(t, "cause", k.h.of(1).cause, transport.CloseCause{Code: 1001, Reason: "heartbeat timeout"})
	k.wantBytes(silent, &transport.Frame{Plain: closeFrame(1001, "heartbeat timeout")})
	want(t, "the other closed", k.h.of(2).closed, 0)
	k.advance(5*time.Second + tick)
	want(t, "socket closed when no answer came", silent.closed, true)
	want(t, "the other closed in the end", k.h.of(2).closed, 1)
}

func TestNoIdleTimeout(t *testing.T) {
	k := newKit(t)
	k.open()
	k.advance(10_000 * time.Hour)
	want(t, "closed", k.h.of(1).closed, 0)
}

// A clock that leaps ends what is due in one tick, and gives what ends its
// whole time to close.
func TestClockLeaps(t *testing.T) {
	k := newKit(t, func(o *transport.Options) { o.IdleTimeout = time.Minute })
	var all []*fakeSocket
	for range 1000 {
		all = append(all, k.open())
	}
	head := k.attach()
	k.advance(24 * time.Hour)
	for i := range all {
		if a := k.h.of(i + 1); a.closed != 1 || all[i].closed {
			t.Fatalf("connection %d: %d Close events, socket closed: %v", i, a.closed, all[i].closed)
		}
	}
	k.advance(5*time.Second - 1)
	want(t, "socket closed early", all[0].closed, false)
	k.advance(1)
	want(t, "connections left", k.l.Conns(), 0)
	want(t, "the one without a head", head.closed, true)

	// Backwards is not a leap.
	k.l.Tick(k.now.Add(-time.Hour))
	k.open()
	k.l.Tick(k.now.Add(-time.Hour))
	want(t, "connections", k.l.Conns(), 1)
}

// Next tells when the next time-out comes, and nothing comes before it.
func TestNext(t *testing.T) {
	k := newKit(t, func(o *transport.Options) { o.IdleTimeout = 3 * time.Minute })
	next := func() (d time.Duration, ok bool) {
		elapsed, ok := k.l.Next()
		return elapsed - k.now.Sub(time.Unix(0, 0)), ok
	}
	if _, ok := next(); ok {
		t.Error("a time-out of no connection")
	}
	k.advance(100 * time.Millisecond) // not on a tick
	head, open, talks := k.attach(), k.open(), k.open()
	due := func(what string, after time.Duration, done func() bool) {
		t.Helper()
		d, ok := next()
		if !ok || d > after || d < after-tick {
			t.Errorf("%s after %v, %v, want about %v", what, d, ok, after)
		}
		k.advance(d - 1)
		want(t, what+" too soon", done(), false)
		k.advance(1)
		want(t, what, done(), true)
	}
	due("a head that does not come", 10*time.Second+tick, func() bool { return len(head.got) > 0 })
	due("the end of its connection", 5*time.Second+tick, func() bool { return head.closed })
	k.advance(time.Minute)
	talks.conn.Input(clientFrame(1, "1"))
	due("silence", 105*time.Second+tick, func() bool { return k.h.of(1).closed == 1 })
	due("no answer", 5*time.Second+tick, func() bool { return open.closed })
	talks.conn.Input(clientFrame(1, "2"))
	due("silence after a message", 180*time.Second+tick, func() bool { return k.h.of(2).closed == 1 })
}

package loop

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sluicegate/sluice/transport"
)

// keyed is a frame of one message with a key.
func keyed(key, s string) *transport.Frame {
	f := text(s)
	f.Key = key
	return f
}

// stalledClient is a client that has stalled with "first" in the engine.
func stalledClient(t *testing.T, change func(*transport.Options)) (k *kit, s *fakeSocket, a *account) {
	k = newKit(t, func(o *transport.Options) {
		// Three messages of 6 bytes on the wire, and a gap.
		o.WriteLimit = 3*(6+frameOverhead) + frameOverhead
		change(o)
	})
	s = k.open()
	s.room = 0
	s.conn.Send(text("first"))
	k.l.flush(1)
	return k, s, k.h.of(1)
}

// tellGaps has clients told of gaps.
func tellGaps(o *transport.Options) {
	o.Gap = func(_ transport.Conn, messages int64) *transport.Frame {
		f := text(fmt.Sprintf("gap %d", messages))
		f.Messages = 0
		return f
	}
}

func texts(all ...string) (frames []*transport.Frame) {
	for _, s := range all {
		frames = append(frames, text(s))
	}
	return frames
}

// What a client that was slow gets in the end, and what is counted.
func TestSlowPolicies(t *testing.T) {
	for _, c := range []struct {
		name   string
		policy transport.SlowPolicy
		gaps   bool
		send   []string // text, or key=text
		got    []string
		reason transport.DropReason
		lost   int64
	}{
		{"newest", transport.SlowDropNewest, false, []string{"aaaa", "bbbb", "cccc", "dddd", "eeee"},
			[]string{"aaaa", "bbbb", "cccc"}, transport.DropSlow, 2},
		{"newest, told", transport.SlowDropNewest, true, []string{"aaaa", "bbbb", "cccc", "dddd", "eeee"},
			[]string{"aaaa", "bbbb", "cccc", "gap 2"}, transport.DropSlow, 2},
		{"oldest", transport.SlowDropOldest, false, []string{"aaaa", "bbbb", "cccc", "dddd", "eeee"},
			[]string{"cccc", "dddd", "eeee"}, transport.DropSlow, 2},
		{"oldest, told", transport.SlowDropOldest, true, []string{"aaaa", "bbbb", "cccc", "dddd", "eeee", "ffff"},
			[]string{"gap 3", "dddd", "eeee", "ffff"}, transport.DropSlow, 3},
		{"oldest, for one that is too large for all", transport.SlowDropOldest, true, []string{"aaaa", strings.Repeat("x", 200), "bbbb"},
			[]string{"gap 2", "bbbb"}, transport.DropSlow, 2},
		{"latest", transport.SlowLatest, true, []string{"k=aaaa", "l=bbbb", "k=cccc", "k=dddd"},
			[]string{"bbbb", "dddd"}, transport.DropSuperseded, 2},
		{"latest behind others", transport.SlowLatest, true, []string{"k=aaaa", "bbbb", "k=cccc"},
			[]string{"bbbb", "cccc"}, transport.DropSuperseded, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			k, s, a := stalledClient(t, func(o *transport.Options) {
				o.Slow = c.policy
				if c.policy == transport.SlowLatest {
					o.WriteLimit = 1000
				}
				if c.gaps {
					tellGaps(o)
				}
			})
			for _, m := range c.send {
				if key, value, ok := strings.Cut(m, "="); ok {
					s.conn.Send(keyed(key, value))
				} else {
					s.conn.Send(text(m))
				}
			}
			if c.gaps && c.policy == transport.SlowDropNewest {
				// What comes once there is room stands behind the gap.
				s.take(plenty)
				k.l.Relieve()
				s.conn.Send(text("later"))
				c.got = append(slices.Clone(c.got), "later")
			}
			s.take(plenty)
			k.l.Relieve()
			k.settle()
			k.l.flush(1)
			k.wantBytes(s, texts(append([]string{"first"}, c.got...)...)...)
			want(t, "closed", a.closed, 0)
			want(t, "dropped", a.dropped[c.reason], c.lost)
			var dropped int64
			for _, n := range a.dropped {
				dropped += n
			}
			want(t, "dropped in all", dropped, c.lost)
			k.l.report()
			sent := int64(1 + len(c.send))
			if c.gaps && c.policy == transport.SlowDropNewest {
				sent++
			}
			want(t, "written and dropped", k.h.written+dropped, sent)
		})
	}
}

// A client whose messages have keys can be too slow all the same.
func TestLatestOverflows(t *testing.T) {
	k, s, a := stalledClient(t, func(o *transport.Options) { o.Slow, o.WriteLimit = transport.SlowLatest, 1000 })
	for i := range 20 {
		s.conn.Send(keyed(fmt.Sprint(i), "value"))
	}
	want(t, "cause", a.cause, transport.CloseCause{Code: 1013, Reason: "slow consumer"})
	s.close()
	want(t, "dropped", a.dropped[transport.DropSlow]+a.dropped[transport.DropClosed]+a.dropped[transport.DropFailed], 21)
	k.settle()
}

// Values that are superseded for as long as a client stalls leave nothing behind.
func TestLatestHoldsOneOfEach(t *testing.T) {
	k, s, a := stalledClient(t, func(o *transport.Options) { o.Slow, o.WriteLimit = transport.SlowLatest, 1000 })
	s.conn.Send(text("has no key and stays where it is"))
	for i := range 100_000 {
		s.conn.Send(keyed(fmt.Sprint(i%3), fmt.Sprintf("%05d", i)))
	}
	b := s.conn.backlog
	b.push(s.conn)
	if len(b.frames) > 256 || cap(b.frames) > 1024 || len(b.keys) != 3 {
		t.Errorf("%d places, room for %d, %d keys, for 4 messages", len(b.frames), cap(b.frames), len(b.keys))
	}
	want(t, "superseded", a.dropped[transport.DropSuperseded], 99_997)
	s.take(plenty)
	k.l.Relieve()
	k.wantBytes(s, texts("first", "has no key and stays where it is", "99997", "99998", "99999")...)
}

// The pings of a client that does not read cost nothing but their answers.
func TestSlowPongs(t *testing.T) {
	for _, policy := range []transport.SlowPolicy{transport.SlowDropNewest, transport.SlowDropOldest} {
		k, s, a := stalledClient(t, func(o *transport.Options) { o.Slow = policy; tellGaps(o) })
		for range 1000 {
			s.conn.Input(clientFrame(9, "ping"))
			k.settle()
		}
		if n := s.conn.Waiting(); n > 200 {
			t.Errorf("%d bytes wait", n)
		}
		want(t, "closed", a.closed, 0)
		want(t, "dropped", a.dropped, [5]int64{})
		want(t, "pings", a.pings, 1000)
	}
}

// A client that has taken nothing for too long is closed, whatever the policy;
// one that takes a byte now and then is not.
func TestStallTimeout(t *testing.T) {
	for _, policy := range []transport.SlowPolicy{transport.SlowClose, transport.SlowDropNewest, transport.SlowDropOldest, transport.SlowLatest} {
		k, s, a := stalledClient(t, func(o *transport.Options) { o.Slow, o.StallTimeout = policy, 10*time.Second })
		s.conn.Send(text("more"))
		for range 4 {
			k.advance(9 * time.Second)
			s.take(1)
			k.advance(tick)
		}
		want(t, "closed while it takes something", a.closed, 0)
		if next, ok := k.l.Next(); !ok || next > k.now.Sub(time.Unix(0, 0))+10*time.Second+tick {
			t.Errorf("the next time-out is at %v, %v, now is %v", next, ok, k.now.Sub(time.Unix(0, 0)))
		}
		k.advance(10*time.Second - tick)
		want(t, "closed before its time", a.closed, 0)
		k.advance(2 * tick)
		want(t, "cause", a.cause, transport.CloseCause{Code: 1013, Reason: "slow consumer"})
		want(t, "dropped", a.dropped[transport.DropSlow], 1)
		k.advance(time.Minute)
		want(t, "cut", s.closed, true)
		want(t, "dropped of what the engine had", a.dropped[transport.DropFailed], 1)
	}
}

// Whatever is sent, and whatever the client takes in between, it gets in order
// what it gets, and the rest is counted and told.
func TestSlowProperty(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		policy := rapid.SampledFrom([]transport.SlowPolicy{transport.SlowDropNewest, transport.SlowDropOldest, transport.SlowLatest}).Draw(r, "policy")
		told := int64(0)
		k := newKit(t, func(o *transport.Options) {
			o.Slow, o.WriteLimit = policy, rapid.IntRange(50, 400).Draw(r, "limit")
			if policy == transport.SlowLatest {
				o.WriteLimit = 1 << 20
			}
			o.Gap = func(_ transport.Conn, messages int64) *transport.Frame {
				told += messages
				return nil
			}
		})
		s := k.open()
		s.room = 0
		sent := rapid.IntRange(1, 200).Draw(r, "messages")
		for i := range sent {
			f := text(fmt.Sprintf("%04d", i))
			if rapid.Bool().Draw(r, "keyed") {
				f.Key = fmt.Sprint(rapid.IntRange(0, 5).Draw(r, "key"))
			}
			s.conn.Send(f)
			if rapid.IntRange(0, 9).Draw(r, "flush") == 0 {
				k.l.flush(1)
			}
			s.take(rapid.SampledFrom([]int{0, 0, 0, 6, 30}).Draw(r, "takes"))
			if rapid.Bool().Draw(r, "look") {
				k.l.Relieve()
			}
		}
		s.take(plenty)
		k.l.flush(1)
		k.l.Relieve()
		k.settle()
		a := k.h.of(1)
		lost := a.dropped[transport.DropSlow] + a.dropped[transport.DropSuperseded]
		got := int64(len(s.got) / 6)
		if k.h.written != got || got+lost != int64(sent) || told != a.dropped[transport.DropSlow] || s.conn.backlog != nil {
			r.Fatalf("%d sent, %d arrived, %d counted as written, dropped %v, told of %d", sent, got, k.h.written, a.dropped, told)
		}
		for i := 6; i < len(s.got); i += 6 {
			if string(s.got[i-4:i]) >= string(s.got[i+2:i+6]) {
				r.Fatalf("%s came before %s", s.got[i-4:i], s.got[i+2:i+6])
			}
		}
	})
}

package loop

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/sluicegate/sluice/transport"
)

func TestManyMessagesLeaveInOneWrite(t *testing.T) {
	k := newKit(t)
	a, b := k.open(), k.open()
	var frames []*transport.Frame
	for i := range 100 {
		f := text(fmt.Sprint("message ", i))
		frames = append(frames, f)
		k.post(&sends{to: []*Conn{a.conn, b.conn}, frame: f})
	}
	k.settle()
	for _, s := range []*fakeSocket{a, b} {
		want(t, "writes", s.writes, 1)
		k.wantBytes(s, frames...)
	}
	want(t, "written", k.h.written, 200)
	want(t, "written bytes", k.h.writtenBytes, int64(len(a.got)+len(b.got)))
}

func TestWritesAreChunks(t *testing.T) {
	for name, c := range map[string]struct {
		sizes  []int
		writes int
	}{
		"one small":                {[]int{10}, 1},
		"one large":                {[]int{3 * chunk}, 1},
		"small, large":             {[]int{10, 3 * chunk}, 1},
		"large, small":             {[]int{3 * chunk, 10}, 2},
		"a chunk, exactly":         {[]int{chunk / 2, chunk / 2}, 1},
		"three halves of a chunk":  {[]int{chunk / 2, chunk / 2, chunk / 2}, 2},
		"a chunk less one, and on": {[]int{chunk - 1, 10, 10}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKit(t)
			s := k.open()
			var frames []*transport.Frame
			for _, n := range c.sizes {
				frames = append(frames, sized(n))
				k.post(&sends{to: []*Conn{s.conn}, frame: frames[len(frames)-1]})
			}
			k.settle()
			want(t, "writes", s.writes, c.writes)
			k.wantBytes(s, frames...)
			want(t, "written", k.h.written, int64(len(frames)))
			want(t, "written bytes", k.h.writtenBytes, int64(len(s.got)))
		})
	}
}

// Control frames go along with messages, and are not counted with them.
func TestControlFramesAreNotCounted(t *testing.T) {
	k := newKit(t)
	s := k.open()
	f := text("hello")
	k.h.onPing = func(c *Conn) { c.Send(f) }
	s.conn.Input(clientFrame(9, "are you there?"))
	want(t, "writes", s.writes, 1)
	want(t, "written", k.h.written, 1)
	want(t, "written bytes", k.h.writtenBytes, int64(len(f.Plain)))
	if len(s.got) <= len(f.Plain) || !bytes.HasSuffix(s.got, f.Plain) {
		t.Errorf("the peer got %s", brief(s.got))
	}

	s.room = 0
	s.conn.Input(clientFrame(9, "and now?"))
	s.conn.Input(clientFrame(9, "and now?"))
	s.close()
	a := k.h.of(1)
	want(t, "dropped", a.dropped[transport.DropFailed], 2)
	want(t, "dropped bytes", a.droppedBytes, int64(2*len(f.Plain)))
}

func TestDeflatedGoesToThoseWhoAgreed(t *testing.T) {
	k := newKit(t, func(o *transport.Options) { o.Compression = true })
	plain := k.open()
	deflating := k.attach()
	deflating.conn.Input([]byte(request("/ws", "Sec-WebSocket-Extensions: permessage-deflate\r\n")))
	deflating.got = nil
	f := &transport.Frame{Plain: []byte("plain"), Deflated: []byte("defl"), Messages: 1}
	k.post(&sends{to: []*Conn{plain.conn, deflating.conn}, frame: f})
	k.settle()
	want(t, "plain", string(plain.got), "plain")
	want(t, "deflated", string(deflating.got), "defl")
	want(t, "written bytes", k.h.writtenBytes, 9)
}

// Between the parts of a large task, and between its writes, the engine gets
// the thread back to read.
func TestDrainsHaveABudget(t *testing.T) {
	k := newKit(t)
	const sockets = 3*flushBudget + 10
	var to []*Conn
	var all []*fakeSocket
	for range sockets {
		s := k.open()
		s.discard = true
		all = append(all, s)
		to = append(to, s.conn)
	}
	flushed := func() (n int) {
		for _, s := range all {
			n += s.writes
		}
		return n
	}
	k.post(&sends{to: to, frame: text("to all")})
	k.wakes()
	k.l.Woken()
	want(t, "sockets written in one drain", flushed(), flushBudget)
	want(t, "asked again", k.e.asked.Load(), 1)

	// What is read meanwhile is served, and takes a little of the rest along.
	later := text("later")
	k.h.onMessage = func(c *Conn, _ string) { c.Send(later) }
	last := all[len(all)-1]
	last.discard, last.writes = false, 0
	before := flushed()
	last.conn.Input(clientFrame(1, "a question"))
	if n := flushed() - before; n < quickRecipients || n > 5*quickRecipients {
		t.Errorf("an input event wrote to %d sockets", n)
	}

	// A second task waits until the first is flushed: the mailbox, not the
	// clients' queues, is what fills.
	ran := false
	k.post(do(func() { ran = true }))
	k.l.Woken()
	if ran {
		t.Error("a task ran before the frames of an earlier one were flushed")
	}
	k.settle()
	want(t, "ran", ran, true)
	want(t, "writes", flushed(), sockets)
	k.wantBytes(last, text("to all"), later) // in one write, in order
	want(t, "written", k.h.written, sockets+1)
}

// Messages that cannot be merged leave together all the same, in one write for each
// client, also where more are queued than one drain does; and there is a bound to
// what is queued.
func TestWhatWaitsIsGathered(t *testing.T) {
	k := newKit(t, func(o *transport.Options) { o.WriteLimit = 1 << 30 })
	var to []*Conn
	var all []*fakeSocket
	for range 1000 {
		s := k.open()
		s.discard = true
		all = append(all, s)
		to = append(to, s.conn)
	}
	most := 0
	look := func() { most = max(most, k.l.nodes.used) }
	for _, test := range []struct{ tasks, writes int }{
		{3 * appendBudget / 1000, 1},
		{3 * gatherLimit / 1000, 3},
	} {
		for _, s := range all {
			s.writes = 0
		}
		written := k.h.written
		for range test.tasks {
			k.post(&sends{to: to, frame: text("x")})
		}
		for k.wakes() > 0 {
			k.l.Woken()
			look()
		}
		for i, s := range all {
			if s.writes < test.writes || s.writes > test.writes+1 {
				t.Fatalf("%d tasks: client %d was written to %d times, want %d", test.tasks, i, s.writes, test.writes)
			}
		}
		want(t, "written", k.h.written-written, int64(test.tasks*1000))
	}
	if limit := gatherLimit + appendBudget; most > limit || most < gatherLimit/2 {
		t.Errorf("%d frames were queued, want %d at most", most, limit)
	}
}

func TestALargeTaskRunsInParts(t *testing.T) {
	k := newKit(t)
	s := k.open()
	s.discard = true
	const steps = 2*appendBudget + 7
	to := make([]*Conn, steps)
	for i := range to {
		to[i] = s.conn
	}
	k.post(&sends{to: to, frame: text("x")})
	k.wakes()
	drains := 0
	for more := true; more; more = k.wakes() > 0 {
		k.l.Woken()
		drains++
	}
	want(t, "drains", drains, 3)
	want(t, "written", k.h.written, steps)
}

// The list of connections that are due is bounded though it is never empty.
func TestTouchedListIsCompacted(t *testing.T) {
	k := newKit(t)
	var all []*Conn
	for range 200 {
		s := k.open()
		s.discard = true
		all = append(all, s.conn)
	}
	f, next := text("x"), 0
	k.h.onMessage = func(*Conn, string) {
		for range 50 { // more than an event flushes
			all[next%len(all)].Send(f)
			next++
		}
	}
	for range 1000 {
		all[0].Input(clientFrame(1, "go"))
	}
	if n := cap(k.l.touched); n > 8*len(all) {
		t.Errorf("the list has grown to %d for %d connections", n, len(all))
	}
	k.settle()
	want(t, "written", k.h.written, 50_000)
}

func TestSharedFrameAllocatesNothingPerRecipient(t *testing.T) {
	k := newKit(t)
	var to []*Conn
	for range 1000 {
		s := k.open()
		s.discard = true
		to = append(to, s.conn)
	}
	small, pair := &sends{to: to, frame: text("hello")}, &sends{to: to, frame: text("again")}
	round := func() {
		small.next, pair.next = 0, 0
		k.post(small)
		k.post(pair)
		k.settle()
	}
	round()
	if n := testing.AllocsPerRun(20, round); n > 0 {
		t.Errorf("%v allocations to deliver two frames to 1,000 connections", n)
	}
	want(t, "written", k.h.written, 22*2000)
}

func TestNodesAreUsedAgain(t *testing.T) {
	k := newKit(t)
	s := k.open()
	s.discard = true
	for range 100 {
		for range 10 {
			s.conn.Send(text("x"))
		}
		k.l.flush(1)
	}
	want(t, "nodes", len(k.l.nodes.items), 10)
	for i, n := range k.l.nodes.items {
		if n.frame != nil {
			t.Errorf("node %d still holds a frame", i)
		}
	}
}

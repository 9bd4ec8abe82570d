package loop

import (
	"testing"

	"github.com/sluicegate/sluice/transport"
)

// Sizes of writes are told apart as the histogram's bounds say.
func TestFlushSizes(t *testing.T) {
	bounds := newMeter().shown.Snapshot().Bounds
	want(t, "bounds", len(bounds), flushesAbove)
	for n := range 3 << 20 {
		at := sizeOf(n)
		if at > 0 && float64(n) <= bounds[at-1] || at < len(bounds) && float64(n) > bounds[at] {
			t.Fatalf("a write of %d bytes counts as size %d of %v", n, at, bounds)
		}
	}
}

// What a loop tells of itself is what it has done.
func TestMeter(t *testing.T) {
	var read func() transport.LoopStats
	k := newKit(t, func(o *transport.Options) {
		o.Meter = func(_ transport.Loop, r func() transport.LoopStats) { read = r }
	})
	s := k.open()
	c := s.conn
	k.post(do(func() { c.Send(text("a")); c.Send(text("b")) }))
	k.post(&sends{frame: sized(1000), to: []*Conn{c}})
	if got := read(); got.Tasks != 2 || got.MailboxBytes != 1000 || got.Connections != 1 {
		t.Errorf("before: %+v", got)
	}
	k.settle()
	got := read()
	want(t, "tasks", got.Tasks, 0)
	want(t, "bytes in the mailbox", got.MailboxBytes, 0)
	want(t, "writes", got.Flushes.Count(), 1)
	want(t, "of how many bytes", got.Flushes.Sum, 3+3+1000)
	want(t, "of which size", got.Flushes.Counts[sizeOf(1006)], 1)
	s.close()
	want(t, "connections", read().Connections, 0)
}

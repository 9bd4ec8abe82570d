package loop

import (
	"math/bits"
	"sync/atomic"

	"github.com/sluicegate/sluice/internal/histogram"
	"github.com/sluicegate/sluice/transport"
)

// A meter counts what a loop does. The loop adds to its own numbers, which cost it
// next to nothing, and publishes them at the end of each event.
type meter struct {
	conns atomic.Int64

	flushes [flushSizes]struct{ writes, bytes int64 }
	flushed bool // since the numbers were published
	shown   *histogram.Histogram
}

const (
	// flushSizes is how many sizes of writes are told apart: up to 64 bytes, up
	// to four times as many and so on, and those above 1 MiB.
	flushSizes   = 9
	firstFlush   = 64
	firstBits    = 6 // of firstFlush-1
	bitsPerStep  = 2
	flushesAbove = flushSizes - 1
)

func newMeter() meter {
	var bounds []int64
	for i := range flushesAbove {
		bounds = append(bounds, firstFlush<<(bitsPerStep*i))
	}
	return meter{shown: histogram.New(1, bounds...)}
}

// sizeOf returns which of the sizes so many bytes are.
func sizeOf(bytes int) int {
	over := bits.Len(uint(max(bytes, 1)-1)) - firstBits
	return min(max(0, (over+bitsPerStep-1)/bitsPerStep), flushesAbove)
}

// flush counts one write.
func (m *meter) flush(bytes int) {
	f := &m.flushes[sizeOf(bytes)]
	f.writes++
	f.bytes += int64(bytes)
	m.flushed = true
}

// publish makes what was counted known.
func (m *meter) publish() {
	if !m.flushed {
		return
	}
	m.flushed = false
	for i := range m.flushes {
		if f := &m.flushes[i]; f.writes > 0 {
			m.shown.Add(i, f.writes, f.bytes)
			f.writes, f.bytes = 0, 0
		}
	}
}

// stats may be called on any goroutine.
func (l *Loop) stats() transport.LoopStats {
	s := transport.LoopStats{Index: l.index, Connections: int(l.meter.conns.Load()), Flushes: l.meter.shown.Snapshot()}
	l.box.mu.Lock()
	s.Tasks, s.MailboxBytes = len(l.box.queue), l.box.bytes
	l.box.mu.Unlock()
	return s
}

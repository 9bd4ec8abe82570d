// Package trim gives memory back to the operating system while a program is at
// rest.
//
// The collector lets a heap grow to twice what is in use before it looks at it
// again. A gateway of many clients at rest allocates next to nothing, so that what
// its clients left behind while they connected would be kept for hours. To have the
// collector run more often would save as much memory, but at a time when there is
// other work.
package trim

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// look is how often the program is looked at.
	look = 250 * time.Millisecond
	// calm is how many bytes a program at rest allocates between two looks.
	calm = 64 << 10
	// worth is how many bytes must have been allocated for a collection to be
	// worth it.
	worth = 1 << 20
)

// WhenIdle trims the program's memory whenever it has come to rest, until ctx
// ends. One call of it serves a whole program.
func WhenIdle(ctx context.Context) {
	tick := time.NewTicker(look)
	defer tick.Stop()
	var w watch
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if w.due(allocated()) {
				debug.FreeOSMemory()
				w.trimmed(allocated())
			}
		}
	}
}

// watch decides when to trim.
type watch struct{ last, since uint64 }

// due reports whether it is time, when so many bytes have ever been allocated.
func (w *watch) due(allocated uint64) bool {
	grown := allocated - w.last
	w.last = allocated
	w.since += grown
	return grown < calm && w.since >= worth
}

// trimmed notes that memory was trimmed, at so many bytes.
func (w *watch) trimmed(allocated uint64) { w.last, w.since = allocated, 0 }

// allocated is how many bytes of heap the program has ever allocated.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

package load

import (
	"context"
	"sync/atomic"
)

// A window counts what is under way, in deliveries, and lets one sender wait until
// there is less of it.
type window struct {
	under atomic.Int64 // way
	limit atomic.Int64 // the sender waits for no more than this to be
	less  chan struct{}
}

func newWindow() *window {
	w := &window{less: make(chan struct{}, 1)}
	w.limit.Store(-1)
	return w
}

// sent counts n more.
func (w *window) sent(n int64) { w.under.Add(n) }

// done counts n that have arrived, or never will. It may be called on any
// goroutine.
func (w *window) done(n int64) {
	if w.under.Add(-n) <= w.limit.Load() {
		select {
		case w.less <- struct{}{}:
		default:
		}
	}
}

// wait waits until at most limit are under way. Its error is ctx's.
func (w *window) wait(ctx context.Context, limit int64) error {
	w.limit.Store(limit)
	defer w.limit.Store(-1)
	for w.under.Load() > limit {
		select {
		case <-w.less:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return ctx.Err()
}

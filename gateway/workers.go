package gateway

import (
	"context"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"
)

// workers runs peers' events on a bounded number of goroutines. They come when
// there is work and, but for a few, go when they have not been needed for a while: a
// busy loop brings many events at once, again and again, and a goroutine costs more
// to begin than most events cost to handle.
type workers struct {
	work  func(*shift, *peer) (again bool)
	max   int
	keep  int
	while time.Duration // at the end of which those go that were idle all along

	mu       sync.Mutex
	wake     sync.Cond
	ready    []*peer // [head:] wait for a worker
	head     int
	crew     int // workers, at most max
	running  int // workers and those aside
	idle     int
	spare    int                 // the fewest that were idle since trimming began
	leaving  int                 // idle ones that were told to go
	trimmer  *time.Timer         // of trim
	trimming bool                // it runs, since more than keep were idle
	excused  int                 // of those aside, see excuse
	shifts   map[*shift]struct{} // of all that are running
	stopped  bool
	done     chan struct{} // closed when stopped and no worker is left

	rested sync.Cond // signalled when there may be nothing to do any more
	given  uint64    // how much work there has been
}

func newWorkers(limit int, work func(*shift, *peer) bool) *workers {
	w := &workers{
		work: work, max: limit, keep: 2 * runtime.GOMAXPROCS(0), while: 20 * time.Millisecond,
		shifts: make(map[*shift]struct{}), done: make(chan struct{}),
	}
	w.wake.L, w.rested.L = &w.mu, &w.mu
	w.trimmer = time.AfterFunc(time.Hour, w.trim)
	w.trimmer.Stop()
	return w
}

// submit has p's events run. It must not be called again for p before work has
// returned false for it. It never blocks: there is one entry per client.
func (w *workers) submit(p *peer) {
	w.mu.Lock()
	if w.stopped && w.running == 0 {
		w.mu.Unlock()
		return
	}
	w.given++
	w.ready = append(w.ready, p)
	switch {
	case w.idle > 0:
		w.idle--
		w.spare = min(w.spare, w.idle)
		w.wake.Signal()
	case w.crew < w.max:
		w.crew++
		w.running++
		go w.run()
	}
	w.mu.Unlock()
}

// goAside runs f on a goroutine that stop waits for. The caller bounds their
// number, and f its time.
func (w *workers) goAside(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.given++
	w.running++
	go func() {
		s := newShift()
		s.begin(nil)
		w.mu.Lock()
		w.shifts[s] = struct{}{}
		w.mu.Unlock()
		f()
		w.mu.Lock()
		w.exit(s)
		w.mu.Unlock()
	}()
}

// onShift returns the shifts of all that run.
func (w *workers) onShift() []*shift {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Collect(maps.Keys(w.shifts))
}

// exit must be called with the lock held.
func (w *workers) exit(s *shift) {
	delete(w.shifts, s)
	if w.running--; w.running == 0 && w.stopped {
		close(w.done)
	}
	w.rested.Broadcast()
}

func (w *workers) run() {
	s := newShift()
	w.mu.Lock()
	w.shifts[s] = struct{}{}
	for {
		if w.head < len(w.ready) {
			p := w.ready[w.head]
			w.ready[w.head] = nil
			if w.head++; w.head == len(w.ready) {
				w.ready, w.head = w.ready[:0], 0
			} else if w.head >= 1024 && w.head > len(w.ready)/2 {
				n := copy(w.ready, w.ready[w.head:])
				clear(w.ready[n:])
				w.ready, w.head = w.ready[:n], 0
			}
			w.mu.Unlock()
			again := w.work(s, p)
			w.mu.Lock()
			if again {
				w.ready = append(w.ready, p)
			}
			continue
		}
		if w.stopped {
			break
		}
		if w.leaving > 0 {
			w.leaving--
			break
		}
		// Whoever signals has taken this worker off the idle count.
		if w.idle++; w.idle == w.keep+1 && !w.trimming {
			w.beginTrimming()
		}
		w.rested.Broadcast()
		w.wake.Wait()
	}
	w.crew--
	w.exit(s)
	w.mu.Unlock()
}

// beginTrimming must be called with the lock held.
func (w *workers) beginTrimming() {
	w.trimming, w.spare = true, w.idle
	w.trimmer.Reset(w.while)
}

// trim sends those away that have not been needed since trimming began.
func (w *workers) trim() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trimming = false
	if w.stopped {
		return
	}
	for range w.spare - w.keep {
		w.idle--
		w.leaving++
		w.wake.Signal()
	}
	if w.idle > w.keep {
		w.beginTrimming()
	}
}

// stop lets the workers finish what waits and end. It reports whether they
// have, within the time given. What is submitted once all have ended is
// ignored. It may be called again, to wait longer.
func (w *workers) stop(timeout time.Duration) bool {
	w.mu.Lock()
	if !w.stopped {
		w.stopped = true
		w.trimmer.Stop()
		if w.running == 0 {
			close(w.done)
		}
		w.idle = 0
		w.wake.Broadcast()
	}
	w.mu.Unlock()
	t := time.NewTimer(timeout)
	defer t.Stop()
	select {
	case <-w.done:
		return true
	case <-t.C:
		return false
	}
}

// stats returns what the workers do now.
func (w *workers) stats() WorkerStats {
	w.mu.Lock()
	defer w.mu.Unlock()
	return WorkerStats{Limit: w.max, Running: w.crew, Busy: w.crew - w.idle - w.leaving, Waiting: len(w.ready) - w.head}
}

// excuse says of a call aside that it may take until a deadline, which is when
// due is called.
func (w *workers) excuse() (due func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.excused++
	w.rested.Broadcast()
	return sync.OnceFunc(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.excused--
	})
}

// Await implements probe.Workers.
func (w *workers) Await(ctx context.Context, excused bool) (work uint64, err error) {
	stop := context.AfterFunc(ctx, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.rested.Broadcast()
	})
	defer stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		aside := w.running - w.crew
		if excused {
			aside -= w.excused
		}
		if w.head == len(w.ready) && w.idle == w.crew && aside <= 0 {
			return w.given, nil
		}
		if err := ctx.Err(); err != nil {
			return w.given, err
		}
		w.rested.Wait()
	}
}

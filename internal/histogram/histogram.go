// Package histogram counts quantities by size, on many goroutines at once.
package histogram

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/transport"
)

// A Histogram is made by [New] or [Durations]. All its methods may be called on any
// goroutine.
type Histogram struct {
	unit   float64
	bounds []int64
	shown  []float64 // bounds in the unit
	counts []atomic.Int64
	sum    atomic.Int64
}

// New returns a Histogram of quantities up to each of bounds, which ascend, and
// above the last. A snapshot has them multiplied by unit.
func New(unit float64, bounds ...int64) *Histogram {
	h := &Histogram{unit: unit, bounds: bounds, counts: make([]atomic.Int64, len(bounds)+1)}
	for _, b := range bounds {
		h.shown = append(h.shown, float64(b)*unit)
	}
	return h
}

// Durations returns a Histogram of durations up to each of bounds, which ascend. A
// snapshot has them in seconds.
func Durations(bounds ...time.Duration) *Histogram {
	whole := make([]int64, len(bounds))
	for i, b := range bounds {
		whole[i] = int64(b)
	}
	h := New(1/float64(time.Second), whole...)
	for i, b := range bounds {
		h.shown[i] = b.Seconds() // to the last digit, as it is shown
	}
	return h
}

// Observe counts one quantity.
func (h *Histogram) Observe(v int64) {
	i, _ := slices.BinarySearch(h.bounds, v)
	h.Add(i, 1, v)
}

// Add counts n quantities of the i-th size, which are sum together.
func (h *Histogram) Add(i int, n, sum int64) {
	h.counts[i].Add(n)
	h.sum.Add(sum)
}

// Snapshot returns what was counted. Its Bounds are shared.
func (h *Histogram) Snapshot() transport.Histogram {
	s := transport.Histogram{Bounds: h.shown, Counts: make([]int64, len(h.counts))}
	for i := range h.counts {
		s.Counts[i] = h.counts[i].Load()
	}
	s.Sum = float64(h.sum.Load()) * h.unit
	return s
}

package histogram_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sluicegate/sluice/internal/histogram"
)

// A quantity that is at a bound is within it, as Prometheus has it.
func TestBounds(t *testing.T) {
	h := histogram.Durations(time.Millisecond, time.Second)
	for _, d := range []time.Duration{0, time.Millisecond, time.Millisecond + 1, time.Second, time.Second + 1, time.Hour} {
		h.Observe(int64(d))
	}
	s := h.Snapshot()
	if !slices.Equal(s.Bounds, []float64{0.001, 1}) || !slices.Equal(s.Counts, []int64{2, 2, 2}) {
		t.Errorf("%+v", s)
	}
	if want := 3602.002; s.Sum < want-1e-6 || s.Sum > want+1e-6 {
		t.Errorf("sum %v, want %v", s.Sum, want)
	}
}

// Nothing is lost, whoever counts at the same time.
func TestAtOnce(t *testing.T) {
	const each, goroutines = 10_000, 8
	h := histogram.New(2, 3, 7)
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			for i := range each {
				h.Observe(int64(i % 10))
			}
		})
	}
	all.Wait()
	h.Add(2, 5, 50)
	s := h.Snapshot()
	if !slices.Equal(s.Counts, []int64{4 * each / 10 * goroutines, 4 * each / 10 * goroutines, 2*each/10*goroutines + 5}) {
		t.Errorf("counts %v", s.Counts)
	}
	if want := 2 * (45.0*each/10*goroutines + 50); s.Sum != want {
		t.Errorf("sum %v, want %v", s.Sum, want)
	}
	if !slices.Equal(s.Bounds, []float64{6, 14}) {
		t.Errorf("bounds %v", s.Bounds)
	}
}

func BenchmarkObserve(b *testing.B) {
	h := histogram.Durations(time.Microsecond, time.Millisecond, 10*time.Millisecond, time.Second)
	b.ReportAllocs()
	for b.Loop() {
		h.Observe(int64(5 * time.Millisecond))
	}
}

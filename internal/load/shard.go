package load

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sluicegate/sluice/internal/load/message"
)

// A shard is where a share of the clients record what they measure, so that the
// others need not wait for them. Who records must hold mu.
type shard struct {
	mu      sync.Mutex
	classes []*hdrhistogram.Histogram // since the last cut
	last    time.Duration             // when something was recorded last
	tally   tally
	_       [64]byte // keeps shards off each other's cache lines
}

// A histogram tells microseconds from an hour to three digits.
const (
	resolution = time.Microsecond
	longest    = time.Hour
	digits     = 3
)

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(int64(resolution), int64(longest), digits)
}

func newShard(classes int) *shard {
	s := &shard{classes: make([]*hdrhistogram.Histogram, classes)}
	for i := range s.classes {
		s.classes[i] = newHistogram()
	}
	return s
}

// record notes that what was due at a time was done at now.
func (s *shard) record(class int, due, now time.Duration) {
	_ = s.classes[class].RecordValue(int64(min(max(0, now-due), longest))) // which are in range
	s.last = max(s.last, now)
}

// A tally counts messages as they arrive.
type tally struct {
	delivered, doubled, disordered int64
}

// deliver records a message, unless it has come before.
func (s *shard) deliver(t *tracker, class int, h message.Head, now time.Duration) bool {
	switch t.arrived(h.Seq) {
	case doubled:
		s.tally.doubled++
		return false
	case outOfOrder:
		s.tally.disordered++
	}
	s.tally.delivered++
	s.record(class, h.Due, now)
	return true
}

// cut adds what was recorded since the last cut to sums and forgets it.
func (s *shard) cut(sums []*hdrhistogram.Histogram) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, h := range s.classes {
		sums[i].Merge(h)
		h.Reset()
	}
}

// quantiles are the shares of a [Latency]'s plot: each step on its axis is a nine
// more, and has these points.
func quantiles(count int64) []float64 {
	all := []float64{0, 0.25, 0.5, 0.6, 0.7, 0.8}
	for rest := 0.1; rest*float64(count) >= 1 && rest > 1e-7; rest /= 10 {
		for _, part := range []float64{1, 0.8, 0.6, 0.5, 0.4, 0.3, 0.2, 0.15} {
			if rest*part*float64(count) >= 1 {
				all = append(all, 1-rest*part)
			}
		}
	}
	return append(all, 1)
}

// latency is what a histogram says.
func latency(name string, h *hdrhistogram.Histogram) Latency {
	l := Latency{Name: name, Count: h.TotalCount()}
	if l.Count == 0 {
		return l
	}
	at := func(q float64) time.Duration { return time.Duration(h.ValueAtQuantile(100 * q)) }
	l.P50, l.P90, l.P99, l.P999, l.Max = at(0.5), at(0.9), at(0.99), at(0.999), time.Duration(h.Max())
	for _, q := range quantiles(l.Count) {
		l.Quantiles = append(l.Quantiles, Quantile{Q: q, Within: at(q)})
	}
	return l
}

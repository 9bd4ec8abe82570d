package transport_test

import (
	"math"
	"slices"
	"testing"

	"github.com/sluicegate/sluice/transport"
)

func TestHistogram(t *testing.T) {
	bounds := []float64{1, 2, 4}
	h := transport.Histogram{Bounds: bounds, Counts: []int64{10, 0, 10, 0}, Sum: 40}
	for _, tc := range []struct{ q, want float64 }{{0, 0}, {0.25, 0.5}, {0.5, 1}, {0.75, 3}, {1, 4}} {
		if got := h.Quantile(tc.q); got != tc.want {
			t.Errorf("quantile %v is %v, want %v", tc.q, got, tc.want)
		}
	}
	for _, tc := range []struct {
		counts  []int64
		q, want float64
	}{
		{[]int64{0, 10, 0, 0}, 0.5, 1.5}, {[]int64{5, 5, 0, 0}, 0.5, 1}, {[]int64{10, 0, 0, 0}, 1, 1},
		{[]int64{50, 0, 50, 0}, 0.99, 3.96}, {[]int64{1, 0, 0, 99}, 0.5, 4},
	} {
		if got := (transport.Histogram{Bounds: bounds, Counts: tc.counts}).Quantile(tc.q); math.Abs(got-tc.want) > 1e-9 {
			t.Errorf("quantile %v of %v is %v, want %v", tc.q, tc.counts, got, tc.want)
		}
	}
	above := transport.Histogram{Bounds: bounds, Counts: []int64{0, 0, 0, 5}, Sum: 500}
	if got := above.Quantile(0.5); got != 4 {
		t.Errorf("above all bounds: %v", got)
	}
	var none transport.Histogram
	if none.Quantile(0.5) != 0 || none.Count() != 0 {
		t.Error("of nothing there is something")
	}
	both := none.Plus(h).Plus(above)
	if !slices.Equal(both.Counts, []int64{10, 0, 10, 5}) || both.Sum != 540 || both.Count() != 25 {
		t.Errorf("together: %+v", both)
	}
	if later := both.Since(h); !slices.Equal(later.Counts, above.Counts) || later.Sum != 500 {
		t.Errorf("the rest: %+v", later)
	}
	if h.Counts[3] != 0 || h.Sum != 40 {
		t.Errorf("it has changed: %+v", h)
	}
	if same := h.Since(none); !slices.Equal(same.Counts, h.Counts) {
		t.Errorf("since ever: %+v", same)
	}
}

package gateway

import (
	"math"
	"testing"
	"time"

	"github.com/sluicegate/sluice/hooks"
)

// A steady rate is what all windows show; when it ends, they fall off as their
// length says.
func TestRates(t *testing.T) {
	now := time.Unix(1e9, 0)
	r := newRates(now)
	var counts [hooks.MetricItems + 1]int64
	for range 12 {
		now = now.Add(rateTick)
		counts[1] += 50
		r.tick(now, counts)
	}
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 0.001*want {
			t.Errorf("%s is %v, want %v", what, got, want)
		}
	}
	m := r.metrics(now, counts)[1]
	for what, got := range map[string]float64{"mean": m.MeanRate, "rate1": m.Rate1, "rate5": m.Rate5, "rate15": m.Rate15} {
		near("steady "+what, got, 10)
	}
	for range 11 {
		now = now.Add(rateTick)
		r.tick(now, counts)
	}
	now = now.Add(rateTick + rateTick/2) // a late tick counts for its time
	r.tick(now, counts)
	passed := (12*rateTick + rateTick/2).Seconds()
	m = r.metrics(now, counts)[1]
	near("rate1", m.Rate1, 10*math.Exp(-passed/60))
	near("rate5", m.Rate5, 10*math.Exp(-passed/300))
	near("rate15", m.Rate15, 10*math.Exp(-passed/900))
	near("mean", m.MeanRate, 600/(60+passed))
	if m.Count != 600 {
		t.Errorf("count %d", m.Count)
	}
	if other := r.metrics(now, counts)[2]; other != (hooks.Metric{}) {
		t.Errorf("an item that never moved is %+v", other)
	}
}

package gateway

import (
	"math"
	"sync"
	"time"

	"github.com/sluicegate/sluice/hooks"
)

// rateTick is how often rates are brought up to date. It is what Unix load
// averages use, and short beside the shortest of the windows.
const rateTick = 5 * time.Second

// windows are the times over which rates are weighted.
func windows() [3]time.Duration {
	return [...]time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute}
}

// rates keeps the exponentially weighted rate of each counter.
type rates struct {
	start time.Time

	mu    sync.Mutex
	last  time.Time
	seen  [hooks.MetricItems + 1]int64
	rate  [hooks.MetricItems + 1][3]float64
	ready bool // whether a tick has set the rates
}

func newRates(now time.Time) *rates { return &rates{start: now, last: now} }

// tick brings the rates up to date. The first one sets them, so that a gateway
// that has just started does not seem slower than it is.
func (r *rates) tick(now time.Time, counts [hooks.MetricItems + 1]int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	passed := now.Sub(r.last)
	if passed <= 0 {
		return
	}
	for i := range counts {
		current := float64(counts[i]-r.seen[i]) / passed.Seconds()
		for w, window := range windows() {
			if !r.ready {
				r.rate[i][w] = current
				continue
			}
			// However long the tick was in coming, it weighs as much as the
			// ticks that it stands for.
			weight := 1 - math.Exp(-passed.Seconds()/window.Seconds())
			r.rate[i][w] += weight * (current - r.rate[i][w])
		}
	}
	r.seen, r.last, r.ready = counts, now, true
}

// metrics returns all items. Until the first tick the weighted rates are the
// mean.
func (r *rates) metrics(now time.Time, counts [hooks.MetricItems + 1]int64) map[hooks.MetricItem]hooks.Metric {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make(map[hooks.MetricItem]hooks.Metric, hooks.MetricItems)
	up := now.Sub(r.start).Seconds()
	for i := 1; i < len(counts); i++ {
		m := hooks.Metric{Count: counts[i]}
		if up > 0 {
			m.MeanRate = float64(counts[i]) / up
		}
		m.Rate1, m.Rate5, m.Rate15 = r.rate[i][0], r.rate[i][1], r.rate[i][2]
		if !r.ready {
			m.Rate1, m.Rate5, m.Rate15 = m.MeanRate, m.MeanRate, m.MeanRate
		}
		all[hooks.MetricItem(i)] = m
	}
	return all
}

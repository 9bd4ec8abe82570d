package admin

import (
	"math"
	"slices"
	"time"

	"github.com/sluicegate/sluice/gateway"
)

// figures are what was read of the gateway at one moment.
type figures struct {
	at     time.Time
	status gateway.Status
	gateway.Stats
	handlers histogram // all calls
}

// histogram is a transport.Histogram.
type histogram struct {
	Bounds []float64
	Counts []int64
	Sum    float64
}

// since returns what has come to h after before.
func since(h, before histogram) histogram {
	d := histogram{Bounds: h.Bounds, Counts: slices.Clone(h.Counts), Sum: h.Sum}
	if len(before.Counts) == len(d.Counts) {
		for i, n := range before.Counts {
			d.Counts[i] -= n
		}
		d.Sum -= before.Sum
	}
	return d
}

// add returns both together.
func add(h, more histogram) histogram {
	if len(h.Counts) == 0 {
		return more
	}
	sum := histogram{Bounds: h.Bounds, Counts: slices.Clone(h.Counts), Sum: h.Sum}
	if len(more.Counts) == len(sum.Counts) {
		for i, n := range more.Counts {
			sum.Counts[i] += n
		}
		sum.Sum += more.Sum
	}
	return sum
}

func count(h histogram) (n int64) {
	for _, c := range h.Counts {
		n += c
	}
	return n
}

// quantile returns where a share q of h lies, taking what is in a bucket as spread
// evenly over it. What is beyond the last bound is taken to be there.
func quantile(h histogram, q float64) float64 {
	rank := q * float64(count(h))
	below := int64(0)
	for i, n := range h.Counts {
		if n <= 0 || float64(below+n) < rank {
			below += max(0, n)
			continue
		}
		if i >= len(h.Bounds) {
			break
		}
		from := 0.0
		if i > 0 {
			from = h.Bounds[i-1]
		}
		return from + (h.Bounds[i]-from)*max(0, rank-float64(below))/float64(n)
	}
	if len(h.Bounds) == 0 {
		return 0
	}
	return h.Bounds[len(h.Bounds)-1]
}

// timesOf returns nil if there are none.
func timesOf(h histogram) *times {
	if count(h) <= 0 {
		return nil
	}
	return &times{P50: round(quantile(h, .5)), P99: round(quantile(h, .99)), Max: round(quantile(h, 1))}
}

// sampleOf is what happened from one to the other.
func sampleOf(before, now figures) sample {
	seconds := now.at.Sub(before.at).Seconds()
	rate := func(before, now int64) float64 {
		if seconds <= 0 || now <= before {
			return 0
		}
		return round(float64(now-before) / seconds)
	}
	handled := since(now.handlers, before.handlers)
	s := sample{
		Time: now.at.UnixMilli(), Status: now.status.String(),
		Clients: now.Clients, Held: now.Held, Stuck: now.Stuck,
		Opened: rate(before.Opened, now.Opened), Closed: rate(before.Closed, now.Closed),
		Heartbeats: rate(before.Heartbeats, now.Heartbeats),
		In:         rate(before.MessagesIn, now.MessagesIn), Out: rate(before.MessagesOut, now.MessagesOut),
		BytesIn: rate(before.BytesIn, now.BytesIn), BytesOut: rate(before.BytesOut, now.BytesOut),
		Handled: rate(0, count(handled)), Handler: timesOf(handled),
	}
	for reason, n := range now.Drops {
		put(&s.Drops, string(reason), rate(before.Drops[reason].Messages, n.Messages))
	}
	return s
}

// put leaves out what is 0.
func put(m *map[string]float64, key string, v float64) {
	if v == 0 {
		return
	}
	if *m == nil {
		*m = make(map[string]float64)
	}
	(*m)[key] += v
}

// round keeps four digits, which is more than a plot shows.
func round(v float64) float64 {
	if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0
	}
	scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(v))))
	if math.IsInf(scale, 0) || scale == 0 {
		return v
	}
	return math.Round(v*scale) / scale
}

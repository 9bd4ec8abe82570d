package admin

import (
	"math"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/transport"
)

// figures are what was read of the gateway at one moment.
type figures struct {
	at     time.Time
	status gateway.Status
	gateway.Stats
	handlers transport.Histogram // of all calls
}

// timesOf returns nil if there are none.
func timesOf(h transport.Histogram) *times {
	if h.Count() == 0 {
		return nil
	}
	return &times{P50: round(h.Quantile(.5)), P99: round(h.Quantile(.99)), Max: round(h.Quantile(1))}
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
	handled := now.handlers.Since(before.handlers)
	s := sample{
		Time: now.at.UnixMilli(), Status: now.status.String(),
		Clients: now.Clients, Customers: now.Customers, Topics: now.Topics,
		Held: now.Held, HeldLimit: now.HeldLimit, Stuck: now.Stuck,
		Opened: rate(before.Opened, now.Opened), Closed: rate(before.Closed, now.Closed),
		Heartbeats: rate(before.Heartbeats, now.Heartbeats),
		In:         rate(before.MessagesIn, now.MessagesIn), Out: rate(before.MessagesOut, now.MessagesOut),
		BytesIn: rate(before.BytesIn, now.BytesIn), BytesOut: rate(before.BytesOut, now.BytesOut),
		Handled: rate(0, handled.Count()), Handler: timesOf(handled),
		Lag: timesOf(now.LoopLag.Since(before.LoopLag)), Late: round(now.LoopLate.Seconds()),
		Workers: workers{Busy: now.Workers.Busy, Waiting: now.Workers.Waiting, Limit: now.Workers.Limit},
	}
	for reason, n := range now.Drops {
		put(&s.Drops, string(reason), rate(before.Drops[reason].Messages, n.Messages))
	}
	for kind, n := range now.Closes {
		put(&s.Closes, kind.String(), rate(before.Closes[kind], n))
	}
	for reason, n := range now.Refused {
		put(&s.Refused, string(reason), rate(before.Refused[reason], n))
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

package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/hooks/callback"
	"github.com/sluicegate/sluice/hooks/limit"
	"github.com/sluicegate/sluice/hooks/remote"
	"github.com/sluicegate/sluice/transport"
)

// A family is one metric, with all the values of its labels.
type family struct {
	desc *prometheus.Desc
	read func(s *sample, out output)
}

// sample is what the gateway was at a scrape.
type sample struct {
	gateway.Stats
	ready     bool
	handlers  map[hooks.EventKind]transport.Histogram
	limiter   limit.Stats
	business  remote.Stats
	processes []remote.ProcessInfo
	callback  callback.Stats
}

// output takes a metric, or why it could not be made.
type output func(prometheus.Metric, error)

// emit takes a value and those of the family's labels.
type emit func(value float64, labels ...string)

// observe takes a histogram and the values of the family's labels.
type observe func(h transport.Histogram, labels ...string)

func describe(name, help string, labels []string) *prometheus.Desc {
	return prometheus.NewDesc("sluice_"+name, help, labels, nil)
}

func valued(kind prometheus.ValueType, name, help string, labels []string, read func(*sample, emit)) family {
	d := describe(name, help, labels)
	return family{d, func(s *sample, out output) {
		read(s, func(value float64, labels ...string) { out(prometheus.NewConstMetric(d, kind, value, labels...)) })
	}}
}

// counter is of one number that only grows, gauge of one that does not. The others
// have labels.
func counter(name, help string, read func(*sample) int64) family {
	return counters(name, help, nil, func(s *sample, e emit) { e(float64(read(s))) })
}

func counters(name, help string, labels []string, read func(*sample, emit)) family {
	return valued(prometheus.CounterValue, name, help, labels, read)
}

func gauge(name, help string, read func(*sample) float64) family {
	return gauges(name, help, nil, func(s *sample, e emit) { e(read(s)) })
}

func gauges(name, help string, labels []string, read func(*sample, emit)) family {
	return valued(prometheus.GaugeValue, name, help, labels, read)
}

func histograms(name, help string, labels []string, read func(*sample, observe)) family {
	d := describe(name, help, labels)
	return family{d, func(s *sample, out output) {
		read(s, func(h transport.Histogram, labels ...string) {
			up, buckets := uint64(0), make(map[float64]uint64, len(h.Bounds))
			for i, b := range h.Bounds {
				up += uint64(h.Counts[i])
				buckets[b] = up
			}
			out(prometheus.NewConstHistogram(d, uint64(h.Count()), h.Sum, buckets, labels...))
		})
	}}
}

// Package metrics tells Prometheus what a gateway counts.
//
//	m := metrics.New(metrics.Config{})
//	gw, err := gateway.New(gateway.Config{Hooks: []any{m}, …})
//	if err != nil {
//		return err
//	}
//	http.Handle("/metrics", m.Handler())
//
// A [Metrics] is a prometheus.Collector too, for a registry of the host's own, which
// also says how it is labelled where one process has several gateways:
//
//	prometheus.WrapRegistererWith(prometheus.Labels{"gateway": "chat"}, registry).MustRegister(m)
//
// Nothing is registered anywhere else. OpenTelemetry gets the same by the bridge of
// its own that reads Prometheus's registries; examples/otel does so.
//
// The numbers are those of gateway.Gateway.Stats and of the hooks that Config names,
// which are those of the protocol's Metrics command too: there is one set of
// counters, read when somebody asks. What they mean and what to do when they move is
// in docs/operations.md.
package metrics

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/hooks/callback"
	"github.com/sluicegate/sluice/hooks/limit"
	"github.com/sluicegate/sluice/hooks/remote"
	"github.com/sluicegate/sluice/internal/histogram"
	"github.com/sluicegate/sluice/transport"
)

// Config names what has counters besides the gateway. The zero value is the gateway
// alone.
type Config struct {
	// Remote is the gateway's Router, or one of its hooks, if business code runs
	// in other processes. Nil leaves out what is about those.
	Remote *remote.Router
	// Limiter is the gateway's. Nil leaves out what is about it.
	Limiter *limit.Limiter
	// Callback is one of the gateway's hooks. Nil leaves out what is about it.
	Callback *callback.Hook
}

// A Metrics collects what one gateway counts. It is made by [New] and belongs into
// gateway.Config.Hooks: that is how it comes to know the gateway, and how long the
// Router's calls take. It implements [hooks.Runner], [hooks.HandlerObserver] and
// prometheus.Collector. All its methods may be called on any goroutine.
type Metrics struct {
	cfg      Config
	families []family
	source   atomic.Pointer[source]
	times    map[hooks.EventKind]*histogram.Histogram
}

var (
	_ hooks.Runner          = (*Metrics)(nil)
	_ hooks.HandlerObserver = (*Metrics)(nil)
	_ prometheus.Collector  = (*Metrics)(nil)
)

// source is what a gateway is to this package.
type source interface {
	Stats() gateway.Stats
	Status() gateway.Status
}

// New makes a Metrics.
func New(cfg Config) *Metrics {
	m := &Metrics{cfg: cfg, times: make(map[hooks.EventKind]*histogram.Histogram)}
	for _, kind := range []hooks.EventKind{hooks.EventOpen, hooks.EventMessage, hooks.EventClose} {
		m.times[kind] = histogram.Durations(
			10*time.Microsecond, 25*time.Microsecond, 50*time.Microsecond, 100*time.Microsecond, 250*time.Microsecond, 500*time.Microsecond,
			time.Millisecond, 2500*time.Microsecond, 5*time.Millisecond, 10*time.Millisecond, 25*time.Millisecond, 50*time.Millisecond,
			100*time.Millisecond, 250*time.Millisecond, 500*time.Millisecond, time.Second, 2500*time.Millisecond, 5*time.Second, 10*time.Second)
	}
	m.families = append(m.families, gatewayFamilies()...)
	m.families = append(m.families, workFamilies()...)
	m.families = append(m.families, clusterFamilies()...)
	if cfg.Limiter != nil {
		m.families = append(m.families, limiterFamilies()...)
	}
	if cfg.Remote != nil {
		m.families = append(m.families, businessFamilies()...)
	}
	if cfg.Callback != nil {
		m.families = append(m.families, callbackFamilies()...)
	}
	return m
}

// Run implements [hooks.Runner]: it learns which gateway to ask, and returns at once.
// The gateway calls it. It is an error if bus is not a *gateway.Gateway, or if it was
// called before.
func (m *Metrics) Run(_ context.Context, bus hooks.Bus) error {
	g, ok := bus.(source)
	if !ok {
		return errors.New("metrics: the Bus is not a *gateway.Gateway; list the Metrics in a gateway's Hooks")
	}
	if !m.source.CompareAndSwap(nil, &g) {
		return errors.New("metrics: Run was called before; a Metrics belongs to one gateway and is listed in its Hooks once")
	}
	return nil
}

// Handled implements [hooks.HandlerObserver].
func (m *Metrics) Handled(kind hooks.EventKind, took time.Duration) {
	if h := m.times[kind]; h != nil {
		h.Observe(int64(took))
	}
}

// HandlerTimes returns how long the Router's calls have taken, in seconds, by kind;
// all kinds are there. The map is the caller's.
func (m *Metrics) HandlerTimes() map[hooks.EventKind]transport.Histogram {
	times := make(map[hooks.EventKind]transport.Histogram, len(m.times))
	for kind, h := range m.times {
		times[kind] = h.Snapshot()
	}
	return times
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, f := range m.families {
		ch <- f.desc
	}
}

// Collect implements prometheus.Collector. Before the gateway serves, there is
// nothing to collect.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	from := m.source.Load()
	if from == nil {
		return
	}
	s := m.sample(*from)
	for _, f := range m.families {
		f.read(&s, func(metric prometheus.Metric, err error) {
			if err != nil {
				metric = prometheus.NewInvalidMetric(f.desc, err)
			}
			ch <- metric
		})
	}
}

// sample looks at everything once, so that what belongs together fits together.
func (m *Metrics) sample(from source) sample {
	s := sample{Stats: from.Stats(), ready: from.Status() == gateway.StatusServing, handlers: m.HandlerTimes()}
	if l := m.cfg.Limiter; l != nil {
		s.limiter = l.Stats()
	}
	if rt := m.cfg.Remote; rt != nil {
		s.business, s.processes = rt.Stats(), rt.Processes()
	}
	if h := m.cfg.Callback; h != nil {
		s.callback = h.Stats()
	}
	return s
}

// Handler returns a handler that answers Prometheus's scrapes: with what the Metrics
// collects, and with what client_golang knows of the process and of Go's runtime. It
// has a registry of its own.
func (m *Metrics) Handler() http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(m, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes, EnableOpenMetrics: true})
}

// maxScrapes bounds the scrapes that are answered at the same time.
const maxScrapes = 8

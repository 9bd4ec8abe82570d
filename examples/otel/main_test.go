package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/gateway/gatewaytest"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/hooks/metrics"
	"github.com/sluicegate/sluice/internal/leaks"
	"github.com/sluicegate/sluice/transport/pipe"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// sent is an exporter that hands on the numbers it gets, by name: values of counters
// and gauges, and how much is in histograms, all labels added up.
type sent chan map[string]float64

func (sent) Temporality(k metric.InstrumentKind) metricdata.Temporality {
	return metric.DefaultTemporalitySelector(k)
}

func (sent) Aggregation(k metric.InstrumentKind) metric.Aggregation {
	return metric.DefaultAggregationSelector(k)
}
func (sent) ForceFlush(context.Context) error { return nil }
func (sent) Shutdown(context.Context) error   { return nil }

func (s sent) Export(ctx context.Context, r *metricdata.ResourceMetrics) error {
	numbers := make(map[string]float64)
	for _, scope := range r.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Sum[float64]:
				for _, p := range data.DataPoints {
					numbers[m.Name] += p.Value
				}
			case metricdata.Gauge[float64]:
				for _, p := range data.DataPoints {
					numbers[m.Name] += p.Value
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					numbers[m.Name] += float64(p.Count)
				}
			}
		}
	}
	select {
	case s <- numbers:
	case <-ctx.Done():
	}
	return nil
}

func TestMetricsArrive(t *testing.T) {
	m := metrics.New(metrics.Config{})
	gw := gatewaytest.New(t, gateway.Config{
		Hooks:  []any{m},
		Router: hooks.RouterFuncs{OnMessage: func(context.Context, hooks.Bus, hooks.MessageEvent) {}},
	})
	gw.Connect("/").Send("hello")
	gw.Settle()

	exporter := make(sent)
	provider, err := export(m, exporter, time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]float64
	late := time.After(20 * time.Second)
	for len(got) == 0 { // until the gateway has run its hooks
		select {
		case got = <-exporter:
		case <-late:
			t.Fatal("nothing was exported")
		}
	}
	for name, want := range map[string]float64{
		"sluice_ready": 1, "sluice_clients": 1, "sluice_clients_opened_total": 1,
		"sluice_messages_received_total": 1, "sluice_received_bytes_total": 5, "sluice_handler_duration_seconds": 2,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	go func() {
		for range exporter { // those that come before the end
		}
	}()
	if err := provider.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	close(exporter)
}

func TestTheEndTellsOfEverything(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	inMemory := pipe.New()
	var said bytes.Buffer
	done := make(chan error, 1)
	serving, stop := context.WithCancel(ctx)
	defer stop()
	go func() { done <- run(serving, inMemory, &said) }()

	network := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		for {
			c, err := inMemory.Dial(ctx)
			if !errors.Is(err, pipe.ErrNotServing) {
				return c, err
			}
			time.Sleep(time.Millisecond) // until run has got there
		}
	}}
	defer network.CloseIdleConnections()
	c, _, err := websocket.Dial(ctx, "ws://gateway/ws", &websocket.DialOptions{HTTPClient: &http.Client{Transport: network}})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, data, err := c.Read(ctx); err != nil || string(data) != "hello" {
		t.Fatalf("%q: %v", data, err)
	}
	_ = c.CloseNow()
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(said.String()), "\n")
	if last := lines[len(lines)-1]; !json.Valid([]byte(last)) || !strings.Contains(last, "sluice_messages_sent_total") {
		t.Errorf("the last export is %q", last)
	}
}

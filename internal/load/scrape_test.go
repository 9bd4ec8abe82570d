package load_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/sluicegate/sluice/internal/load"
	"github.com/sluicegate/sluice/internal/load/server"
)

// scrape asks for the metrics as Prometheus does.
func scrape(t *testing.T, url string) map[string]*dto.MetricFamily {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// total adds up a family: counters, gauges, and how often a histogram has counted.
func total(families map[string]*dto.MetricFamily, name string) (n float64) {
	for _, m := range families["sluice_"+name].GetMetric() {
		n += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
	}
	return n
}

// A thousand clients talk, and the gateway is scraped meanwhile. Names are as
// Prometheus wants them, counters never go back, and in the end each is what the
// clients have counted themselves.
func TestScrapeUnderLoad(t *testing.T) {
	const clients, bytes = 1000, 100
	addrs := make(chan server.Addrs, 1)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- server.Run(ctx, server.Config{Handler: "workers", Metrics: "127.0.0.1:0"}, func(a server.Addrs) { addrs <- a })
	}()
	var at server.Addrs
	select {
	case at = <-addrs:
	case err := <-ended:
		t.Fatal(err)
	}
	url := "http://" + at.Metrics + "/metrics"
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()

	running, over := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	scrapes, most := 0, 0.0
	watching.Go(func() {
		last := make(map[string]float64)
		for running.Err() == nil {
			families := scrape(t, url)
			scrapes++
			most = max(most, total(families, "clients"))
			for name := range families {
				short := strings.TrimPrefix(name, "sluice_")
				if !strings.HasSuffix(name, "_total") || short == name {
					continue
				}
				if n := total(families, short); n < last[short] {
					t.Errorf("%s went from %v back to %v", name, last[short], n)
				} else {
					last[short] = n
				}
			}
			select {
			case <-time.After(50 * time.Millisecond):
			case <-running.Done():
			}
		}
	})
	r, err := load.Run(t.Context(), load.Config{
		Scenario: "echo", URL: "ws://" + at.Clients, Clients: clients, Bytes: bytes, For: time.Second, Settle: time.Millisecond,
	})
	over()
	watching.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if scrapes < 5 || most != clients {
		t.Errorf("%d scrapes saw %v clients at most, want %d", scrapes, most, clients)
	}

	var families map[string]*dto.MetricFamily
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if families = scrape(t, url); total(families, "clients") == 0 || time.Now().After(deadline) {
			break
		}
	}
	sent, delivered := float64(r.Count("sent")), float64(r.Count("delivered"))
	if sent < clients || delivered != sent {
		t.Fatalf("the load tool sent %v and got back %v", sent, delivered)
	}
	opened := total(families, "clients_opened_total")
	for name, want := range map[string]float64{
		"messages_received_total": sent, "messages_sent_total": delivered, "messages_dropped_total": 0,
		"events_total": sent + 2*opened, "handler_duration_seconds": sent + 2*opened,
		"clients_closed_total": opened, "clients": 0, "handshakes_refused_total": 0,
		"received_bytes_total": sent * bytes, "event_bytes_total": sent * bytes,
	} {
		if got := total(families, name); got != want {
			t.Errorf("%s is %v, the load tool makes it %v", name, got, want)
		}
	}
	problems, err := promlint.NewWithMetricFamilies(only(families)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// only returns the families that are ours.
func only(families map[string]*dto.MetricFamily) (ours []*dto.MetricFamily) {
	for name, f := range families {
		if strings.HasPrefix(name, "sluice_") {
			ours = append(ours, f)
		}
	}
	return ours
}

package metrics_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/gateway/gatewaytest"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/hooks/callback"
	"github.com/sluicegate/sluice/hooks/limit"
	"github.com/sluicegate/sluice/hooks/metrics"
	"github.com/sluicegate/sluice/hooks/remote"
	"github.com/sluicegate/sluice/internal/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// everything is a Metrics with all sources that there are.
func everything(t *testing.T) (*metrics.Metrics, gateway.Config) {
	t.Helper()
	rt, err := remote.Listen(remote.Config{Worker: remote.Listener{Addr: "127.0.0.1:0"}, Task: remote.Listener{Addr: "127.0.0.1:0"}})
	must(t, err)
	l, err := limit.New(limit.Config{OnOpen: 100, ClientMessages: 3, ClientWindow: time.Hour})
	must(t, err)
	backend := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(backend.Close)
	cb, err := callback.New(callback.Config{CloseURL: backend.URL})
	must(t, err)
	m := metrics.New(metrics.Config{Remote: rt, Limiter: l, Callback: cb})
	return m, gateway.Config{Limiter: l, Hooks: []any{m, rt, cb}}
}

// echo answers, and does so to nobody else.
func echo(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
	if string(e.Data) == "panic" {
		panic("asked for")
	}
	_ = bus.SingleCast(ctx, e.UniqID, e.Data)
}

// known waits until m has learnt which gateway to ask, on a goroutine of the
// gateway's.
func known(t *testing.T, m *metrics.Metrics) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); testutil.CollectAndCount(m) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the gateway did not run the hook")
		}
	}
}

// expect compares the named metrics with what they should be.
func expect(t *testing.T, m *metrics.Metrics, want string, names ...string) {
	t.Helper()
	for i := range names {
		names[i] = "sluice_" + names[i]
	}
	if err := testutil.CollectAndCompare(m, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
}

func TestNamesFollowConventions(t *testing.T) {
	m, cfg := everything(t)
	gw := gatewaytest.New(t, cfg)
	gw.Connect("/").Send("hello")
	gw.Settle()
	known(t, m)
	problems, err := testutil.CollectAndLint(m)
	must(t, err)
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	if n := testutil.CollectAndCount(m); n < 60 {
		t.Errorf("%d metrics, want those of all sources", n)
	}
}

// The counters of the protocol's Metrics command and these are the same.
func TestCounts(t *testing.T) {
	m, cfg := everything(t)
	cfg.Router = hooks.RouterFuncs{OnMessage: echo}
	gw := gatewaytest.New(t, cfg)
	a, b := gw.Connect("/"), gw.Connect("/")
	known(t, m)
	for range 3 {
		a.Send("hello")
	}
	a.Send("one too many")
	b.Send("panic")
	gw.Settle()
	must(t, gw.SingleCast(t.Context(), "nobody", []byte("hi")))
	gw.Settle()

	expect(t, m, `
# HELP sluice_clients Clients that are open.
# TYPE sluice_clients gauge
sluice_clients 1
# HELP sluice_clients_closed_total Clients that have left, by close code and reason.
# TYPE sluice_clients_closed_total counter
sluice_clients_closed_total{code="1011",reason="internal error"} 1
# HELP sluice_clients_opened_total Clients that have connected.
# TYPE sluice_clients_opened_total counter
sluice_clients_opened_total 2
# HELP sluice_messages_received_total Messages from clients, without heartbeats.
# TYPE sluice_messages_received_total counter
sluice_messages_received_total 5
# HELP sluice_events_total Opens, messages and closes that were forwarded to the Router.
# TYPE sluice_events_total counter
sluice_events_total 7
# HELP sluice_messages_sent_total Messages that clients' sockets have taken.
# TYPE sluice_messages_sent_total counter
sluice_messages_sent_total 3
# HELP sluice_limiter_refusals_total Handshakes and messages that the Limiter has refused, by limit.
# TYPE sluice_limiter_refusals_total counter
sluice_limiter_refusals_total{limit="clientMessages"} 1
sluice_limiter_refusals_total{limit="ipClients"} 0
sluice_limiter_refusals_total{limit="ipOpens"} 0
sluice_limiter_refusals_total{limit="maxClients"} 0
sluice_limiter_refusals_total{limit="onMessage"} 0
sluice_limiter_refusals_total{limit="onOpen"} 0
# HELP sluice_ready Whether the gateway accepts clients: 1 while it serves, 0 in a drain and at its end.
# TYPE sluice_ready gauge
sluice_ready 1
`, "clients", "clients_opened_total", "clients_closed_total", "messages_received_total", "events_total", "messages_sent_total",
		"limiter_refusals_total", "ready")

	all, err := gw.Metrics(t.Context())
	must(t, err)
	for item, name := range map[hooks.MetricItem]string{
		hooks.MetricOpened: "clients_opened_total", hooks.MetricHeartbeats: "heartbeats_total", hooks.MetricEvents: "events_total",
		hooks.MetricEventBytes: "event_bytes_total", hooks.MetricWrites: "messages_sent_total", hooks.MetricWriteBytes: "sent_bytes_total",
		hooks.MetricFailedSends: "failed_sends_total",
	} {
		if got := value(t, m, "sluice_"+name, nil); got != float64(all[item].Count) {
			t.Errorf("%s is %v, and item %d of the Metrics command %d", name, got, item, all[item].Count)
		}
	}
	if got := value(t, m, "sluice_messages_dropped_total", map[string]string{"reason": "clientLimited"}); got != 1 || all[hooks.MetricClientLimited].Count != 1 {
		t.Errorf("%v messages were too many of one client's, and by the Metrics command %d; want 1", got, all[hooks.MetricClientLimited].Count)
	}
	if got := value(t, m, "sluice_messages_dropped_total", map[string]string{"reason": "unknown"}); got != 1 {
		t.Errorf("%v messages were for nobody, want 1", got)
	}
	times := m.HandlerTimes()
	for kind, want := range map[hooks.EventKind]int64{hooks.EventOpen: 2, hooks.EventMessage: 4, hooks.EventClose: 1} {
		if n := times[kind].Count(); n != want {
			t.Errorf("%d calls for %s were timed, want %d, also those that panic", n, kind, want)
		}
	}
}

// value returns one metric's value.
func value(t *testing.T, c prometheus.Collector, name string, labels map[string]string) float64 {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(c)
	families, err := r.Gather()
	must(t, err)
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
	metrics:
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if want, ok := labels[l.GetName()]; ok && want != l.GetValue() {
					continue metrics
				}
			}
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	t.Fatalf("there is no %s %v", name, labels)
	return 0
}

// A handler that takes its time is in the right bucket.
func TestHandlerTimes(t *testing.T) {
	m := metrics.New(metrics.Config{})
	for _, took := range []time.Duration{time.Microsecond, 10 * time.Microsecond, 11 * time.Microsecond, 3 * time.Millisecond, time.Minute} {
		m.Handled(hooks.EventMessage, took)
	}
	h := m.HandlerTimes()[hooks.EventMessage]
	if h.Counts[0] != 2 || h.Counts[1] != 1 || h.Counts[len(h.Bounds)] != 1 || h.Count() != 5 {
		t.Errorf("counts are %v", h.Counts)
	}
	if want := 60.003022; h.Sum < want-1e-6 || h.Sum > want+1e-6 {
		t.Errorf("all together took %v s, want %v", h.Sum, want)
	}
}

// Before the gateway serves, and with two Metrics in one registry, scrapes are
// answered.
func TestHandler(t *testing.T) {
	m, cfg := everything(t)
	scrape := func() string {
		w := httptest.NewRecorder()
		m.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
		body, _ := io.ReadAll(w.Result().Body)
		if w.Code != http.StatusOK {
			t.Fatalf("status %d: %s", w.Code, body)
		}
		return string(body)
	}
	if text := scrape(); strings.Contains(text, "sluice_") || !strings.Contains(text, "go_goroutines") {
		t.Errorf("before the gateway serves: %s", text)
	}
	gw := gatewaytest.New(t, cfg)
	gw.Connect("/")
	gw.Settle()
	known(t, m)
	if text := scrape(); !strings.Contains(text, "sluice_clients 1\n") || !strings.Contains(text, "process_open_fds") {
		t.Errorf("with a client: %s", text)
	}

	other, cfg := everything(t)
	gatewaytest.New(t, cfg)
	known(t, other)
	r := prometheus.NewPedanticRegistry()
	must(t, prometheus.WrapRegistererWith(prometheus.Labels{"gateway": "one"}, r).Register(m))
	must(t, prometheus.WrapRegistererWith(prometheus.Labels{"gateway": "two"}, r).Register(other))
	if _, err := r.Gather(); err != nil {
		t.Error(err)
	}
}

// A Metrics is of one gateway.
func TestOneGateway(t *testing.T) {
	m := metrics.New(metrics.Config{})
	if err := m.Run(t.Context(), nil); err == nil {
		t.Error("it took another Bus for a gateway")
	}
	gw := gatewaytest.New(t, gateway.Config{Hooks: []any{m}})
	known(t, m)
	if err := m.Run(t.Context(), gw.Gateway); err == nil || !strings.Contains(err.Error(), "belongs to one gateway") {
		t.Errorf("a second Run: %v", err)
	}
}

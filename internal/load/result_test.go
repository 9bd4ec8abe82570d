package load_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/internal/load"
)

func TestFiguresOfAResult(t *testing.T) {
	t.Parallel()
	r := load.Result{
		Clients: 100, Took: 2 * time.Second, Operations: 4000,
		Counts:    []load.Count{{Name: "sent", N: 4001}},
		Latencies: []load.Latency{{Name: "delivery", Max: time.Second}},
		Server:    &load.Server{User: 3 * time.Millisecond, System: time.Millisecond, RSSBefore: 1000, RSSIdle: 91_000},
	}
	if got := r.Rate(); got != 2000 {
		t.Errorf("Rate is %v, want 2000", got)
	}
	if got, ok := r.CPUPerOperation(); !ok || got != time.Microsecond {
		t.Errorf("CPUPerOperation is %v %v, want 1µs", got, ok)
	}
	if got, ok := r.IdleBytes(); !ok || got != 900 {
		t.Errorf("IdleBytes is %v %v, want 900", got, ok)
	}
	if r.Count("sent") != 4001 || r.Count("lost") != 0 {
		t.Error("a count is not found by its name")
	}
	if l := r.Latency("delivery"); l == nil || l.Max != time.Second || r.Latency("echo") != nil {
		t.Error("a latency is not found by its name")
	}
}

func TestFiguresThatAreNotKnown(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]load.Result{
		"nothing":    {},
		"no server":  {Clients: 1, Operations: 1},
		"no weights": {Server: &load.Server{User: time.Second}, Clients: 1},
	} {
		if _, ok := r.CPUPerOperation(); ok {
			t.Errorf("%s: CPUPerOperation is known", name)
		}
		if _, ok := r.IdleBytes(); ok {
			t.Errorf("%s: IdleBytes is known", name)
		}
		if r.Rate() != 0 {
			t.Errorf("%s: Rate is not 0", name)
		}
	}
}

func TestResultWithoutServerSaysSoInJSON(t *testing.T) {
	t.Parallel()
	b, err := json.Marshal(load.Result{Scenario: "echo"})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b), `"scenario":"echo"`) || strings.Contains(string(b), "server") {
		t.Errorf("JSON is %s", b)
	}
}

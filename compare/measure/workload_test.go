package measure

import (
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/compare/servers"
	"github.com/sluicegate/sluice/internal/load"
)

func TestWorkloads(t *testing.T) {
	byName := make(map[string]Workload)
	for _, w := range Workloads() {
		if _, ok := byName[w.Name]; ok {
			t.Errorf("two workloads are called %s", w.Name)
		}
		byName[w.Name] = w
		if w.Base == "" {
			continue
		}
		base, ok := byName[w.Base]
		if !ok || base.Base != "" {
			t.Errorf("%s is compared with %q, which the floor has not done before", w.Name, w.Base)
		}
		if base.Clients != w.Clients || base.Inflight != w.Inflight {
			t.Errorf("%s is compared with %s, which is of another size", w.Name, w.Base)
		}
	}
	for _, name := range Quick() {
		if _, ok := byName[name]; !ok {
			t.Errorf("there is no workload %q for a quick run", name)
		}
	}
}

func TestArgs(t *testing.T) {
	for _, tt := range []struct {
		w    Workload
		want string
	}{
		{publish(1000, 10, 0), "-quiet -json - -for 3s -settle 200ms -n 1000 -inflight 16 -topics 10 broadcast"},
		{echo(50), "-quiet -json - -for 3s -settle 200ms -n 50 echo"},
		{Workload{Scenario: "hold", Clients: 8000, Figure: Memory}, "-quiet -json - -for 3s -n 8000 hold"},
	} {
		if got := strings.Join(tt.w.args(3*time.Second), " "); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.w.Title, got, tt.want)
		}
	}
}

func TestFigures(t *testing.T) {
	r := &load.Result{
		Clients: 10, Operations: 1000,
		Server: &load.Server{User: 3 * time.Millisecond, System: time.Millisecond, RSSBefore: 100, RSSIdle: 100 + 5*10*1024},
	}
	if got, ok := CPU.Of(r); !ok || got != 4 {
		t.Errorf("CPU is %v %v, want 4 µs", got, ok)
	}
	if got, ok := Memory.Of(r); !ok || got != 5 {
		t.Errorf("Memory is %v %v, want 5 kB", got, ok)
	}
	for _, f := range []Figure{CPU, Memory} {
		if _, ok := f.Of(&load.Result{}); ok {
			t.Errorf("figure %v is known of nothing", f)
		}
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 18000: "18,000", 1234567: "1,234,567"} {
		if got := Thousands(n); got != want {
			t.Errorf("%d is written %s, want %s", n, got, want)
		}
	}
}

func TestWhatSubjectsLack(t *testing.T) {
	floor := Floor("floor")
	for _, tt := range []struct {
		s    Subject
		w    Workload
		want string
	}{
		{floor, broadcast(1000, 1, 0), ""},
		{floor, Workload{Figure: Memory}, "nothing for a client"},
		{floor, publish(1000, 1, 0), OursOnly},
		{Sluice(), publish(1000, 1, 0), ""},
		{library(t, "gws"), echo(50), ""},
		{library(t, "gws"), echoByBusiness(50), OursOnly},
		{library(t, "centrifuge"), echo(50), "no echo"},
		{library(t, "centrifuge"), broadcast(1000, 1, 0), ""},
	} {
		got := tt.s.Lacks(tt.w)
		if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("%s lacks %q of %s, want %q", tt.s.Name, got, tt.w.Name, tt.want)
		}
	}
}

func library(t *testing.T, name string) Subject {
	t.Helper()
	l, err := servers.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	return Library("program", l)
}

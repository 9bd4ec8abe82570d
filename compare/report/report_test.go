package report_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/compare/measure"
	"github.com/sluicegate/sluice/compare/report"
	"github.com/sluicegate/sluice/compare/servers"
	"github.com/sluicegate/sluice/internal/load"
)

// workloads returns those of the names.
func workloads(t *testing.T, names ...string) []measure.Workload {
	t.Helper()
	var all []measure.Workload
	for _, w := range measure.Workloads() {
		for _, n := range names {
			if w.Name == n {
				all = append(all, w)
			}
		}
	}
	if len(all) != len(names) {
		t.Fatalf("%d of the workloads %v exist", len(all), names)
	}
	return all
}

// ran is a run for each round, by their CPU times per operation in microseconds.
// One of 0 has failed.
func ran(server, workload string, micros ...float64) []measure.Run {
	var runs []measure.Run
	for i, m := range micros {
		const operations = 1000
		r := measure.Run{Server: server, Workload: workload, Round: i + 1, Result: &load.Result{
			Took: time.Second, Operations: operations, Latencies: []load.Latency{{P99: 2 * time.Millisecond}},
			Server: &load.Server{User: time.Duration(m * operations * float64(time.Microsecond))},
		}}
		if m == 0 {
			r.Failure = "of 1000: 5 lost"
		}
		runs = append(runs, r)
	}
	return runs
}

func weighed(server string, kB int64) measure.Run {
	return measure.Run{Server: server, Workload: "hold", Round: 1, Result: &load.Result{
		Clients: 1, Server: &load.Server{RSSBefore: 1, RSSIdle: 1 + kB*1024},
	}}
}

func concat(parts ...[]measure.Run) (all []measure.Run) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func subjects(t *testing.T, names ...string) []measure.Subject {
	t.Helper()
	all := []measure.Subject{measure.Floor("floor"), measure.Sluice()}
	for _, n := range names {
		l, err := servers.Find(n)
		if err != nil {
			t.Fatal(err)
		}
		s := measure.Library("program", l)
		s.Version = "v1.2.3"
		all = append(all, s)
	}
	return all
}

func TestMarkdown(t *testing.T) {
	runs := concat(
		ran("floor", "broadcast-1000-1", 8, 10, 9), ran("sluice", "broadcast-1000-1", 8.8, 12, 9.9), ran("centrifuge", "broadcast-1000-1", 24, 0, 27),
		ran("floor", "broadcast-1000-16", 8), ran("sluice", "broadcast-1000-16", 1), ran("centrifuge", "broadcast-1000-16", 0),
		ran("sluice", "publish-1000-1", 0.8),
		ran("floor", "echo-50", 10), ran("sluice", "echo-50", 11.4), ran("sluice", "business-50", 30),
		[]measure.Run{weighed("sluice", 1), weighed("centrifuge", 1234)},
	)
	table := report.Build(subjects(t, "centrifuge"),
		workloads(t, "broadcast-1000-1", "broadcast-1000-16", "publish-1000-1", "echo-50", "business-50", "hold"), runs)
	var b strings.Builder
	if err := table.Markdown(&b); err != nil {
		t.Fatal(err)
	}
	want := `| workload | figure | floor | sluice | goal | centrifuge v1.2.3 |
|---|---|---|---|---|---|
| broadcast to 1,000 clients, 1 in flight | µs CPU per delivery | 9.00 | 9.90 (1.10) | ≤ (1.15): met | 25.5 (3.00) [1] |
| broadcast to 1,000 clients, 16 in flight | µs CPU per delivery | 8.00 | 1.00 (0.125) | ≤ (0.12): missed | – [2] |
| publish to 1 topic of 1,000 clients, 16 in flight | µs CPU per delivery | – | 0.80 (0.100) | ≤ (0.12): met | – |
| echo to 50 clients | µs CPU per round trip | 10.0 | 11.4 (1.14) | ≤ (1.15): met | – [3] |
| echo by a business process to 50 clients | µs CPU per round trip | – | 30.0 (3.00); 1,000/s, p99 2.00 ms |  | – |
| 18,000 idle clients | kB per idle client | – [4] | 1.00 | ≤ 0.9: missed | 1,234 |

1. centrifuge, broadcast to 1,000 clients, 1 in flight: 1 of 3 runs failed, the last so: of 1000: 5 lost.
2. centrifuge, broadcast to 1,000 clients, 16 in flight: 1 of 1 runs failed, the last so: of 1000: 5 lost.
3. centrifuge: a client of centrifuge sends commands of its protocol; there is no echo of raw messages.
4. floor: the floor keeps nothing for a client.
`
	if b.String() != want {
		t.Errorf("the table is\n%s\nwant\n%s", &b, want)
	}
}

// A ratio is of one round's figures: the machine was twice as slow in the second
// round, and neither server.
func TestRatiosAreTakenRoundByRound(t *testing.T) {
	table := report.Build(subjects(t), workloads(t, "echo-50"), concat(ran("floor", "echo-50", 10, 20, 10), ran("sluice", "echo-50", 11, 22, 13)))
	got := table.Rows[0].Cells[1]
	if want := (report.Stat{Median: 1.1, Least: 1.1, Most: 1.3}); *got.Ratio != want {
		t.Errorf("the ratio is %+v, want %+v", *got.Ratio, want)
	}
	if want := (report.Stat{Median: 13, Least: 11, Most: 22}); *got.Figure != want {
		t.Errorf("the figure is %+v, want %+v", *got.Figure, want)
	}
}

func TestMedianOfAnEvenNumber(t *testing.T) {
	table := report.Build(subjects(t), workloads(t, "echo-50"), ran("sluice", "echo-50", 4, 1, 3, 100))
	if got := table.Rows[0].Cells[1].Figure.Median; got != 3.5 {
		t.Errorf("the median is %v, want 3.5", got)
	}
}

func TestWithoutFloorThereAreNoRatios(t *testing.T) {
	table := report.Build(subjects(t)[1:], workloads(t, "echo-50"), ran("sluice", "echo-50", 4))
	row := table.Rows[0]
	if row.Cells[0].Ratio != nil || row.Goal == nil || row.Goal.Met || row.Goal.String() != "≤ (1.15): not measured" {
		t.Errorf("the row is %+v with goal %v, want no ratio and a goal that was not measured", row, row.Goal)
	}
}

func TestGrowth(t *testing.T) {
	names := []string{"broadcast-1000-1", "broadcast-1000-16", "broadcast-8000-1", "broadcast-18000-1"}
	for _, tt := range []struct {
		name string
		most float64 // Sluice's cost for the most clients
		met  bool
	}{{"less than the floor's", 14, true}, {"more than the floor's", 16, false}} {
		t.Run(tt.name, func(t *testing.T) {
			table := report.Build(subjects(t), workloads(t, names...), concat(
				ran("floor", "broadcast-1000-1", 10), ran("floor", "broadcast-8000-1", 90), ran("floor", "broadcast-18000-1", 15),
				ran("sluice", "broadcast-1000-1", 10), ran("sluice", "broadcast-18000-1", tt.most),
			))
			if n := len(table.Rows); n != len(names)+1 {
				t.Fatalf("%d rows, want one more than workloads", n)
			}
			row := table.Rows[len(names)]
			if row.Title != "broadcast to 18,000 clients after 1,000, 1 in flight" || row.Cells[0].Figure.Median != 1.5 || row.Goal.Met != tt.met {
				t.Errorf("the row is %+v with goal %v; want growth from 1,000 to 18,000 clients, the floor's 1.5, met %v", row, row.Goal, tt.met)
			}
		})
	}
}

func TestTableAsJSON(t *testing.T) {
	b, err := json.Marshal(report.Build(subjects(t), workloads(t, "echo-50"), ran("sluice", "echo-50", 4)))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"name":"sluice"`, `"figure":{"median":4,"least":4,"most":4}`, `"goal":{"most":1.15,`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("JSON has no %s: %s", want, b)
		}
	}
}

func TestThisMachine(t *testing.T) {
	m := report.ThisMachine()
	if m.CPUs < 1 || !strings.Contains(m.String(), m.Go) {
		t.Errorf("this machine is %v", m)
	}
}

package measure

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/compare/launch"
)

func TestRoundsGoRoundByRound(t *testing.T) {
	var order []string
	runs, err := Config{
		Subjects:  []Subject{Sluice(), {Name: "other"}},
		Workloads: []Workload{echo(50), publish(1000, 1, 0), echo(500)},
		Rounds:    2,
		For:       time.Second,
		slack:     time.Minute,
		LoadTool:  tool(t, `echo '{"scenario": "echo", "operations": 7}'`),
		Each:      func(r Run) { order = append(order, r.Workload+" "+r.Server) },
	}.rounds(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	round := []string{"echo-50 sluice", "echo-50 other", "publish-1000-1 sluice", "echo-500 sluice", "echo-500 other"}
	if want := append(round, round...); !slices.Equal(order, want) {
		t.Errorf("runs were %v, want %v", order, want)
	}
	for i, r := range runs {
		if want := 1 + i/len(round); r.Round != want || r.Failure != "" || r.Result.Operations != 7 {
			t.Errorf("run %d is %+v, want one of round %d with a result", i, r, want)
		}
	}
}

func TestFailuresAreTold(t *testing.T) {
	for name, tt := range map[string]struct{ script, want string }{
		"the load tool's last word": {"echo first >&2; echo 'loadtest: could not connect' >&2; exit 1", "loadtest: could not connect"},
		"no word":                   {"exit 3", "exit status 3"},
		"no result":                 {"echo hello", "the load tool's result"},
		"lost messages":             {`echo '{"operations": 90, "counts": [{"name": "lost", "n": 10}, {"name": "doubled", "n": 0}]}'`, "of 90: 10 lost"},
		"clients that were closed":  {`echo '{"operations": 90, "counts": [{"name": "closed 1006", "n": 3}]}'`, "of 90: 3 closed 1006"},
		"clients that cannot come":  {`echo '{"operations": 90, "counts": [{"name": "opened", "n": 90}, {"name": "failed", "n": 4}]}'`, "of 90: 4 failed"},
		"several things":            {`echo '{"operations": 90, "counts": [{"name": "doubled", "n": 2}, {"name": "out of order", "n": 1}]}'`, "of 90: 2 doubled, 1 out of order"},
	} {
		t.Run(name, func(t *testing.T) {
			runs, err := one(tool(t, tt.script)).rounds(t.Context())
			if err != nil || len(runs) != 1 || !strings.Contains(runs[0].Failure, tt.want) {
				t.Fatalf("runs are %+v, error %v; want a failure that has %q", runs, err, tt.want)
			}
		})
	}
}

func TestImperfectResultIsKept(t *testing.T) {
	runs, err := one(tool(t, `echo '{"operations": 90, "counts": [{"name": "lost", "n": 10}]}'`)).rounds(t.Context())
	if err != nil || runs[0].Result == nil || runs[0].Result.Count("lost") != 10 {
		t.Errorf("runs are %+v, error %v; want the result beside the failure", runs, err)
	}
}

func TestServerThatDoesNotStartIsAFailure(t *testing.T) {
	c := one(tool(t, "exit 0"))
	c.Subjects = []Subject{{Name: "absent", start: func(context.Context) (*launch.Server, error) {
		return nil, errors.New("no such thing")
	}}}
	runs, err := c.rounds(t.Context())
	if err != nil || len(runs) != 1 || runs[0].Failure == "" {
		t.Errorf("runs are %+v, error %v; want a failure", runs, err)
	}
}

func TestEndingKeepsWhatWasMeasured(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := one(tool(t, `echo '{}'`))
	c.Rounds = 3
	c.Each = func(Run) { cancel() }
	runs, err := c.rounds(ctx)
	if !errors.Is(err, context.Canceled) || len(runs) != 1 {
		t.Errorf("%d runs, error %v; want one and that it was canceled", len(runs), err)
	}
}

func TestToolThatTakesTooLongIsEnded(t *testing.T) {
	c := one(tool(t, "trap 'exit 0' INT; while :; do :; done"))
	c.slack, c.For = 10*time.Millisecond, 10*time.Millisecond
	runs, err := c.rounds(t.Context())
	if err != nil || len(runs) != 1 || !strings.Contains(runs[0].Failure, "longer than 20ms") {
		t.Errorf("runs are %+v, error %v; want a failure that says that it took too long", runs, err)
	}
}

// one measures one workload once.
func one(loadTool string) Config {
	return Config{
		Subjects: []Subject{Sluice()}, Workloads: []Workload{echo(50)}, Rounds: 1, For: time.Second, slack: time.Minute,
		LoadTool: loadTool, Each: func(Run) {},
	}
}

// tool writes a load tool that does what script says.
func tool(t *testing.T, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "loadtest")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

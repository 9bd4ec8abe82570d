package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/compare/measure"
)

// TestMain makes the test's program the servers too, which are the program that
// measures them.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestComparison(t *testing.T) {
	if runtime.GOOS != "linux" || runtime.NumCPU() < 2 {
		t.Skip("only Linux says what a process uses, and the servers need a CPU for themselves")
	}
	file := filepath.Join(t.TempDir(), "all.json")
	var stdout, stderr bytes.Buffer
	err := run(t.Context(), []string{
		"-servers", "floor,sluice,gws", "-workloads", "publish-1000-1,echo-50", "-rounds", "1", "-for", "200ms", "-json", file,
	}, &stdout, &stderr)
	if err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	for _, want := range []string{"| workload |", "gws v1", "echo to 50 clients", "publish to 1 topic", "1 rounds"} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("the output has no %q:\n%s", want, &stdout)
		}
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var r record
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Runs) != 4 || len(r.Table.Rows) != 2 || r.Machine.CPUs < 2 {
		t.Fatalf("the file has %d runs and %d rows, on %v; want 4 and 2", len(r.Runs), len(r.Table.Rows), r.Machine)
	}
	for _, run := range r.Runs {
		if run.Failure != "" || run.Result == nil || run.Result.Operations == 0 || run.Result.Server == nil {
			t.Errorf("%s of %s: failure %q, result %+v", run.Workload, run.Server, run.Failure, run.Result)
		}
	}
}

func TestFlags(t *testing.T) {
	all := len(measure.Workloads())
	for _, tt := range []struct {
		args      string
		servers   []string
		workloads int
		rounds    int
		length    time.Duration
	}{
		{"", serverNames(), all, 3, 3 * time.Second},
		{"-quick", serverNames(), len(measure.Quick()), 1, time.Second},
		{"-quick -rounds 2 -for 500ms -workloads echo-50", serverNames(), 1, 2, 500 * time.Millisecond},
		{"-servers gws,floor", []string{"floor", "gws"}, all, 3, 3 * time.Second},
	} {
		c, err := parse(strings.Fields(tt.args), io.Discard)
		if err != nil {
			t.Errorf("%q: %v", tt.args, err)
			continue
		}
		if !slices.Equal(c.servers, tt.servers) || len(c.workloads) != tt.workloads || c.rounds != tt.rounds || c.length != tt.length {
			t.Errorf("%q means %+v", tt.args, c)
		}
	}
}

func TestFlagsThatAreWrong(t *testing.T) {
	for args, want := range map[string]string{
		"-rounds 0":          "-rounds",
		"-for 1h":            "-for",
		"-servers apache":    "apache",
		"-workloads dancing": "dancing",
		"more":               "more",
		"-fast":              "-fast",
		"serve apache":       "apache",
		"serve":              "no server",
	} {
		if err := run(t.Context(), strings.Fields(args), io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one that has %q", args, err, want)
		}
	}
	if err := run(t.Context(), []string{"-h"}, io.Discard, io.Discard); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-h: error %v", err)
	}
}

func TestFileThatCannotBeWrittenIsToldBeforehand(t *testing.T) {
	err := run(t.Context(), []string{"-json", t.TempDir()}, io.Discard, io.Discard)
	if err == nil {
		t.Error("no error for a folder")
	}
}

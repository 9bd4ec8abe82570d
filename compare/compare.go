package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/sluicegate/sluice/compare/floor"
	"github.com/sluicegate/sluice/compare/measure"
	"github.com/sluicegate/sluice/compare/report"
	"github.com/sluicegate/sluice/compare/servers"
)

// compare measures what was chosen and prints the table.
func (c *choice) compare(ctx context.Context, stdout, stderr io.Writer) error {
	machine := report.ThisMachine()
	out, err := c.openJSON()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "sluice-compare-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	subjects, err := c.subjects(ctx, dir, stderr)
	if err != nil {
		return err
	}
	tool, err := measure.BuildLoadTool(ctx, dir)
	if err != nil {
		return err
	}
	begin := time.Now()
	runs, err := measure.All(ctx, measure.Config{
		Subjects: subjects, Workloads: c.workloads, Rounds: c.rounds, For: c.length, LoadTool: tool,
		Each: func(r measure.Run) { progress(stderr, begin, r) },
	})
	if len(runs) == 0 {
		return err
	}
	// What was measured until somebody ended it is shown all the same.
	table := report.Build(subjects, c.workloads, runs)
	err = errors.Join(err, table.Markdown(stdout))
	fmt.Fprintf(stdout, "\n%s; %d rounds, each run measured for %v\n", machine, c.rounds, c.length)
	if out != nil {
		err = errors.Join(err, write(out, record{
			Began: begin, Took: time.Since(begin), Machine: machine, Rounds: c.rounds, For: c.length, Table: table, Runs: runs,
		}))
	}
	return err
}

// subjects prepares the servers that were chosen.
func (c *choice) subjects(ctx context.Context, dir string, stderr io.Writer) ([]measure.Subject, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	var all []measure.Subject
	for _, name := range c.servers {
		switch name {
		case measure.FloorName:
			program, err := floor.Build(ctx, dir, c.floor)
			if errors.Is(err, floor.ErrNoCompiler) {
				fmt.Fprintln(stderr, "compare: no ratios, since", err)
				continue
			}
			if err != nil {
				return nil, err
			}
			all = append(all, measure.Floor(program))
		case measure.SluiceName:
			all = append(all, measure.Sluice())
		default:
			lib, err := servers.Find(name)
			if err != nil {
				return nil, err
			}
			all = append(all, measure.Library(self, lib))
		}
	}
	return all, nil
}

func progress(w io.Writer, begin time.Time, r measure.Run) {
	what := r.Failure
	if what == "" {
		what = "done"
	}
	fmt.Fprintf(w, "%6s round %d: %s, %s: %s\n", time.Since(begin).Round(time.Second), r.Round, r.Workload, r.Server, what)
}

// record is the JSON file. Durations are in nanoseconds.
type record struct {
	Began   time.Time      `json:"began"`
	Took    time.Duration  `json:"took"`
	Machine report.Machine `json:"machine"`
	Rounds  int            `json:"rounds"`
	For     time.Duration  `json:"for"`
	Table   *report.Table  `json:"table"`
	Runs    []measure.Run  `json:"runs"`
}

// openJSON creates the file before anything is measured, lest that be in vain. It
// is nil if none is wanted.
func (c *choice) openJSON() (*os.File, error) {
	if c.json == "" {
		return nil, nil
	}
	return os.Create(c.json)
}

func write(f *os.File, r record) error {
	e := json.NewEncoder(f)
	e.SetIndent("", "\t")
	return errors.Join(e.Encode(r), f.Close())
}

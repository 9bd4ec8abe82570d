package measure

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/sluicegate/sluice/compare/launch"
	"github.com/sluicegate/sluice/internal/load"
	"github.com/sluicegate/sluice/internal/load/process"
)

// A Run is what came of one workload at one server, once.
type Run struct {
	Server   string       `json:"server"`           // Subject.Name
	Workload string       `json:"workload"`         // Workload.Name
	Round    int          `json:"round"`            // from 1
	Result   *load.Result `json:"result,omitempty"` // nil if there is none
	// Failure says what went wrong. There may be a result all the same.
	Failure string `json:"failure,omitempty"`
}

// Config says what is measured.
type Config struct {
	Subjects  []Subject     // in the order of each workload
	Workloads []Workload    // in the order of each round
	Rounds    int           // how often everything is run
	For       time.Duration // the measured phase of each run
	LoadTool  string        // path of the program
	// Each is called after each run.
	Each func(Run)

	slack time.Duration // see below
}

// slack is how long a run may take beyond its measured phase: to connect, to
// rest, to drain.
const slack = 60 * time.Second

// All runs every workload at every server that can do it, one after the other,
// and that round by round, so that a change of the machine's speed meets all. It
// keeps this process off the first CPU, which is the servers'. A run that fails
// is a run; an error means that measuring makes no sense.
func All(ctx context.Context, cfg Config) ([]Run, error) {
	if err := process.PinToOthers(); err != nil {
		return nil, fmt.Errorf("the servers need a CPU for themselves: %w", err)
	}
	cfg.slack = slack
	return cfg.rounds(ctx)
}

func (c Config) rounds(ctx context.Context) ([]Run, error) {
	var runs []Run
	for round := range c.Rounds {
		for _, w := range c.Workloads {
			for _, s := range c.Subjects {
				if s.Lacks(w) != "" {
					continue
				}
				r := Run{Server: s.Name, Workload: w.Name, Round: round + 1}
				var err error
				if r.Result, err = c.once(ctx, s, w); err != nil {
					r.Failure = err.Error()
				}
				if ctx.Err() != nil {
					return runs, ctx.Err()
				}
				runs = append(runs, r)
				c.Each(r)
			}
		}
	}
	return runs, nil
}

func (c Config) once(ctx context.Context, s Subject, w Workload) (*load.Result, error) {
	limit := c.For + c.slack
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it took longer than %v", limit))
	defer cancel()
	var target []string
	if s.start == nil {
		target = []string{"-pin"}
		if w.Remote {
			target = append(target, "-handler", "remote")
		}
		if w.Scenario == "broadcast" {
			// As package gnet's documentation advises for broadcasts.
			target = append(target, "-procs", "2")
		}
	} else {
		srv, err := startOnFirst(ctx, s)
		if err != nil {
			return nil, err
		}
		defer srv.Stop()
		target = []string{"-url", "ws://" + srv.Clients + "/", "-task", srv.Task, "-pid", strconv.Itoa(srv.PID)}
	}
	r, err := c.load(ctx, append(target, w.args(c.For)...))
	if err != nil {
		return nil, err
	}
	return r, imperfect(r)
}

// startOnFirst starts the server on the first CPU. This process is back on the
// others when it returns.
func startOnFirst(ctx context.Context, s Subject) (*launch.Server, error) {
	if err := process.PinToFirst(); err != nil {
		return nil, err
	}
	srv, err := s.start(ctx)
	if pinErr := process.PinToOthers(); err == nil && pinErr != nil {
		srv.Stop()
		return nil, pinErr
	}
	return srv, err
}

// patience is how long the load tool may take to end when it is told to.
const patience = 10 * time.Second

// load runs the load tool.
func (c Config) load(ctx context.Context, args []string) (*load.Result, error) {
	cmd := exec.CommandContext(ctx, c.LoadTool, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = patience
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, errors.New(lastLine(complaint.String(), err))
	}
	r := new(load.Result)
	if err := json.Unmarshal(out.Bytes(), r); err != nil {
		return nil, fmt.Errorf("the load tool's result: %w", err)
	}
	return r, nil
}

func lastLine(said string, err error) string {
	lines := strings.Split(strings.TrimSpace(said), "\n")
	if last := lines[len(lines)-1]; last != "" {
		return last
	}
	return err.Error()
}

// imperfect says what a server has done wrong, though it could be measured.
func imperfect(r *load.Result) error {
	var wrong []string
	for _, c := range r.Counts {
		closed := strings.HasPrefix(c.Name, "closed ")
		if c.N > 0 && (closed || slices.Contains([]string{"lost", "doubled", "out of order", "failed"}, c.Name)) {
			wrong = append(wrong, fmt.Sprintf("%d %s", c.N, c.Name))
		}
	}
	if wrong == nil {
		return nil
	}
	return fmt.Errorf("of %d: %s", r.Operations, strings.Join(wrong, ", "))
}

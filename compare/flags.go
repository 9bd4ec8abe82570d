package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/sluicegate/sluice/compare/measure"
	"github.com/sluicegate/sluice/compare/servers"
)

// A choice is what the flags say.
type choice struct {
	servers   []string
	workloads []measure.Workload
	rounds    int
	length    time.Duration
	json      string
	floor     string
}

func parse(args []string, stderr io.Writer) (*choice, error) {
	fs := flag.NewFlagSet("compare", flag.ContinueOnError)
	fs.SetOutput(stderr)
	names, works := serverNames(), workloadNames()
	var c choice
	quick := fs.Bool("quick", false, "few workloads, one round, one second each, unless other flags say otherwise")
	chosen := fs.String("servers", strings.Join(names, ","), "servers to measure")
	wanted := fs.String("workloads", strings.Join(works, ","), "workloads to run")
	fs.IntVar(&c.rounds, "rounds", 3, "how often everything is run; the table has medians")
	fs.DurationVar(&c.length, "for", 3*time.Second, "how long each run is measured")
	fs.StringVar(&c.json, "json", "", "write all that was measured to this `file`, as JSON")
	fs.StringVar(&c.floor, "floor", "", "C `file` to take for the floor instead of floor/floor.c; the program is told the two ports to listen on")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("%q is no flag: see -h", fs.Arg(0))
	}
	if *quick {
		set := make(map[string]bool)
		fs.Visit(func(f *flag.Flag) { set[f.Name] = true })
		if !set["workloads"] {
			*wanted = strings.Join(measure.Quick(), ",")
		}
		if !set["rounds"] {
			c.rounds = 1
		}
		if !set["for"] {
			c.length = time.Second
		}
	}
	if c.rounds < 1 || c.length < 100*time.Millisecond || c.length > time.Minute {
		return nil, errors.New("-rounds must be at least 1, and -for between 100ms and 1m")
	}
	var err error
	if c.servers, err = pick("-servers", *chosen, names); err != nil {
		return nil, err
	}
	picked, err := pick("-workloads", *wanted, works)
	if err != nil {
		return nil, err
	}
	for _, w := range measure.Workloads() {
		if slices.Contains(picked, w.Name) {
			c.workloads = append(c.workloads, w)
		}
	}
	return &c, nil
}

// pick returns the names in list, in the order of all.
func pick(name, list string, all []string) ([]string, error) {
	asked := strings.Split(list, ",")
	for _, a := range asked {
		if !slices.Contains(all, a) {
			return nil, fmt.Errorf("%s: there is no %q; there are %s", name, a, strings.Join(all, ", "))
		}
	}
	var picked []string
	for _, n := range all {
		if slices.Contains(asked, n) {
			picked = append(picked, n)
		}
	}
	return picked, nil
}

func serverNames() []string {
	names := []string{measure.FloorName, measure.SluiceName}
	for _, l := range servers.Libraries() {
		names = append(names, l.Name)
	}
	return names
}

func workloadNames() []string {
	var names []string
	for _, w := range measure.Workloads() {
		names = append(names, w.Name)
	}
	return names
}

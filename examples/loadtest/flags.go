package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/sluicegate/sluice/internal/load"
	"github.com/sluicegate/sluice/internal/secret"
)

type options struct {
	load       load.Config
	json, html string
	secret     string // its file
	quiet      bool
}

// parse takes flags before the scenario and behind it.
func parse(args []string, stderr io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("loadtest", flag.ContinueOnError)
	flags.SetOutput(stderr)
	o.define(flags)
	flags.Usage = func() { usage(flags) }
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() == 0 {
		return o, errors.New("which scenario? -h lists them; broadcast is a good first one")
	}
	o.load.Scenario = flags.Arg(0)
	if err := flags.Parse(flags.Args()[1:]); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q behind the scenario", flags.Arg(0))
	}
	return o, errors.Join(o.check(flags), o.readSecret())
}

func (o *options) define(f *flag.FlagSet) {
	c := &o.load
	f.IntVar(&c.Clients, "n", 0, "clients; 0: as many as suit the scenario")
	f.DurationVar(&c.For, "for", 0, "how `long` to measure, an hour at most; 0: some seconds")
	f.IntVar(&c.Bytes, "bytes", 0, "size of a message; 0: as suits the scenario, mostly 100")
	f.Float64Var(&c.Rate, "rate", 0, "operations to begin per second, whether or not the server keeps up; 0: as suits the scenario, mostly as many as it keeps up with")
	f.IntVar(&c.Depth, "depth", 0, "messages of each client under way; 0: 1")
	f.IntVar(&c.Inflight, "inflight", 0, "messages under way; 0: 16, of unicast 1,000")
	f.IntVar(&c.Topics, "topics", 0, "topics; 0: 100, of broadcast none: to all clients")
	f.IntVar(&c.Groups, "groups", 0, "groups; 0: 20")
	f.IntVar(&c.GroupSize, "size-of-group", 0, "clients of each group; 0: 50, of mixed 20")
	f.IntVar(&c.Parallel, "parallel", 0, "clients that connect at the same time; 0: 16")
	f.Float64Var(&c.Stalled, "stalled", 0, "share of the clients that stops reading; 0: 0.1")
	f.StringVar(&c.Mix, "mix", "", "`weights` of the parts, as echo=4,login=1; empty: some of each")

	f.StringVar(&c.URL, "url", "", "`address` of a server that runs already, ws://… or wss://…; empty: start a gateway")
	f.BoolVar(&c.Insecure, "insecure", false, "with wss://, take any certificate")
	f.StringVar(&c.Task, "task", "", "with -url, `address` of that gateway's task listener")
	f.StringVar(&c.Worker, "worker", "", "with -url and -task, `address` of that gateway's worker listener: be its business process")
	f.StringVar(&o.secret, "secret", "", "with -task, `file` that holds the secret of that gateway's listeners")
	f.IntVar(&c.PID, "pid", 0, "with -url, the server's process `id`, to tell what it uses")
	f.BoolVar(&c.Inside, "inside", false, "run the gateway in this process, instead of one of its own")
	f.StringVar(&c.Server.Via, "via", "gnet", "how the gateway serves clients: gnet, nethttp (goroutines), or handed (an HTTP server that hands them over to gnet)")
	f.StringVar(&c.Server.Handler, "handler", "inline", "where the gateway's handler runs: inline on the event loops, on workers, or remote in a third process")
	f.IntVar(&c.Server.Loops, "loops", 0, "the gateway's event loops; 0: one per CPU")
	f.IntVar(&c.Server.WriteLimit, "write-limit", 0, "`bytes` that may wait for one client of the gateway; 0: its default")
	f.IntVar(&c.GC, "gc", 0, "the gateway's garbage collector target `percentage`; 0: Go's own, 100")
	f.IntVar(&c.Procs, "procs", 0, "Go's processors of the gateway (GOMAXPROCS); 0: one per CPU. With broadcasts, one more than -loops does better")
	f.StringVar(&c.Profile, "profile", "", "`folder` for CPU, allocation, mutex and block profiles of the gateway that is started; they cost some speed")
	f.StringVar(&c.Server.Metrics, "metrics", "", "`address` at which the gateway that is started serves Prometheus, at /metrics; empty: nowhere, and it does not time its handler")
	f.BoolVar(&c.Pin, "pin", false, "run the gateway on the first CPU, everything else on the others")

	f.DurationVar(&c.Settle, "settle", 0, "how `long` to rest before memory is weighed; 0: 1s")
	f.DurationVar(&c.Drain, "drain", 0, "how `long` to wait for what is under way at the end; 0: 10s")
	f.StringVar(&o.json, "json", "", "`file` for the result as JSON; -: standard output, instead of the table")
	f.StringVar(&o.html, "html", "", "`file` for the result as a page with plots")
	f.BoolVar(&o.quiet, "quiet", false, "show no progress")
}

// readSecret reads the secret from its file: on a command line it would be for all
// users of the machine to see.
func (o *options) readSecret() (err error) {
	if o.secret == "" {
		return nil
	}
	if o.load.Secret, err = secret.ReadFile(o.secret); err != nil {
		return fmt.Errorf("-secret: %w", err)
	}
	return nil
}

// particular are the flags that only some scenarios look at.
func particular() (names []string) {
	for _, s := range load.Scenarios() {
		names = append(names, s.Flags...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// check refuses flags that the scenario does not look at, as whoever gives them
// expects them to matter.
func (o *options) check(flags *flag.FlagSet) (err error) {
	for _, s := range load.Scenarios() {
		if s.Name != o.load.Scenario {
			continue
		}
		flags.Visit(func(f *flag.Flag) {
			if slices.Contains(particular(), f.Name) && !slices.Contains(s.Flags, f.Name) {
				err = errors.Join(err, fmt.Errorf("-%s means nothing to scenario %s; it is for %s", f.Name, s.Name, strings.Join(scenariosWith(f.Name), ", ")))
			}
		})
		return err
	}
	return fmt.Errorf("there is no scenario %q; -h lists them", o.load.Scenario)
}

func scenariosWith(name string) (scenarios []string) {
	for _, s := range load.Scenarios() {
		if slices.Contains(s.Flags, name) {
			scenarios = append(scenarios, s.Name)
		}
	}
	return scenarios
}

func usage(flags *flag.FlagSet) {
	w := flags.Output()
	fmt.Fprint(w, "usage: loadtest [flags] SCENARIO\n\nScenarios, and the flags that are theirs:\n")
	for _, s := range load.Scenarios() {
		fmt.Fprintf(w, "  %-10s %s\n", s.Name, s.Summary)
		for _, name := range s.Flags {
			value, about := flag.UnquoteUsage(flags.Lookup(name))
			fmt.Fprintf(w, "  %-10s   -%s %s: %s\n", "", name, value, about)
		}
	}
	fmt.Fprint(w, "\nFlags of all scenarios:\n")
	common := flag.NewFlagSet("", flag.ContinueOnError)
	common.SetOutput(w)
	flags.VisitAll(func(f *flag.Flag) {
		if !slices.Contains(particular(), f.Name) {
			common.Var(f.Value, f.Name, f.Usage)
		}
	})
	common.PrintDefaults()
	fmt.Fprint(w, "\n\"loadtest serve -h\" and \"loadtest business -h\" are for the gateway and the business process alone.\n")
}

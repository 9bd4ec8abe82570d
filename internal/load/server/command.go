package server

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"sync"

	"github.com/sluicegate/sluice/internal/trim"
)

// Commands are the names of [Command].
func Commands() []string { return []string{"serve", "business"} }

// Command is a program of its own, until ctx ends: "serve" is [Run], and prints
// "ready" with the addresses for clients, for commands and for business processes;
// "business" is [Business], and prints "ready". args are its flags; with -child it
// ends when stdin does instead.
func Command(ctx context.Context, name string, args []string, stdin io.Reader, stdout io.Writer) error {
	switch name {
	case "serve":
		return serve(ctx, args, stdin, stdout)
	case "business":
		return serveBusiness(ctx, args, stdin, stdout)
	}
	return fmt.Errorf("server: there is no command %q", name)
}

func serve(ctx context.Context, args []string, stdin io.Reader, stdout io.Writer) (err error) {
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	var c Config
	flags.StringVar(&c.Clients, "ws", "", "`address` for clients; empty: a free port")
	flags.StringVar(&c.Task, "task", "", "`address` for commands of business processes; empty: a free port")
	flags.StringVar(&c.Worker, "worker", "", "`address` for business processes; empty: a free port")
	flags.StringVar(&c.Via, "via", "gnet", "how clients are served: gnet, nethttp (goroutines), or handed (an HTTP server that hands them over to gnet)")
	flags.StringVar(&c.Handler, "handler", "inline", "where the handler runs: inline on the event loops, on workers, or remote in a business process")
	flags.IntVar(&c.Loops, "loops", 0, "event loops; 0: one per CPU")
	flags.IntVar(&c.Topics, "topics", 0, "topics that every client is subscribed to: t, t1, t2 …")
	flags.IntVar(&c.WriteLimit, "write-limit", 0, "`bytes` that may wait for one client; 0: the gateway's default")
	flags.StringVar(&c.Metrics, "metrics", "", "`address` for Prometheus, at /metrics; empty: nowhere")
	gc := flags.Int("gc", 0, "the garbage collector's target `percentage`; 0: Go's own, 100")
	procs := flags.Int("procs", 0, "Go's processors (GOMAXPROCS); 0: one per CPU")
	profiles := flags.String("profile", "", "`folder` for cpu.pprof, allocs.pprof, mutex.pprof and block.pprof")
	child := flags.Bool("child", false, "end with standard input, not by Ctrl-C")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *child {
		var stop func()
		ctx, stop = endWith(stdin)
		defer stop()
	}
	if *profiles != "" {
		stop, failed := profile(*profiles)
		if failed != nil {
			return failed
		}
		defer func() { err = errors.Join(err, stop()) }()
	}
	if *gc > 0 {
		debug.SetGCPercent(*gc)
	}
	if c.Loops == 0 {
		c.Loops = runtime.GOMAXPROCS(0)
	}
	if *procs > 0 {
		runtime.GOMAXPROCS(*procs)
	}
	var trimmer sync.WaitGroup
	defer trimmer.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	trimmer.Go(func() { trim.WhenIdle(ctx) })
	return Run(ctx, c, func(a Addrs) {
		fmt.Fprintln(stdout, "ready", a.Clients, a.Task, a.Worker)
	})
}

func serveBusiness(ctx context.Context, args []string, stdin io.Reader, stdout io.Writer) error {
	flags := flag.NewFlagSet("business", flag.ContinueOnError)
	worker := flags.String("worker", "127.0.0.1:6061", "the gateway's `address` for business processes")
	task := flags.String("task", "127.0.0.1:6062", "the gateway's `address` for their commands")
	topics := flags.Int("topics", 0, "topics that every client is subscribed to: t, t1, t2 …")
	child := flags.Bool("child", false, "end with standard input, not by Ctrl-C")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *child {
		var stop func()
		ctx, stop = endWith(stdin)
		defer stop()
	}
	h := &Handler{Topics: TopicNames(*topics)}
	return Business(ctx, *worker, *task, "", h, func() { fmt.Fprintln(stdout, "ready") })
}

// endWith returns a context that ends when stdin does: when the run has closed it,
// or is no more. Ctrl-C, which a terminal sends to children too, is for the run to
// obey.
func endWith(stdin io.Reader) (context.Context, func()) {
	signal.Ignore(os.Interrupt)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { // it ends with stdin, or with the process
		_, _ = io.Copy(io.Discard, stdin)
		cancel()
	}()
	return ctx, cancel
}

// Loadtest measures a WebSocket server: it connects clients, has them do what a
// scenario says, and prints what came of it.
//
//	go run ./examples/loadtest broadcast
//
// starts a gateway as a process of its own, so that what the server uses is told
// apart from what the clients do, and takes some seconds. -h lists the scenarios and
// the flags, which all have defaults.
//
// # Scenarios
//
//	hold       idle clients: what each costs in memory
//	storm      clients that come and go
//	echo       messages that come back
//	broadcast  messages to all, directly or by topics that all have
//	groups     group chat
//	topics     topic churn: subscribe and unsubscribe
//	login      log in and out
//	unicast    messages to single clients, in bulk
//	slow       a broadcast while some have stopped reading
//	mixed      some of each, in weights that you choose
//
// Without -rate they are closed loops, where what is done makes room for the next:
// that finds out what a server can do. With -rate they are open loops: things begin
// when they are due, whether or not the server keeps up, and their latency counts
// from then, so that a server that stalls is slow for all that was due meanwhile.
// That finds out how a server does under a load that it is to carry.
//
//	go run ./examples/loadtest echo -n 500 -rate 20000 -for 10s
//
// # What is measured
//
// Every message says when it was due and which of its sender's it is. Each recipient
// records how long it took, and what is lost, doubled or out of order: sent is
// delivered and lost together. A client that the server closes is counted by the
// code of the close frame, or 1006 where none came, which is how a client ends that
// no longer reads. On Linux the server's CPU time in the measured phase and its
// memory are told as well, and -pin gives the server the first CPU and everything
// else the others, which steadies them.
//
// -profile FOLDER has the gateway write profiles for "go tool pprof": of its CPU
// time, of what it allocates, and of where it waits.
//
// -json writes the result for programs, -html a page with plots:
//
//	go run ./examples/loadtest mixed -for 30s -html report.html
//
// # Other servers
//
// -inside runs the gateway in this process. -url takes a server that runs already:
// any WebSocket server for hold and storm, one that sends back what it gets for echo.
//
//	go run ./examples/gateway
//	go run ./examples/loadtest groups -url ws://127.0.0.1:6060/netsvr -task 127.0.0.1:6062 -worker 127.0.0.1:6061
//
// is the business process of the stand-alone gateway. With -task alone broadcast
// and slow work, as they send commands and need no answer; -topics then needs a
// server that subscribes its clients itself to t, t1, t2 …. Listeners that want a
// secret get it from the file -secret. -pid tells whose CPU time and
// memory to show. "loadtest serve" is the gateway alone, for other clients.
//
// Load can bring a server down: aim it at your own. A run is bounded in time, in
// connections and in memory; Ctrl-C ends it early and still reports.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/sluicegate/sluice/internal/load"
	"github.com/sluicegate/sluice/internal/load/server"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second Ctrl-C, while the first is still being obeyed, ends it at once.
	context.AfterFunc(ctx, stop)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "loadtest:", err)
		os.Exit(1)
	}
}

// run does what the arguments say. Its own processes get their arguments from
// package load, and end with stdin.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	if len(args) > 0 && slices.Contains(server.Commands(), args[0]) {
		return server.Command(ctx, args[0], args[1:], stdin, stdout)
	}
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	p := newProgress(stderr)
	if !o.quiet {
		o.load.Progress = p.show
	}
	result, err := load.Run(ctx, o.load)
	p.end()
	if err != nil {
		return err
	}
	return o.write(result, stdout)
}

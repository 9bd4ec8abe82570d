// Loadtest measures a WebSocket server: it connects clients, has them do what a
// scenario says, and prints what came of it.
//
//	go run ./examples/loadtest broadcast
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

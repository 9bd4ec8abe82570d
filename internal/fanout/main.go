// Command fanout measures what the gateway pays to deliver one message to many
// clients: the server's own CPU time per delivery, and its memory per idle
// client.
//
//	go run ./internal/fanout load -n 1000 -inflight 16
//
// starts a gateway as a second process ("fanout serve"), connects the clients,
// has messages published in the gateway's process with so many under way at a
// time, and prints one line. With -pin the two run on a CPU each. "fanout
// serve" alone can be driven by any client that speaks the protocol.
//
//	go run ./internal/fanout echo -n 50
//
// measures round trips through a handler on the event loops, one on workers and
// one in a business process, in turn.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "fanout:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case "serve":
			return serve(ctx, args[1:])
		case "load":
			return load(ctx, args[1:])
		case "echo":
			return echo(ctx, args[1:])
		case "business":
			return serveBusiness(ctx, args[1:])
		}
	}
	return fmt.Errorf("usage: fanout serve|load|echo|business [flags]; -h after any lists them")
}

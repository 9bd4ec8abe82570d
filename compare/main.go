// Command compare measures Sluice beside other WebSocket servers and a floor that
// none can go below.
//
//	go run .
//
// in the folder compare, or
//
//	go -C compare run .
//
// in the one above, prints one table in Markdown. It takes a Linux machine with two
// CPUs, and about 20 minutes; -quick takes a few. See README.md for what is
// measured and how to read the table.
//
// "compare serve NAME" is one of the servers, for any load tool.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) > 0 && args[0] == "serve" {
		return serve(ctx, args[1:], stdout, stderr)
	}
	c, err := parse(args, stderr)
	if err != nil {
		return err
	}
	return c.compare(ctx, stdout, stderr)
}

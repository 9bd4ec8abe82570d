// Cluster is the chat of examples/chat on three gateways that are one: who is
// connected to one of them talks to everybody.
//
//	go run ./examples/cluster
//
// starts a NATS server and three gateways, each with the page, on ports of this
// computer: open two of the addresses that it prints. To join a NATS that runs
// already, with this and with other computers:
//
//	go run ./examples/cluster -nats nats://127.0.0.1:4222
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// maxNodes is more than anybody needs to see it.
const maxNodes = 9

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second Ctrl-C, while the first is still being obeyed, ends it at once.
	context.AfterFunc(ctx, stop)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends, or a node fails.
func run(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("cluster", flag.ContinueOnError)
	servers := flags.String("nats", "", "`URL` of a NATS to join; empty starts one")
	host := flags.String("host", "127.0.0.1", "`address` to listen on, without a port")
	port := flags.Int("port", 6161, "port of the first node, which the others follow; 0 is any")
	count := flags.Int("nodes", 3, "how many nodes, 1 to 9")
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch {
	case flags.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case *count < 1 || *count > maxNodes:
		return fmt.Errorf("-nodes is %d; use 1 to %d", *count, maxNodes)
	}
	if *servers == "" {
		s, err := startNATS(server.RANDOM_PORT)
		if err != nil {
			return err
		}
		defer s.WaitForShutdown()
		defer s.Shutdown()
		*servers = s.ClientURL()
	}

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var running sync.WaitGroup
	defer running.Wait()
	for i := range *count {
		at := *port
		if at != 0 {
			at += i
		}
		n, err := newNode(*servers, net.JoinHostPort(*host, strconv.Itoa(at)))
		if err != nil {
			cancel(err)
			break
		}
		running.Go(func() { cancel(n.run(ctx)) })
		select {
		case <-n.gateway.Ready():
			fmt.Fprintln(stdout, "open", n.url())
		case <-ctx.Done():
		}
	}
	<-ctx.Done()
	running.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// startNATS starts a server within this process, for this computer alone.
func startNATS(port int) (*server.Server, error) {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, NoSigs: true})
	if err != nil {
		return nil, fmt.Errorf("nats-server: %w", err)
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		s.Shutdown()
		return nil, errors.New("nats-server did not start within 10 seconds")
	}
	return s, nil
}

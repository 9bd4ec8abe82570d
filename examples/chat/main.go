// Chat is a small chat in a browser, and the shortest tour of Sluice: a gateway,
// business code that knows nothing of it (package room) and a page.
//
//	go run ./examples/chat
//
// opens on this computer only. To try it with a phone in the same network, let
// it listen on all addresses:
//
//	go run ./examples/chat -http :8080 -ws :6060
//
// Nothing is encrypted then; a public chat needs TLS before it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/sluicegate/sluice/examples/chat/page"
	"github.com/sluicegate/sluice/examples/chat/room"
	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/gnet"
)

// path is where clients connect at the gateway.
const path = "/ws"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second Ctrl-C, while the first is still being obeyed, ends it at once.
	context.AfterFunc(ctx, stop)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "chat:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("chat", flag.ContinueOnError)
	pageAddr := flags.String("http", "127.0.0.1:8080", "`address` of the page")
	wsAddr := flags.String("ws", "127.0.0.1:6060", "`address` of the gateway")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}

	// The page's listener comes first: the gateway must know the page's port,
	// as it lets only that page's origin in.
	ln, err := net.Listen("tcp", *pageAddr)
	if err != nil {
		return fmt.Errorf("listening for the page: %w", err)
	}
	defer ln.Close()
	site := originsOf(ln.Addr())
	gw, err := gateway.New(gateway.Config{
		Transports: []transport.Transport{gnet.Listen(*wsAddr)},
		Path:       path,
		Origins:    site,
		Router:     room.New(slog.Default()),
		MaxMessage: 16 << 10, // room.MaxText characters and then some
		Logger:     slog.Default(),
	})
	if err != nil {
		return err
	}

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	gwDone := make(chan error, 1)
	go func() { gwDone <- gw.Run(ctx) }()
	select {
	case <-gw.Ready():
	case err := <-gwDone:
		return err
	}

	ws := gw.Addrs()[0].(*net.TCPAddr)
	srv := &http.Server{
		Handler:           page.Handler(page.Gateway{Host: explicitHost(ws), Port: ws.Port, Path: path}),
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
	}
	pageDone := make(chan error, 1)
	go func() { pageDone <- srv.Serve(ln) }()
	fmt.Fprintln(stdout, "open", site[0])
	for _, other := range site[1:] {
		fmt.Fprintln(stdout, "  or", other)
	}

	// Whichever ends first takes the other with it.
	select {
	case err = <-gwDone:
	case err = <-pageDone:
		cancel()
		return errors.Join(err, <-gwDone)
	}
	stopCtx, stop := context.WithTimeout(context.Background(), 3*time.Second)
	defer stop()
	return errors.Join(err, srv.Shutdown(stopCtx))
}

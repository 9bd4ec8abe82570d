// Business is the chat of examples/chat as a process of its own. The handler is
// the very same package; a flag says where it runs.
//
//	go run ./examples/business
//
// links it into a gateway, as examples/chat does.
//
//	go run ./examples/gateway -Customer.AllowOrigin http://127.0.0.1:8080,http://localhost:8080
//	go run ./examples/business -remote
//
// runs it beside the stand-alone gateway. Several may run at once, each with a
// page at another -http address, and be restarted while people talk.
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
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/sluicegate/sluice/examples/chat/page"
	"github.com/sluicegate/sluice/examples/chat/room"
	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/protocol/business"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/gnet"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second Ctrl-C, while the first is still being obeyed, ends it at once.
	context.AfterFunc(ctx, stop)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "business:", err)
		os.Exit(1)
	}
}

type options struct {
	remote                               bool
	page, ws, path, worker, task, secret string
}

func parse(args []string) (o options, err error) {
	flags := flag.NewFlagSet("business", flag.ContinueOnError)
	flags.BoolVar(&o.remote, "remote", false, "serve a gateway that runs elsewhere, instead of one in this process")
	flags.StringVar(&o.page, "http", "127.0.0.1:8080", "`address` of the page")
	flags.StringVar(&o.ws, "ws", "127.0.0.1:6060", "`address` at which the gateway takes clients")
	flags.StringVar(&o.path, "path", "/netsvr", "request `path` at which it does")
	flags.StringVar(&o.worker, "worker", "127.0.0.1:6061", "with -remote, `address` of the gateway's worker listener")
	flags.StringVar(&o.task, "task", "127.0.0.1:6062", "with -remote, `address` of the gateway's task listener")
	flags.StringVar(&o.secret, "secret", "", "with -remote, `file` with the secret of the gateway's listeners; empty: none")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return o, nil
}

// A service runs a handler until ctx ends, and calls up once with the address at
// which clients connect.
type service func(ctx context.Context, handler hooks.Router, up func(ws string)) error

// run serves until ctx ends.
func run(ctx context.Context, args []string, stdout io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	if _, err := gatewayOf(o.ws, o.path); err != nil {
		return err
	}
	ln, err := net.Listen("tcp", o.page)
	if err != nil {
		return fmt.Errorf("listening for the page: %w", err)
	}
	defer ln.Close()

	// This is the line that decides where the handler runs.
	serve := inProcess(o, ln.Addr())
	if o.remote {
		serve = elsewhere(o)
	}

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	up := make(chan string, 1)
	served := make(chan error, 1)
	go func() { served <- serve(ctx, room.New(slog.Default()), func(ws string) { up <- ws }) }()
	var ws string
	select {
	case ws = <-up:
	case err := <-served:
		return err
	}
	at, err := gatewayOf(ws, o.path)
	if err != nil {
		cancel()
		return errors.Join(err, <-served)
	}
	srv := &http.Server{Handler: page.Handler(at), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	paged := make(chan error, 1)
	go func() { paged <- srv.Serve(ln) }()
	fmt.Fprintf(stdout, "open http://%s\n", ln.Addr())

	// Whichever ends first takes the other with it.
	select {
	case err = <-served:
	case err = <-paged:
		cancel()
		return errors.Join(err, <-served)
	}
	stopping, stop := context.WithTimeout(context.Background(), 3*time.Second)
	defer stop()
	return errors.Join(err, srv.Shutdown(stopping))
}

// inProcess links the handler into a gateway.
func inProcess(o options, site net.Addr) service {
	return func(ctx context.Context, handler hooks.Router, up func(string)) error {
		gw, err := gateway.New(gateway.Config{
			Transports: []transport.Transport{gnet.Listen(o.ws)},
			Path:       o.path,
			Origins:    origins(site),
			Router:     handler,
			MaxMessage: 16 << 10,
		})
		if err != nil {
			return err
		}
		go func() {
			select {
			case <-gw.Ready():
				up(gw.Addrs()[0].String())
			case <-ctx.Done():
			}
		}()
		return gw.Run(ctx)
	}
}

// elsewhere has the handler serve a gateway in another process.
func elsewhere(o options) service {
	return func(ctx context.Context, handler hooks.Router, up func(string)) error {
		var secret []byte
		if o.secret != "" {
			var err error
			if secret, err = os.ReadFile(o.secret); err != nil {
				return fmt.Errorf("-secret: %w", err)
			}
		}
		client, err := business.New(business.Config{
			Gateways: []business.Gateway{{Worker: o.worker, Task: o.task}},
			Router:   handler,
			Secret:   strings.TrimSpace(string(secret)), // an editor ends the last line
		})
		if err != nil {
			return err
		}
		up(o.ws) // the page says itself while the gateway is not there
		return client.Run(ctx)
	}
}

// origins returns the origins of pages that are served at an address.
func origins(a net.Addr) []string {
	port := strconv.Itoa(a.(*net.TCPAddr).Port)
	all := []string{"http://" + a.String()}
	if a.(*net.TCPAddr).IP.IsLoopback() {
		all = append(all, "http://"+net.JoinHostPort("localhost", port))
	}
	return all
}

// gatewayOf tells the page where the gateway is.
func gatewayOf(ws, path string) (page.Gateway, error) {
	host, port, err := net.SplitHostPort(ws)
	if err != nil {
		return page.Gateway{}, fmt.Errorf("-ws: %w", err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return page.Gateway{}, fmt.Errorf("-ws: the port of %q is not a number", ws)
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsLoopback() || ip.IsUnspecified() {
		host = "" // by the name that the browser knows
	}
	return page.Gateway{Host: host, Port: n, Path: path}, nil
}

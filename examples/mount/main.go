// Mount is an ordinary net/http program with a login, and a gateway in it: one
// port for the page, the form and the WebSocket.
//
//	go run ./examples/mount          # http://127.0.0.1:8080
//	go run ./examples/mount -tls     # https, with a certificate made at start
//
// Whoever is logged in by cookie is known to the gateway: middleware puts the
// user into the request's context, where the authenticate hook finds it. Without
// TLS, connections are handed over to event loops after their handshake.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/gnet"
	"github.com/sluicegate/sluice/transport/nethttp"
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
		fmt.Fprintln(os.Stderr, "mount:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("mount", flag.ContinueOnError)
	addr := flags.String("http", "127.0.0.1:8080", "`address` of everything")
	secure := flags.Bool("tls", false, "serve https and wss, with a certificate that is made at start and that browsers warn of")
	if err := flags.Parse(args); err != nil {
		return err
	}

	loops := gnet.WithoutListener()
	mounted := nethttp.New(nethttp.HandOver(loops)) // TLS connections stay with net/http
	gw, err := gateway.New(gateway.Config{
		Transports: []transport.Transport{mounted, loops},
		Hooks:      []any{byUser{}},
		Router:     room{},
		MaxMessage: 4 << 10,
	})
	if err != nil {
		return err
	}

	srv := &http.Server{Handler: newSite(mounted, *secure), ReadTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	srv.RegisterOnShutdown(mounted.Shutdown)
	ln, scheme, err := listen(*addr, *secure)
	if err != nil {
		return err
	}
	return serve(ctx, gw, srv, ln, func() { fmt.Fprintf(stdout, "open %s://%s\n", scheme, ln.Addr()) })
}

func listen(addr string, secure bool) (ln net.Listener, scheme string, err error) {
	ln, err = net.Listen("tcp", addr)
	if err != nil || !secure {
		return ln, "http", err
	}
	cert, err := selfSigned(time.Now())
	if err != nil {
		return nil, "", errors.Join(err, ln.Close())
	}
	return tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"http/1.1"}}), "https", nil
}

// serve runs both until ctx ends or one of them does, and takes the other along.
// It calls ready when clients may come. Clients are sent away, one after the other,
// and then requests are finished, before it returns.
func serve(ctx context.Context, gw *gateway.Gateway, srv *http.Server, ln net.Listener, ready func()) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var serving, running sync.WaitGroup
	var gwErr error
	serving.Go(func() {
		gwErr = gw.Run(ctx)
		cancel(nil)
	})
	running.Go(func() {
		if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			cancel(err)
		}
	})
	select {
	case <-gw.Ready():
		ready()
	case <-ctx.Done():
	}
	<-ctx.Done()
	err := context.Cause(ctx)
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	serving.Wait()

	patience, stop := context.WithTimeout(context.Background(), 3*time.Second)
	defer stop()
	err = errors.Join(err, srv.Shutdown(patience))
	running.Wait()
	return errors.Join(err, gwErr)
}

// Hooks is a host that extends the gateway with hooks of its own, each in a file:
//
//	token.go    lets in who has a signed token, before the upgrade
//	limiter.go  limits the bytes of each client, and the rest by hooks/limit
//	filter.go   masks words and holds back messages that are too long
//	audit.go    writes a line for who came, who left and who was refused
//	drops.go    adds up what was not delivered
//
// Function [compose] puts them together. To try them:
//
//	go run ./examples/hooks
//
// prints the addresses of a page for two people, and what to do there.
package main

import (
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/hooks/limit"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/gnet"
	"github.com/sluicegate/sluice/transport/nethttp"
)

// compose returns a gateway's configuration with all of the hooks, but without
// transports. Lines of the audit trail go to trail.
func compose(sign tokens, trail, log *slog.Logger) (gateway.Config, error) {
	limiter, err := newByteLimiter(limit.Config{
		OnOpen: 500, MaxClients: 10_000, IPClients: 20, IPOpens: 10, ClientMessages: 5, ClientFirst: 10, Now: sign.now,
	}, 1<<10, 4<<10)
	if err != nil {
		return gateway.Config{}, err
	}
	a := audit{trail}
	return gateway.Config{
		Path:       "/ws",
		Router:     hooks.Chain(room(), a.middleware, filter(200, "darn", "heck")),
		Limiter:    a.limiter(limiter),
		Hooks:      []any{a.authenticator(sign), a, &drops{log: log}},
		MaxMessage: 4 << 10,
		Logger:     log,
	}, nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second Ctrl-C, while the first is still being obeyed, ends it at once.
	context.AfterFunc(ctx, stop)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "hooks:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("hooks", flag.ContinueOnError)
	addr := flags.String("http", "127.0.0.1:8081", "`address` of the page and the gateway")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}

	// The key lives as long as the program. Where others issue tokens, it comes
	// from wherever secrets are kept.
	sign := tokens{key: make([]byte, 32), now: time.Now}
	_, _ = rand.Read(sign.key) // never fails
	cfg, err := compose(sign, slog.New(slog.NewJSONHandler(stdout, nil)), slog.Default())
	if err != nil {
		return err
	}
	// The page's port is the gateway's too. A connection goes over to event
	// loops once its handshake was accepted.
	loops := gnet.WithoutListener()
	mounted := nethttp.New(nethttp.HandOver(loops))
	cfg.Transports = []transport.Transport{mounted, loops}
	gw, err := gateway.New(cfg)
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", *addr)
	if err != nil {
		return err
	}
	return serve(ctx, gw, ln, site(mounted), func() {
		for _, name := range []string{"Ann", "Bob"} {
			fmt.Fprintf(stdout, "%s: open http://%s/#%s\n", name, ln.Addr(), sign.issue(name, sign.now().Add(time.Hour)))
		}
		fmt.Fprintln(stdout, "Then say darn, say much at once or at length, or change a letter of the address; and see what is logged here.")
	})
}

// serve runs the gateway and the page until ctx ends, or one of them does. It
// calls ready when clients may come.
func serve(ctx context.Context, gw *gateway.Gateway, ln net.Listener, h http.Handler, ready func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	gwDone, pageDone := make(chan error, 1), make(chan error, 1)
	go func() { gwDone <- gw.Run(ctx) }()
	select {
	case <-gw.Ready():
	case err := <-gwDone:
		return errors.Join(err, ln.Close())
	}
	srv := &http.Server{Handler: h, ReadTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	go func() { pageDone <- srv.Serve(ln) }()
	ready()

	// Whichever ends first takes the other with it.
	select {
	case err := <-pageDone:
		cancel()
		return errors.Join(err, <-gwDone)
	case err := <-gwDone:
		patience, stop := context.WithTimeout(context.Background(), 3*time.Second)
		defer stop()
		err = errors.Join(err, srv.Shutdown(patience))
		if page := <-pageDone; !errors.Is(page, http.ErrServerClosed) {
			err = errors.Join(err, page)
		}
		return err
	}
}

//go:embed page
var files embed.FS

// site is a page without secrets, and live at /ws.
func site(live http.Handler) http.Handler {
	page, err := fs.Sub(files, "page")
	if err != nil {
		panic(err) // the directory is embedded, so there is one
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(page))
	mux.Handle("GET /ws", live)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		mux.ServeHTTP(w, r)
	})
}

// Package admin is what a gateway's operator looks at: health, metrics, profiles
// and a live page, behind one handler.
//
//	m := metrics.New(metrics.Config{})
//	adm, err := admin.Listen(admin.Config{Addr: "127.0.0.1:6064", Token: token, Metrics: m})
//	if err != nil {
//		return err
//	}
//	gw, err := gateway.New(gateway.Config{Hooks: []any{m, adm}, …})
//	if err != nil {
//		return errors.Join(err, adm.Discard())
//	}
//	return gw.Run(ctx)
//
// Or [New] makes one to mount in a mux of the host's, under http.StripPrefix if it
// is not at the root. Either way the gateway runs it as one of its Hooks.
//
// # Paths
//
//	/              the page
//	/healthz       200 as long as this is served; liveness
//	/readyz        200 while the gateway serves, else 503 and its status; readiness
//	/metrics       Config.Metrics, in Prometheus' format
//	/debug/pprof/  net/http/pprof
//	/login         signs the page in and out
//	/live          the page's WebSocket
//
// The page's numbers come over a WebSocket of a second gateway, within the Admin,
// which only the page connects to.
//
// # Who is let in
//
// With a Token, all but the two health paths, the page's files and the log-in ask
// for it: as "Authorization: Bearer <token>", or by a cookie that the page gets for
// it, for 12 hours. Whoever tries wrong ones is slowed down. Without a Token, only
// requests from this computer are answered, under the name of localhost or a
// loopback address, so that no page from elsewhere gets at it by a name of its own
// that leads there. Nothing but the page itself is given to pages of other origins.
//
// What clients and business code have put into sessions, topics and ids is shown as
// text, and cut.
package admin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/sampled"
	"github.com/sluicegate/sluice/transport"
)

// Metrics is what an Admin wants of hooks/metrics.
type Metrics interface {
	// Handler serves the metrics. It is called once, by [New] or [Listen].
	Handler() http.Handler
	// HandlerTimes returns how long the Router's calls have taken, in seconds. It
	// is called once a second while the gateway runs, and must not block.
	HandlerTimes() map[hooks.EventKind]transport.Histogram
}

// target is what an Admin wants of the Bus that it is run with: a
// *gateway.Gateway, or something that embeds one.
type target interface {
	hooks.Bus
	Stats() gateway.Stats
	Status() gateway.Status
	SlowClients(ctx context.Context, n int) ([]gateway.SlowClient, error)
}

var (
	_ http.Handler = (*Admin)(nil)
	_ hooks.Runner = (*Admin)(nil)
	_ target       = (*gateway.Gateway)(nil)
)

// An Admin is an [http.Handler] and a [hooks.Runner]. It is made by [Listen] or
// [New] and belongs into gateway.Config.Hooks, of one gateway. All its methods may
// be called on any goroutine.
type Admin struct {
	cfg     Config
	log     *slog.Logger
	ln      net.Listener // nil if mounted
	handler http.Handler
	live    *live
	gate    *gate

	ran    atomic.Bool
	target atomic.Pointer[target] // nil before Run
}

// Listen opens the listener of an Admin, so that a port that is taken is an error
// here, and an address that the system chooses is known. Nothing is answered before
// the gateway runs it. A listener that other computers reach is an error without a
// Token. Other errors say which field of cfg is wrong.
func Listen(cfg Config) (*Admin, error) {
	cfg, err := cfg.withDefaults(false)
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", onLoopback(cfg.Addr))
	if err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	// Judged by what it has become: a name may mean anything.
	if err := cfg.exposed(ln.Addr()); err != nil {
		return nil, errors.Join(fmt.Errorf("admin: %w", err), ln.Close())
	}
	if cfg.TLS == nil && !isLoopback(ln.Addr()) {
		cfg.Logger.Warn("admin not encrypted", "addr", ln.Addr().String(),
			"hint", "other computers reach it, and what goes over it, the token too, can be read on its way: set TLS, or put a proxy before it")
	}
	a, err := build(cfg)
	if err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	a.ln = ln
	return a, nil
}

// New makes an Admin to mount in an HTTP server of the host's. It needs a Token, or
// the word that the host's middleware has asked already. The error says which field
// of cfg is wrong. Its pages are live, and /readyz says yes, once the gateway runs
// it. The server needs time to write a profile, see http.Server.WriteTimeout.
func New(cfg Config) (*Admin, error) {
	cfg, err := cfg.withDefaults(true)
	if err != nil {
		return nil, err
	}
	return build(cfg)
}

func build(cfg Config) (*Admin, error) {
	a := &Admin{cfg: cfg, log: cfg.Logger, gate: newGate(cfg)}
	var err error
	if a.live, err = newLive(cfg); err != nil {
		return nil, err
	}
	if a.handler, err = a.routes(); err != nil {
		return nil, err
	}
	return a, nil
}

// ServeHTTP implements [http.Handler].
func (a *Admin) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.handler.ServeHTTP(w, r) }

// Addr returns the address of the listener, or nil without one.
func (a *Admin) Addr() net.Addr {
	if a.ln == nil {
		return nil
	}
	return a.ln.Addr()
}

// Discard closes the listener of an Admin that will not be run, for instance
// because making the gateway failed. A gateway that runs it closes it itself.
func (a *Admin) Discard() error {
	if a.ln == nil {
		return nil
	}
	return a.ln.Close()
}

// Run watches the gateway and serves the listener, if there is one, until ctx ends.
// That is after the clients are gone, so that a drain can be watched to its end.
// Requests under way get a second then, and pages are told to come back. It returns
// an error if it was called before, if bus is no gateway, or if it cannot serve.
// The gateway calls it; it implements [hooks.Runner].
func (a *Admin) Run(ctx context.Context, bus hooks.Bus) error {
	if a.ran.Swap(true) {
		return errors.New("admin: Run was called before; an Admin belongs to one gateway and is listed in its Hooks once")
	}
	gw, ok := bus.(target)
	if !ok {
		return errors.Join(fmt.Errorf("admin: Run was given a %T, which is no *gateway.Gateway and has not its Stats, Status and SlowClients; "+
			"list the Admin in gateway.Config.Hooks", bus), a.Discard())
	}
	a.target.Store(&gw)

	// Not made of ctx, whose values are about the gateway that is watched.
	inner, stop := context.WithCancel(context.Background())
	defer stop()
	var running sync.WaitGroup
	failed := make(chan error, 2)
	running.Go(func() {
		if err := a.live.run(inner, gw); err != nil {
			failed <- err
		}
	})
	var srv *http.Server
	select {
	case <-a.live.gw.Ready(): // nobody is answered before
	case err := <-failed:
		failed <- err
	}
	if a.ln != nil {
		srv = a.server()
		running.Go(func() {
			if err := srv.Serve(a.listener()); !errors.Is(err, http.ErrServerClosed) {
				failed <- err
			}
		})
	}
	var err error
	select {
	case err = <-failed:
		err = fmt.Errorf("admin: %w", err)
	case <-ctx.Done():
	}
	stop()
	if srv != nil {
		patience, cancel := context.WithTimeout(context.Background(), lastRequests)
		defer cancel()
		if srv.Shutdown(patience) != nil {
			_ = srv.Close() // nobody's profile holds up the end
		}
	}
	running.Wait()
	return err
}

// lastRequests is how long requests that are under way at the end may take.
const lastRequests = time.Second

func (a *Admin) listener() net.Listener {
	ln := &bounded{Listener: a.ln}
	if a.cfg.TLS == nil {
		return ln
	}
	return tls.NewListener(ln, a.cfg.TLS)
}

func (a *Admin) server() *http.Server {
	return &http.Server{
		Handler:           a,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      2 * time.Minute, // the longest profile
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          sampled.ErrorLog(a.log),
	}
}

// status returns where the gateway is in its life.
func (a *Admin) status() gateway.Status {
	if gw := a.target.Load(); gw != nil {
		return (*gw).Status()
	}
	return gateway.StatusNew
}

package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/hooks/limit"
	"github.com/sluicegate/sluice/hooks/metrics"
	"github.com/sluicegate/sluice/hooks/remote"
	"github.com/sluicegate/sluice/protocol/business"
)

// Config says how the gateway is served. The zero value of every field is a
// default.
type Config struct {
	// Clients is the address for clients, Worker the one for business
	// processes and Task the one for their commands. Empty means a free port
	// on loopback.
	Clients, Worker, Task string
	// Via says how clients are served: "gnet", by the gateway's own listener;
	// "nethttp", by an HTTP server and goroutines; or "handed", by an HTTP
	// server that hands them over to gnet's loops. Empty means gnet.
	Via string
	// Loops is the number of event loops. Zero means one per CPU.
	Loops int
	// Handler says where the handler runs: "inline" on the event loops, on
	// "workers", or "remote" in a business process, see [Business]. Empty
	// means inline.
	Handler string
	// Topics is how many topics every client is subscribed to when it comes,
	// see [TopicNames]. With a remote handler it is not looked at.
	Topics int
	// WriteLimit is the gateway's bound on what waits for a client, in bytes.
	// Zero means the gateway's default.
	WriteLimit int
	// Metrics is the address at which Prometheus may ask for what the gateway
	// counts, at /metrics. Empty means nowhere, and that handlers are not timed.
	Metrics string
}

// Addrs are the addresses at which a gateway is served.
type Addrs struct {
	Clients, Task, Worker string
	// Metrics is empty if Config.Metrics is.
	Metrics string
}

// plenty is a limit that no run reaches: limits are kept, as they cost something,
// and refuse nothing.
const plenty = 100_000_000

// Run serves a gateway until ctx ends. When clients and business processes can
// connect it calls ready, on a goroutine of its own.
func Run(ctx context.Context, cfg Config, ready func(Addrs)) error {
	for _, addr := range []*string{&cfg.Clients, &cfg.Worker, &cfg.Task} {
		if *addr == "" {
			*addr = "127.0.0.1:0"
		}
	}
	handlers := []string{"", "inline", "workers", "remote"}
	if !slices.Contains(handlers, cfg.Handler) {
		return fmt.Errorf("server: Config.Handler is %q; use one of %v", cfg.Handler, handlers[1:])
	}
	limiter, err := limit.New(limit.Config{
		OnOpen: plenty, OnMessage: plenty, MaxClients: plenty, ClientMessages: plenty, IPClients: plenty, IPOpens: plenty,
	})
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	quiet := slog.New(slog.DiscardHandler)
	rt, err := remote.Listen(remote.Config{
		Worker: remote.Listener{Addr: cfg.Worker}, Task: remote.Listener{Addr: cfg.Task},
		Buffer: 16 << 20, BufferAge: time.Minute, Logger: quiet, // a business process may come a little later
	})
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	door, err := openDoor(cfg.Via, cfg.Clients, cfg.Loops)
	if err != nil {
		return errors.Join(err, rt.Discard())
	}
	defer door.close()
	var router hooks.Router = rt
	if cfg.Handler != "remote" {
		router = &Handler{Topics: TopicNames(cfg.Topics)}
	}
	all, scrapedAt := []any{rt}, ""
	if cfg.Metrics != "" {
		m := metrics.New(metrics.Config{Remote: rt, Limiter: limiter})
		scraped, err := serveMetrics(cfg.Metrics, m)
		if err != nil {
			return errors.Join(err, rt.Discard())
		}
		defer scraped.stop()
		all, scrapedAt = append(all, m), scraped.addr
	}
	gw, err := gateway.New(gateway.Config{
		Transports: door.transports,
		Router:     router,
		Inline:     cfg.Handler == "" || cfg.Handler == "inline",
		Hooks:      all,
		Limiter:    limiter,
		WriteLimit: cfg.WriteLimit,
		// Clients of a run are idle on purpose, and all gone before it ends.
		HeartbeatInterval: -1,
		DrainTime:         -1,
		Logger:            quiet,
	})
	if err != nil {
		return errors.Join(fmt.Errorf("server: %w", err), rt.Discard())
	}
	return tell(ctx, gw.Run, gw.Ready(), func() {
		ready(Addrs{Clients: door.addr(gw), Task: rt.TaskAddr().String(), Worker: rt.WorkerAddr().String(), Metrics: scrapedAt})
	})
}

// Business serves h as a business process of the gateway with these addresses and,
// unless it is empty, this secret, until ctx ends. When it is registered it calls
// ready, on a goroutine of its own.
func Business(ctx context.Context, worker, task, secret string, h *Handler, ready func()) error {
	client, err := business.New(business.Config{
		Gateways: []business.Gateway{{Worker: worker, Task: task}}, Secret: secret, Router: h,
	})
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	return tell(ctx, client.Run, client.Ready(), ready)
}

// tell calls up once it is ready, while run runs.
func tell(ctx context.Context, run func(context.Context) error, isReady <-chan struct{}, up func()) error {
	ctx, cancel := context.WithCancel(ctx)
	var telling sync.WaitGroup
	telling.Go(func() {
		select {
		case <-isReady:
			up()
		case <-ctx.Done():
		}
	})
	err := run(ctx)
	cancel()
	telling.Wait()
	return err
}

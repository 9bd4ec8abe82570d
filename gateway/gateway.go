// Package gateway is the composition root: it makes transports, a registry,
// limiters, hooks and business code into one gateway, which holds WebSocket
// clients and carries messages between them and the business code.
//
//	gw, err := gateway.New(gateway.Config{
//		Transports: []transport.Transport{gnet.Listen("127.0.0.1:6060")},
//		Path:       "/ws",
//		Router:     &chat{},
//	})
//	if err != nil {
//		return err
//	}
//	return gw.Run(ctx)
//
// Run returns when ctx has ended and the clients were sent away, see
// [Gateway.Drain]. A [Gateway] implements [hooks.Bus], so the host's own code, be it a Router or
// an HTTP handler elsewhere in the program, acts on clients by calling it. Two
// gateways in one process do not know of each other.
package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/probe"
	"github.com/sluicegate/sluice/protocol"
	"github.com/sluicegate/sluice/registry"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/websocket"
)

// A Gateway holds clients. It is made by [New]. All its methods may be called on
// any goroutine, also before Run and after it, when there are no clients. Those
// of [hooks.Bus] are described there.
type Gateway struct {
	cfg     Config
	log     *slog.Logger
	hooks   hookSet
	reg     registry.Registry
	bus     hooks.Bus // local, or the cluster's
	ids     *protocol.UniqIDSource
	deflate *websocket.Compressor // nil when off
	stats   counters
	lag     lag
	loops   loopMeters
	rates   *rates
	workers *workers
	inboxes sync.Pool // of *inbox
	guests  guestTimers
	budget  *transport.Budget
	watch   watch
	origins atomic.Pointer[[]string]
	noise   noise
	asking  chan struct{} // one token for each Authenticate or Admit that runs

	// deflating counts the clients that negotiated compression: without one,
	// nothing is compressed.
	deflating atomic.Int64

	// opening counts the clients whose handshake was accepted and who are not
	// listed yet: a drain waits for them.
	opening atomic.Int64

	// handlers is the context of Router calls, inline of those on loops, and
	// deciding of those of Admitters.
	handlers, inline, deciding     context.Context
	cancelHandlers, cancelDeciding context.CancelFunc

	started atomic.Bool
	status  atomic.Int32 // a Status
	ready   chan struct{}
	stopped chan struct{} // closed when Run is about to return

	drainAsked, drainHurry chan struct{}
	// askDrain and hurryDrain close them, once.
	askDrain, hurryDrain func()
	mu                   sync.Mutex
	addrs                []net.Addr
}

// maxAsking bounds the Authenticate and Admit calls that run at the same time;
// above it, handshakes are answered with 503 and clients closed with 1013.
const maxAsking = 1024

// New makes a gateway. It does not serve before Run is called. The error says
// which field of cfg is wrong.
func New(cfg Config) (*Gateway, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	g := &Gateway{
		cfg:    cfg,
		log:    cfg.Logger,
		reg:    cfg.Registry,
		lag:    newLag(),
		budget: transport.NewBudget(int64(cfg.MemoryBudget)),
		asking: make(chan struct{}, maxAsking),
		ready:  make(chan struct{}), stopped: make(chan struct{}),
		drainAsked: make(chan struct{}), drainHurry: make(chan struct{}),
	}
	g.origins.Store(&cfg.Origins)
	g.askDrain = sync.OnceFunc(func() { close(g.drainAsked) })
	g.hurryDrain = sync.OnceFunc(func() { close(g.drainHurry) })
	if g.hooks, err = sortHooks(cfg.Router, cfg.Hooks); err != nil {
		return nil, err
	}
	if len(g.hooks.handlers) > 0 {
		g.cfg.Router = &timed{g: g, router: cfg.Router, start: time.Now()}
	}
	if cfg.Compression != 0 {
		if g.deflate, err = websocket.NewCompressor(cfg.Compression); err != nil {
			return nil, fmt.Errorf("gateway: %w", err)
		}
	}
	g.cfg.Node = g.node()
	g.ids = protocol.NewUniqIDSource(g.cfg.Node, cfg.Clock.Now)
	if g.bus, err = g.join(); err != nil {
		return nil, err
	}
	g.rates = newRates(cfg.Clock.Now())
	g.handlers, g.cancelHandlers = context.WithCancel(context.Background())
	g.inline = hooks.WithoutWaiting(g.handlers)
	g.deciding, g.cancelDeciding = context.WithCancel(g.handlers)
	g.inboxes.New = func() any { return new(inbox) }
	g.workers = newWorkers(cfg.Workers, g.work)
	return g, nil
}

// node returns what uniqIds begin with.
func (g *Gateway) node() protocol.Node {
	if g.cfg.Node != (protocol.Node{}) {
		return g.cfg.Node
	}
	for _, n := range g.hooks.nodes {
		if node := n.Node(); node != (protocol.Node{}) {
			return node
		}
	}
	var node protocol.Node
	_, _ = rand.Read(node[:]) // never fails, see its documentation
	return node
}

// Ready returns a channel that is closed when all transports accept clients. It
// stays open if Run fails before.
func (g *Gateway) Ready() <-chan struct{} { return g.ready }

// Addrs returns the addresses at which the transports accept clients, in the
// order in which they became ready. One that is mounted in an HTTP server, or
// has no listener, gives an address that says so. The slice is the caller's.
func (g *Gateway) Addrs() []net.Addr {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]net.Addr(nil), g.addrs...)
}

// Run serves until ctx ends or Drain is called, then sends the clients away as
// Drain says, waits for the Router's calls and returns nil. It blocks. It returns
// an error if a transport cannot start or ends by itself, if a Runner fails or
// panics, or if calls of the Router have not returned after twice
// Config.StopTimeout; the Gateway is of no more use then. It may be called once.
func (g *Gateway) Run(ctx context.Context) error {
	if g.started.Swap(true) {
		return errors.New("gateway: Run was called before; make another gateway with New")
	}
	probe.Attach(ctx, g.workers)
	defer close(g.stopped)
	defer g.advance(StatusStopped)
	serving, stopServing := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stopServing(nil)
	running, stopRunners := context.WithCancel(context.WithoutCancel(ctx))
	defer stopRunners()
	defer g.cancelHandlers()
	leave, err := g.enterCluster(ctx, stopServing)
	if err != nil {
		return err
	}
	defer leave()

	var transports, runners sync.WaitGroup
	stopRates := every(g.cfg.Clock, rateTick, func() { g.rates.tick(g.cfg.Clock.Now(), g.metricCounts()) })
	defer stopRates()
	defer g.watchHandlers()()
	defer g.watchLag()()
	opts := g.cfg.transportOptions()
	opts.Budget, opts.Origins = g.budget, g.allowedOrigins
	if len(g.hooks.gaps) > 0 {
		opts.Gap = g.gap
	}
	for i, t := range g.cfg.Transports {
		o := opts
		o.Meter = g.loops.of(i)
		o.Ready = g.transportReady
		transports.Go(func() {
			err := t.Serve(serving, o, handler{g})
			if err == nil && serving.Err() == nil {
				err = errors.New("it stopped by itself")
			}
			if err != nil {
				g.advance(StatusDraining)
				stopServing(fmt.Errorf("gateway: transport %T: %w", t, err))
			}
		})
	}
	select {
	case <-g.ready:
		g.logServing()
		for _, r := range g.hooks.runners {
			runners.Go(func() {
				if err := g.runHook(running, r); err != nil {
					g.advance(StatusDraining)
					stopServing(fmt.Errorf("gateway: hook %T: %w", r, err))
				}
			})
		}
	case <-serving.Done():
	case <-ctx.Done():
	case <-g.drainAsked:
	}
	select {
	case <-serving.Done():
	case <-ctx.Done():
		g.drain(serving.Done())
	case <-g.drainAsked:
		g.drain(serving.Done())
	}
	stopServing(errDrained)

	// Business code outlives the clients, so that it hears of each one's end.
	transports.Wait()
	g.guests.stop()
	late := g.stopHandlers()
	stopRunners()
	runners.Wait()

	cause := context.Cause(serving)
	g.logStopped(cause)
	if !errors.Is(cause, errDrained) {
		return cause
	}
	return late
}

// errDrained ends the transports as it should be.
var errDrained = errors.New("gateway: drained")

// stopHandlers waits for the Router's calls, first patiently, then with their
// contexts cancelled.
func (g *Gateway) stopHandlers() error {
	if g.workers.stop(g.cfg.StopTimeout) {
		return nil
	}
	g.log.Warn("handlers cancelled", "timeout", g.cfg.StopTimeout)
	g.cancelHandlers()
	if g.workers.stop(g.cfg.StopTimeout) {
		return nil
	}
	return fmt.Errorf("gateway: calls of the Router have not returned %v after their context was cancelled; "+
		"a handler must return when its context ends", g.cfg.StopTimeout)
}

func (g *Gateway) transportReady(addr net.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.addrs = append(g.addrs, addr); len(g.addrs) == len(g.cfg.Transports) {
		g.advance(StatusServing)
		close(g.ready)
	}
}

package business

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/sampled"
)

var _ hooks.Bus = (*Client)(nil)

// A Client is a business process's side of the protocol. It is made by [New] and
// implements [hooks.Bus], whose methods it has besides those below. All may be
// called on any goroutine. Commands need Run to be running: before it is, they wait
// as they do for a gateway that is not there. When Run's context has ended and the
// Router's calls have returned, they fail with [hooks.ErrStopped].
//
// The wire has whole seconds for the delay of ForceOfflineGuest, of which a part
// counts as one, and at most 2^31-1, which is 68 years. It has no keys, so
// PublishLatest is Publish.
type Client struct {
	bus   // lane 0 of all gateways
	cfg   Config
	log   *slog.Logger
	noise noise
	gates []*gate
	lanes []hooks.Bus // over each lane of all gateways
	stats counters

	events   *handlers
	handling context.Context // of the Router's calls
	cancel   context.CancelCauseFunc
	stopping chan struct{} // closed when Run has no handlers left to wait for
	dead     chan struct{} // closed when Run gives up what is left

	started atomic.Bool
	missing atomic.Int64 // connections that were never up
	ready   chan struct{}
}

// noise bounds how much clients and gateways can have logged.
type noise struct{ panics, unknown, notUnderstood, dropped sampled.Event }

// New makes a Client. It connects when Run is called. The error says which
// field of cfg is wrong.
func New(cfg Config) (*Client, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, log: cfg.Logger, stopping: make(chan struct{}), dead: make(chan struct{}), ready: make(chan struct{})}
	c.handling, c.cancel = context.WithCancelCause(context.Background())
	c.events = newHandlers(c)
	for _, addr := range cfg.Gateways {
		g := newGate(c, addr)
		c.gates = append(c.gates, g)
		c.missing.Add(int64(len(g.lanes)))
		if g.link != nil {
			c.missing.Add(1)
		}
	}
	for lane := range cfg.TaskConns {
		c.lanes = append(c.lanes, newBus(lane, c.gates))
	}
	c.bus = newBus(0, c.gates)
	return c, nil
}

// Ready returns a channel that is closed once all connections have been up,
// and the process registered wherever it wants events from. It stays open while a
// gateway cannot be reached.
func (c *Client) Ready() <-chan struct{} { return c.ready }

// arrived notes that one of the connections is up for the first time.
func (c *Client) arrived() {
	if c.missing.Add(-1) == 0 {
		close(c.ready)
	}
}

// Lane returns a Bus whose commands keep their order among themselves, and
// with those of every other Lane of the same key, for instance a room's name.
// Different keys are spread over the task connections. A Lane costs next to
// nothing and is not closed; it may be used on any goroutine. The Bus that a
// handler is given is the Lane of its client's uniqId.
func (c *Client) Lane(key string) hooks.Bus { return c.lanes[laneOf(key, len(c.lanes))] }

// Gateway returns a Bus for the gateway at index i of Config.Gateways alone, which
// may be used on any goroutine. It panics if there is none.
func (c *Client) Gateway(i int) hooks.Bus { return newBus(0, c.gates[i:i+1]) }

func laneOf(key string, lanes int) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key))
	return int(h.Sum32() % uint32(lanes))
}

// Run serves until ctx ends, however often connections break meanwhile. Then it
// unregisters, so that other processes take over, handles the events that it was
// sent, has their commands carried out, and returns nil. The error says that calls
// of the Router have not returned after twice Config.StopTimeout. It blocks and may
// be called once.
func (c *Client) Run(ctx context.Context) error {
	if c.started.Swap(true) {
		return errors.New("business: Run was called before; make another client with New")
	}
	defer c.cancel(stoppedError{})
	linking, unlink := context.WithCancel(context.WithoutCancel(ctx))
	defer unlink()
	laning, hangUp := context.WithCancel(context.WithoutCancel(ctx))
	defer hangUp()
	var links, lanes sync.WaitGroup
	for _, g := range c.gates {
		for _, l := range g.lanes {
			lanes.Go(func() { l.run(laning) })
		}
		if g.link != nil {
			links.Go(func() { g.link.run(linking) })
		}
	}
	<-ctx.Done()

	err := c.finish(&links)
	gone := make(chan struct{})
	go func() {
		links.Wait()
		close(gone)
	}()
	select {
	case <-gone:
	case <-time.After(c.cfg.StopTimeout):
	}
	unlink()
	<-gone
	hangUp()
	lanes.Wait()
	if err == nil {
		err = c.finishLate()
	}
	return err
}

// finish unregisters, waits for the handlers, and for what they commanded.
func (c *Client) finish(links *sync.WaitGroup) error {
	timeout := time.NewTimer(c.cfg.StopTimeout)
	defer timeout.Stop()
	for _, g := range c.gates {
		if g.link != nil {
			links.Go(g.link.leave) // a gateway that does not read must not hold up the others
		}
	}
	for _, g := range c.gates {
		if g.link == nil {
			continue
		}
		select {
		case <-g.link.left:
		case <-timeout.C:
			c.log.Warn("unregister not answered", "gateway", g.addr.Worker, "timeout", c.cfg.StopTimeout)
			timeout.Reset(0)
		}
	}
	late := c.finishHandlers()
	close(c.stopping)
	ctx, cancel := context.WithTimeout(context.Background(), c.cfg.StopTimeout)
	defer cancel()
	var barriers sync.WaitGroup
	for _, g := range c.gates {
		barriers.Go(func() {
			if err := g.barrier(ctx); err != nil {
				c.log.Warn("last commands unconfirmed", "gateway", g.addr.Task, "error", err)
			}
		})
	}
	barriers.Wait()
	for _, g := range c.gates {
		if g.link != nil {
			links.Go(g.link.end)
		}
	}
	return late
}

// finishHandlers waits for the Router's calls, first patiently, then with
// their contexts cancelled.
func (c *Client) finishHandlers() error {
	done := make(chan struct{})
	go func() {
		c.events.idle()
		close(done)
	}()
	timer := time.NewTimer(c.cfg.StopTimeout)
	defer timer.Stop()
	select {
	case <-done:
		return nil
	case <-timer.C:
	}
	c.log.Warn("handlers cancelled", "timeout", c.cfg.StopTimeout)
	return c.cancelHandlers(done)
}

// finishLate ends the calls for events that came after the others were finished, as
// those of a gateway may that has not answered Unregister: they command nothing more.
func (c *Client) finishLate() error {
	done := make(chan struct{})
	go func() {
		c.events.running.Wait()
		close(done)
	}()
	return c.cancelHandlers(done)
}

// cancelHandlers has the Router's calls end, which done says they have.
func (c *Client) cancelHandlers(done <-chan struct{}) error {
	c.cancel(stoppedError{})
	timer := time.NewTimer(c.cfg.StopTimeout)
	defer timer.Stop()
	select {
	case <-done:
		return nil
	case <-timer.C:
		close(c.dead)
		return fmt.Errorf("business: calls of the Router have not returned %v after their context was cancelled; "+
			"a handler must return when its context ends", c.cfg.StopTimeout)
	}
}

// keepUp connects to addr, a listener of that name, and serves the connection, again and again, until ctx
// ends.
func (c *Client) keepUp(ctx context.Context, level slog.Level, listener, addr string, serve func(net.Conn) error, failed func(error)) {
	pause := c.cfg.MinBackoff
	for ctx.Err() == nil {
		conn, err := c.dial(ctx, listener, addr)
		began := time.Now()
		if err == nil {
			err = serve(conn)
		}
		failed(err)
		if ctx.Err() != nil || errors.Is(err, errStopping) {
			return
		}
		if conn != nil && time.Since(began) > c.cfg.MaxBackoff {
			pause = c.cfg.MinBackoff
		}
		c.stats.reconnects.Add(1)
		c.log.Log(ctx, level, "gateway not connected", "listener", listener, "gateway", addr, "error", err, "again", pause)
		// Some chance keeps processes that lost their gateway together from
		// coming back together.
		timer := time.NewTimer(pause/2 + rand.N(pause/2+1))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		pause += min(pause, c.cfg.MaxBackoff-pause) // twice as long, without overflow
	}
}

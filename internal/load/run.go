package load

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/internal/load/process"
	"github.com/sluicegate/sluice/transport/websocket"
)

// A run is one run of one scenario.
type run struct {
	cfg    *Config
	spec   *spec
	target *target
	meter  *meter
	window *window
	task   *taskConn // nil if the target has none

	clients []*client
	readers sync.WaitGroup
	mu      sync.Mutex
	closed  map[string]int64 // connections that the server has ended, by who and how
	other   int64            // messages that are not the run's
	notes   []string
}

// Run does what cfg says and returns what came of it. When ctx ends, the measured
// phase does too, and the result is of what there was; before that phase, the error
// is ctx's. It leaves nothing behind: neither connections nor processes.
func Run(ctx context.Context, cfg Config) (result *Result, err error) {
	spec, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	r := &run{cfg: &cfg, spec: spec, window: newWindow(), closed: make(map[string]int64)}
	if r.target, err = openTarget(ctx, &cfg); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.target.close()) }()
	r.meter = newMeter(time.Now(), spec.classes, spec.counted, r.target.pid)
	if r.target.task != "" {
		if r.task, err = dialTask(ctx, r.target.task, r.cfg.Secret); err != nil {
			return nil, err
		}
		defer r.task.close()
	}
	defer r.leave()
	if err := r.weighed(ctx); err != nil {
		return nil, err
	}
	scenario := spec.make(r)
	if err := scenario.prepare(ctx); err != nil {
		return nil, err
	}
	if err := r.measure(ctx, scenario); err != nil {
		return nil, err
	}
	return r.report(ctx, scenario), nil
}

// weighed connects the clients, and weighs the server before and after.
func (r *run) weighed(ctx context.Context) error {
	if r.meter.server != nil {
		if err := r.warmUp(ctx); err != nil {
			return err
		}
	}
	before, err := r.weigh(ctx)
	if err != nil {
		return err
	}
	if err := r.connect(ctx); err != nil {
		return err
	}
	idle, err := r.weigh(ctx)
	if err == nil && r.meter.server != nil {
		r.meter.server.RSSBefore, r.meter.server.RSSIdle = before, idle
	}
	return err
}

// warm is how many clients come and go before memory is weighed, so that what the
// first ones have the server touch is not theirs to bear: code, pools, stacks.
const warm = 200

func (r *run) warmUp(ctx context.Context) error {
	for range warm {
		conn, _, err := r.target.dial.open(ctx)
		if err != nil {
			return fmt.Errorf("load: %w", err)
		}
		defer conn.Close()
	}
	return nil
}

// weigh lets the server settle and returns its resident memory, 0 if that is not
// known.
func (r *run) weigh(ctx context.Context) (int64, error) {
	if r.meter.server == nil {
		return 0, nil
	}
	select {
	case <-time.After(r.cfg.Settle):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	u, err := process.Read(r.target.pid)
	if errors.Is(err, process.ErrUnknown) {
		r.meter.server = nil
		return 0, nil
	}
	return u.RSS, err
}

// connect opens the clients, some at the same time.
func (r *run) connect(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r.clients = make([]*client, r.cfg.Clients)
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(r.cfg.Parallel, r.cfg.Clients) {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(r.clients)) && ctx.Err() == nil; i = next.Add(1) - 1 {
				c, err := r.open(ctx, int(i), r.meter.now())
				if err != nil {
					cancel(fmt.Errorf("load: client %d of %d: %w", i+1, len(r.clients), err))
					return
				}
				r.clients[i] = c
			}
		})
	}
	workers.Wait()
	return context.Cause(ctx)
}

// open connects client id, which was due at a time, and has it read.
func (r *run) open(ctx context.Context, id int, due time.Duration) (*client, error) {
	conn, rest, err := r.target.dial.open(ctx)
	if err != nil {
		return nil, err
	}
	c := &client{
		id: id, conn: conn, shard: r.meter.shard(id), now: r.meter.now, ended: r.ended,
		code: noCode, player: silent{},
	}
	c.shard.mu.Lock()
	c.shard.record(len(r.spec.classes)-1, due, r.meter.now()) // every scenario's last is handshakes
	c.shard.mu.Unlock()
	r.readers.Go(func() { c.read(rest) })
	return c, nil
}

// replace puts a client in the place of the one that it was before.
func (r *run) replace(c *client) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clients[c.id] = c
}

// ended notes what is left of a client.
func (r *run) ended(c *client) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.other += c.other
	if !c.leaving.Load() {
		r.closed[fmt.Sprintf("%sclosed %d", c.group, c.code)]++
	}
}

// leave ends all connections and waits for their readers.
func (r *run) leave() {
	for _, c := range r.clients {
		if c != nil {
			c.leave()
		}
	}
	r.readers.Wait()
}

// measure plays the scenario.
func (r *run) measure(ctx context.Context, s scenario) error {
	r.meter.begin()
	phase, cancel := context.WithTimeout(ctx, r.cfg.For)
	defer cancel()
	if r.task != nil {
		r.task.bound(time.Now().Add(r.cfg.For + r.cfg.Drain))
	}
	keeping := make(chan struct{})
	go func() { defer close(keeping); r.keepAlive(phase) }()
	err := r.meter.during(phase, s.play, r.cfg.Progress)
	cancel()
	<-keeping
	return err
}

// aliveEvery is how often an idle client shows that it is there: servers close
// those that are silent for long.
const aliveEvery = time.Minute

// keepAlive has each client send a pong that nobody has asked for, now and then
// (RFC 6455 section 5.5.3).
func (r *run) keepAlive(ctx context.Context) {
	tick := time.NewTicker(aliveEvery)
	defer tick.Stop()
	pong := websocket.AppendMaskedFrame(nil, true, false, websocket.OpPong, [4]byte([]byte(mask)), nil)
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		r.mu.Lock()
		clients := slices.Clone(r.clients)
		r.mu.Unlock()
		for _, c := range clients {
			if ctx.Err() != nil {
				return
			}
			_ = c.send(pong) // the reader learns of errors
		}
	}
}

// drain waits until nothing is under way, at most for as long as the configuration
// allows. ctx has ended already.
func (r *run) drain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.cfg.Drain)
	defer cancel()
	_ = r.window.wait(ctx, 0) // what is then still under way is counted as lost
}

// report gathers the result, after the clients have left.
func (r *run) report(ctx context.Context, s scenario) *Result {
	r.leave()
	if after, err := r.weigh(ctx); err == nil && r.meter.server != nil {
		r.meter.server.RSSAfter = after
	}
	result := &Result{
		Scenario: r.spec.name, Target: r.target.words, Clients: len(r.clients), Operation: r.spec.operation,
		Counts: s.counts(), Notes: r.notes,
	}
	r.meter.report(result)
	result.Counts = append(result.Counts, r.ends()...)
	return result
}

// note adds a note to the result.
func (r *run) note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

package gateway

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/registry"
	"github.com/sluicegate/sluice/transport"
)

const (
	// taskOverhead is what a task counts for in a mailbox besides its data.
	taskOverhead = 128
	// mergeLimit bounds the frames that become one, in bytes. What is larger
	// is a full write by itself.
	mergeLimit = 32 << 10
)

var (
	_ transport.Merger = (*delivery)(nil)
	_ transport.Task   = (*kick)(nil)
)

// job is a task that can be refused.
type job interface {
	transport.Task
	// refuse counts the task's messages as dropped.
	refuse(reason hooks.DropReason)
}

// delivery is one message, or several for the same clients, on its way to the
// clients of one loop.
type delivery struct {
	g       *Gateway
	frame   *transport.Frame
	more    []*transport.Frame // behind frame, merged
	clients []*registry.Client
	to      registry.Audience // where clients come from, if from a list
	next    int
	bytes   int
	one     [1]*registry.Client // storage for a single client
}

// Run implements transport.Task.
func (d *delivery) Run(budget int) (steps int, done bool) {
	if len(d.more) > 0 {
		d.frame = join(append([]*transport.Frame{d.frame}, d.more...))
		d.more = nil
	}
	end := min(len(d.clients), d.next+budget)
	steps = end - d.next
	for ; d.next < end; d.next++ {
		d.clients[d.next].Conn().Send(d.frame)
	}
	if d.next < len(d.clients) {
		return steps, false
	}
	d.to.Release()
	return steps, true
}

// Merge implements transport.Merger: publishes to one topic, with no change to
// it between them, become one frame and so one write per client.
func (d *delivery) Merge(next transport.Task) bool {
	n, ok := next.(*delivery)
	if !ok || d.next > 0 || !d.to.Same(n.to) || d.bytes+n.bytes > mergeLimit || d.frame.Key != "" || n.frame.Key != "" {
		return false
	}
	d.more = append(d.more, n.frame)
	d.bytes += n.bytes
	n.to.Release()
	return true
}

// Weight implements transport.Task.
func (d *delivery) Weight() (recipients, bytes int) { return len(d.clients), d.bytes }

// Drop implements transport.Task.
func (d *delivery) Drop() { d.refuse(hooks.DropStopped) }

func (d *delivery) refuse(reason hooks.DropReason) {
	for _, f := range append([]*transport.Frame{d.frame}, d.more...) {
		for _, c := range d.clients[d.next:] {
			d.g.drop(c.UniqID(), reason, int64(f.Messages), int64(len(f.Plain)))
		}
	}
	d.to.Release()
}

// kick ends clients of one loop: it sends a farewell, if any, and closes.
type kick struct {
	g       *Gateway
	frame   *transport.Frame // may be nil
	clients []*registry.Client
	next    int
	why     *hooks.Disconnect // nil in a drain, where each has its own
	patient bool              // leave those for whom something waits
	over    atomic.Bool       // everybody was looked at
}

// Run implements transport.Task.
func (k *kick) Run(budget int) (steps int, done bool) {
	end := min(len(k.clients), k.next+budget)
	steps = end - k.next
	for ; k.next < end; k.next++ {
		conn := k.clients[k.next].Conn()
		if k.patient && conn.Waiting() > 0 {
			continue
		}
		if k.frame != nil {
			conn.Send(k.frame)
		}
		why := k.why
		if why == nil {
			why = k.g.restart()
		}
		disconnect(conn, why)
	}
	done = k.next == len(k.clients)
	k.over.Store(done)
	return steps, done
}

// Weight implements transport.Task.
func (k *kick) Weight() (recipients, bytes int) {
	return len(k.clients), size(k.frame) + taskOverhead
}

// Drop implements transport.Task.
func (k *kick) Drop() {
	k.refuse(hooks.DropStopped)
	k.over.Store(true)
}

func (k *kick) refuse(reason hooks.DropReason) {
	if k.frame == nil {
		return
	}
	for _, c := range k.clients[k.next:] {
		k.g.drop(c.UniqID(), reason, int64(k.frame.Messages), int64(len(k.frame.Plain)))
	}
}

// deliver posts f to the clients of an audience.
func (g *Gateway) deliver(ctx context.Context, a registry.Audience, f *transport.Frame) error {
	return g.post(ctx, a.Loop(), &delivery{g: g, frame: f, to: a, clients: a.Clients(), bytes: size(f) + taskOverhead})
}

// deliverAll posts f to several audiences. One loop's trouble is not the
// others'.
func (g *Gateway) deliverAll(ctx context.Context, as []registry.Audience, f *transport.Frame) error {
	var err error
	for _, a := range as {
		e := g.deliver(ctx, a, f)
		ctx, err = rest(ctx, e), errors.Join(err, e)
	}
	return err
}

// deliverOne posts f to one client.
func (g *Gateway) deliverOne(ctx context.Context, c *registry.Client, f *transport.Frame) error {
	d := &delivery{g: g, frame: f, bytes: size(f) + taskOverhead, one: [1]*registry.Client{c}}
	d.clients = d.one[:]
	return g.post(ctx, c.Conn().Loop(), d)
}

// deliverTo posts f to clients, in their order on each loop.
func (g *Gateway) deliverTo(ctx context.Context, clients []*registry.Client, f *transport.Frame) error {
	if len(clients) == 1 {
		return g.deliverOne(ctx, clients[0], f)
	}
	var err error
	for _, group := range byLoop(clients) {
		e := g.deliver(ctx, registry.NewAudience(group), f)
		ctx, err = rest(ctx, e), errors.Join(err, e)
	}
	return err
}

// byLoop splits clients by their loops, in place of none.
func byLoop(clients []*registry.Client) [][]*registry.Client {
	if len(clients) == 0 {
		return nil
	}
	first, same := clients[0].Conn().Loop(), true
	for _, c := range clients[1:] {
		if c.Conn().Loop() != first {
			same = false
			break
		}
	}
	if same {
		return [][]*registry.Client{clients}
	}
	at := make(map[transport.Loop]int)
	var groups [][]*registry.Client
	for _, c := range clients {
		l := c.Conn().Loop()
		i, ok := at[l]
		if !ok {
			i = len(groups)
			at[l] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], c)
	}
	return groups
}

// rest is the context for the rest of a command of which one part has ended with err:
// it waits for an overloaded loop once, and not again for each of its parts.
func rest(ctx context.Context, err error) context.Context {
	if errors.Is(err, hooks.ErrOverloaded) && hooks.MayWait(ctx) {
		return hooks.WithoutWaiting(ctx)
	}
	return ctx
}

// post puts t into l's mailbox. If that is full, the caller waits, unless it
// is a loop itself: then waiting could be for ever.
func (g *Gateway) post(ctx context.Context, l transport.Loop, t job) error {
	err := l.Post(t)
	if errors.Is(err, transport.ErrMailboxFull) && hooks.MayWait(ctx) {
		wait, cancel := context.WithTimeout(ctx, g.cfg.OverloadWait)
		defer cancel()
		for errors.Is(err, transport.ErrMailboxFull) {
			if l.Wait(wait) != nil {
				break
			}
			err = l.Post(t)
		}
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, transport.ErrMailboxFull):
		t.refuse(hooks.DropOverload)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return hooks.ErrOverloaded
	default:
		t.refuse(hooks.DropStopped)
		return hooks.ErrStopped
	}
}

package remote

import (
	"context"
	"hash/maphash"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/wire"
	"github.com/sluicegate/sluice/protocol"
)

// Open implements [hooks.Router].
func (r *Router) Open(ctx context.Context, _ hooks.Bus, e hooks.OpenEvent) {
	r.forward(ctx, kindOpen, e.UniqID, protocol.Cmd_ConnOpen, wire.Open(e))
}

// Message implements [hooks.Router]. As with the others, if the process's queue is
// full it waits for room until ctx ends, unless ctx says that it may not.
func (r *Router) Message(ctx context.Context, _ hooks.Bus, e hooks.MessageEvent) {
	r.forward(ctx, kindMessage, e.UniqID, protocol.Cmd_Transfer, wire.Message(e))
}

// Close implements [hooks.Router].
func (r *Router) Close(ctx context.Context, _ hooks.Bus, e hooks.CloseEvent) {
	r.forward(ctx, kindClose, e.UniqID, protocol.Cmd_ConnClose, wire.Close(e))
}

// orphan notices a Router that nobody runs.
type orphan struct {
	once  sync.Once
	first time.Time
	nag   sync.Once
}

// orphanTime is how long after its first event a Router may be without Run.
const orphanTime = 5 * time.Second

// forward encodes an event and sees that it goes where it must.
func (r *Router) forward(ctx context.Context, k kind, uniqID string, cmd protocol.Cmd_Number, m proto.Message) {
	if r.worker == nil {
		return // there is no place to register for events
	}
	if !r.run.Load() {
		r.late.once.Do(func() { r.late.first = time.Now() })
		if time.Since(r.late.first) > orphanTime {
			r.late.nag.Do(func() {
				r.log.Error("router not run", "hint", "events come, but nobody runs this Router: list it in the gateway's Config.Hooks")
			})
		}
	}
	packet, err := protocol.AppendPacket(nil, cmd, m)
	if err != nil {
		if n, ok := r.noise.notSent.Next(); ok {
			r.log.Error("event not sent", "uniqId", uniqID, "error", err, "suppressed", n)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.counts.dropped[dropFull]++
		return
	}
	r.route(ctx, k, uniqID, packet)
}

// route queues an event for a process, holds it, or drops it. The lock is held,
// but not while it waits.
func (r *Router) route(ctx context.Context, k kind, uniqID string, packet []byte) {
	for {
		c := r.client(uniqID, k)
		if r.stopping && len(r.active) == 0 {
			r.drop(c, k, dropStopped)
			return
		}
		if c != nil && (c.unsettled() || r.behind(c)) {
			r.hold(c, k, packet, dropUnclaimed)
			return
		}
		p := r.choose(c, k)
		switch {
		case p == nil:
			r.hold(c, k, packet, dropUnclaimed)
			return
		case p.conn.hasRoom(len(packet)):
			r.send(p, c, k, packet)
			return
		case !hooks.MayWait(ctx):
			r.hold(c, k, packet, dropFull)
			return
		}
		room := p.conn.awaitRoom()
		r.mu.Unlock()
		select {
		case <-room:
			r.mu.Lock()
		case <-ctx.Done():
			r.mu.Lock()
			r.drop(c, k, dropStopped)
			return
		}
	}
}

// client returns what is known of a client, or nil if events go round robin.
func (r *Router) client(uniqID string, k kind) *client {
	if r.cfg.Choice == RoundRobin {
		return nil
	}
	c := r.clients[uniqID]
	if c == nil {
		c = &client{id: uniqID, passing: k != kindOpen}
		if !c.passing {
			r.clients[uniqID] = c
		}
	}
	return c
}

// behind reports whether events of c wait that must come before another one.
// Those of a kind that no process wants hold up nothing.
func (r *Router) behind(c *client) bool {
	if !c.waiting() {
		return false
	}
	for k, n := range c.held {
		if n > 0 && (len(r.active) == 0 || r.wanted(kind(k))) {
			return true
		}
	}
	return false
}

func (r *Router) wanted(k kind) bool {
	for _, p := range r.active {
		if p.wants(k) {
			return true
		}
	}
	return false
}

// choose returns the process for an event, or nil if there is none.
func (r *Router) choose(c *client, k kind) *process {
	switch {
	case c == nil:
		for range r.active {
			r.turn++
			if p := r.active[r.turn%len(r.active)]; p.wants(k) {
				return p
			}
		}
		return nil
	case c.passing:
		return r.byHash(c.id, k)
	}
	if p := c.procs[k]; p != nil && p.wants(k) {
		return p
	}
	for _, p := range c.procs {
		if p != nil && p.wants(k) {
			c.tie(k, p)
			return p
		}
	}
	var best *process
	for _, p := range r.active {
		if p.wants(k) && p.preferable(best) {
			best = p
		}
	}
	if best != nil {
		c.tie(k, best)
	}
	return best
}

// byHash chooses by rendezvous hashing: without remembering anything, a client
// keeps its process as long as that lives and no better one comes.
func (r *Router) byHash(id string, k kind) (best *process) {
	var most uint64
	for _, p := range r.active {
		if !p.wants(k) {
			continue
		}
		var h maphash.Hash
		h.SetSeed(r.seed)
		_, _ = h.WriteString(id)
		for i := range 8 {
			_ = h.WriteByte(byte(p.birth >> (8 * i)))
		}
		if weight := h.Sum64(); best == nil || weight > most {
			best, most = p, weight
		}
	}
	return best
}

// send queues an event for p.
func (r *Router) send(p *process, c *client, k kind, packet []byte) {
	p.conn.add(record{proc: p, client: c, kind: k, size: len(packet)}, packet)
	r.counts.queued++
	if k == kindClose {
		r.forget(c)
	}
}

// drop counts an event that nobody gets.
func (r *Router) drop(c *client, k kind, why dropReason) {
	r.counts.dropped[why]++
	if k == kindClose {
		r.forget(c)
	}
}

// forget ends a client: nothing comes after its Close.
func (r *Router) forget(c *client) {
	if c == nil || c.forgotten {
		return
	}
	c.untie()
	c.forgotten = true
	if r.clients[c.id] == c && !c.waiting() {
		delete(r.clients, c.id)
	}
}

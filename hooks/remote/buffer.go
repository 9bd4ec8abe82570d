package remote

import (
	"context"
	"time"
)

// held is an event that waits: for a process to register, for one that has
// left to finish, or for room.
type held struct {
	client *client // nil if events go round robin
	kind   kind
	packet []byte
	since  time.Time
}

// hold keeps an event for later, or drops it for the reason given.
func (r *Router) hold(c *client, k kind, packet []byte, why dropReason) {
	size := len(packet) + bufferOverhead
	if r.stopping {
		r.drop(c, k, dropStopped)
		return
	}
	if r.heldSize+size > r.cfg.Buffer {
		if r.cfg.Buffer > 0 {
			why = dropFull
		}
		r.drop(c, k, why)
		return
	}
	r.held = append(r.held, held{client: c, kind: k, packet: packet, since: time.Now()})
	r.count(c, k, size)
}

// count notes that an event of c waits.
func (r *Router) count(c *client, k kind, size int) {
	r.heldSize += size
	if c != nil {
		c.held[k]++
		r.clients[c.id] = c
	}
}

// taken notes that h waits no more. It is still in its place.
func (r *Router) taken(h held) {
	r.heldSize -= len(h.packet) + bufferOverhead
	c := h.client
	if c == nil {
		return
	}
	c.held[h.kind]--
	if (c.passing || c.forgotten) && !c.waiting() && r.clients[c.id] == c {
		delete(r.clients, c.id)
	}
}

// dropHeld drops the event at i, which stays in its place.
func (r *Router) dropHeld(i int, why dropReason) {
	h := r.held[i]
	r.held[i] = held{}
	r.taken(h)
	r.drop(h.client, h.kind, why)
}

// release sends on what no longer has to wait, in order. It must be called
// whenever a process registers, has finished, or has room again.
func (r *Router) release() {
	if len(r.held) == 0 || len(r.active) == 0 {
		return
	}
	var blocked map[*client]bool
	kept := r.held[:0]
	for i, h := range r.held {
		if h.client != nil && (h.client.unsettled() || blocked[h.client]) {
			kept = append(kept, h)
			continue
		}
		p := r.choose(h.client, h.kind)
		switch {
		case p == nil:
			kept = append(kept, h)
		case p.conn.hasRoom(len(h.packet)):
			r.taken(h)
			r.send(p, h.client, h.kind, h.packet)
		default:
			kept = append(kept, h)
			if h.client != nil {
				if blocked == nil {
					blocked = make(map[*client]bool)
				}
				blocked[h.client] = true
			}
			if !r.anyRoom() {
				kept = append(kept, r.held[i+1:]...)
				clear(r.held[len(kept):])
				r.held = kept
				return
			}
		}
	}
	clear(r.held[len(kept):])
	r.held = kept
}

func (r *Router) anyRoom() bool {
	for _, p := range r.active {
		if p.conn.hasRoom(0) {
			return true
		}
	}
	return false
}

// requeue puts what a process was never sent before everything that waits. It
// may pass the buffer's limit, by as much as the process's queue could hold.
func (r *Router) requeue(unsent []held) {
	if len(unsent) == 0 {
		return
	}
	for _, h := range unsent {
		r.count(h.client, h.kind, len(h.packet)+bufferOverhead)
	}
	r.held = append(unsent, r.held...)
	r.release()
	if r.cfg.Buffer > 0 && !r.stopping {
		return
	}
	// Nothing may wait.
	why := dropUnclaimed
	if r.stopping {
		why = dropStopped
	}
	for i := range r.held {
		r.dropHeld(i, why)
	}
	r.held = nil
}

// expireHeld drops what has waited too long, until ctx ends.
func (r *Router) expireHeld(ctx context.Context) {
	if r.cfg.BufferAge == 0 {
		return
	}
	t := time.NewTicker(max(time.Millisecond, min(r.cfg.BufferAge/4, time.Second)))
	defer t.Stop()
	for {
		select {
		case now := <-t.C:
			r.expire(now.Add(-r.cfg.BufferAge))
		case <-ctx.Done():
			return
		}
	}
}

// expire drops what has waited since before then.
func (r *Router) expire(then time.Time) {
	r.mu.Lock()
	n := 0
	for n < len(r.held) && r.held[n].since.Before(then) {
		r.dropHeld(n, dropUnclaimed)
		n++
	}
	r.held = r.held[n:]
	r.mu.Unlock()
	if n > 0 {
		if left, ok := r.noise.expired.Next(); ok {
			r.log.Warn("events expired", "events", n, "timeout", r.cfg.BufferAge, "suppressed", left,
				"hint", "no business process came for them in time")
		}
	}
}

package loop

import (
	"slices"

	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/websocket"
)

// slowReason is what a client is told that reads too slowly. It may come back,
// when it or its network has recovered.
const slowReason = "slow consumer"

// admit reports whether f may be queued for c. If not, or if it takes the place
// of others, what is lost is reported.
//
// Whatever changes is changed before anything is reported: a handler that sends
// something because something was dropped must find a backlog in order.
func (c *Conn) admit(f *transport.Frame) bool {
	b, o := c.backlog, c.loop.opts
	if b == nil {
		return true // it keeps up
	}
	b.push(c)
	if o.Slow == transport.SlowLatest && f.Key != "" {
		c.supersede(f.Key)
		if b = c.backlog; b == nil {
			return true
		}
	}
	size := c.cost(f)
	if b.bytes+size <= o.WriteLimit {
		return true
	}
	switch o.Slow {
	case transport.SlowDropNewest:
		c.missNewest(f.Messages)
		c.drop(transport.DropSlow, f)
		return false
	case transport.SlowDropOldest:
		lost := c.dropOldest(size)
		fits := b.bytes+size <= o.WriteLimit
		if !fits {
			c.missNewest(f.Messages)
			lost.add(f, c.bytes(f))
		}
		c.loop.tellDropped(c, transport.DropSlow, lost.messages, lost.bytes)
		return fits
	default:
		c.closeSlow(f)
		return false
	}
}

// supersede drops the frame with this key that waits for c, if there is one.
func (c *Conn) supersede(key string) {
	b := c.backlog
	at, ok := b.keys[key]
	if !ok {
		return
	}
	var lost tally
	f := b.frames[at-b.base]
	lost.add(f, c.bytes(f))
	b.remove(c, at-b.base)
	c.loop.tellDropped(c, transport.DropSuperseded, lost.messages, lost.bytes)
}

// dropOldest drops what waits longest until there is room for size bytes, and
// returns what it was.
func (c *Conn) dropOldest(size int) (lost tally) {
	b, missed := c.backlog, 0
	for !b.empty() && b.bytes+size > c.loop.opts.WriteLimit {
		f := b.pop(c)
		missed += f.Messages
		if !isGap(f) {
			lost.add(f, c.bytes(f))
		}
	}
	if missed > 0 && c.loop.opts.Gap != nil {
		gap := &transport.Frame{Messages: missed}
		b.bytes += c.cost(gap)
		if b.head > 0 {
			b.head--
			b.frames[b.head] = gap
		} else {
			b.frames = slices.Insert(b.frames, 0, gap)
		}
	}
	return lost
}

// missNewest notes that so many messages are missing behind what waits.
func (c *Conn) missNewest(messages int) {
	b := c.backlog
	if messages == 0 || c.loop.opts.Gap == nil {
		return
	}
	if !b.empty() {
		if last := b.frames[len(b.frames)-1]; last != nil && isGap(last) {
			last.Messages += messages
			return
		}
	}
	b.add(c, &transport.Frame{Messages: messages})
}

// isGap reports whether f stands for messages that are missing. They were
// counted when they were dropped.
func isGap(f *transport.Frame) bool { return f.Plain == nil }

// fill returns what is sent in the place of f: if that is a gap, what the handler
// makes of it, which may be nil.
func (c *Conn) fill(f *transport.Frame) *transport.Frame {
	if !isGap(f) {
		return f
	}
	return c.loop.tellGap(c, int64(f.Messages))
}

// closeSlow closes a client that reads too slowly, instead of queueing f, which
// may be nil. What waits for it is dropped, so that its memory is free at once;
// the close frame goes behind what the engine holds already and may still reach
// it.
func (c *Conn) closeSlow(f *transport.Frame) {
	b := c.backlog
	b.push(c)
	var lost tally
	for _, f := range append(b.frames[b.head:], f) {
		if f != nil && !isGap(f) {
			lost.add(f, c.bytes(f))
		}
	}
	b.base += len(b.frames)
	b.frames, b.head, b.dead, b.bytes, b.keys = nil, 0, 0, 0, nil
	c.Close(websocket.CloseTryAgainLater, slowReason)
	c.loop.tellDropped(c, transport.DropSlow, lost.messages, lost.bytes)
}

// stallDue returns at which tick c has stalled for too long, if it can.
func (c *Conn) stallDue() (tick uint32, ok bool) {
	if c.backlog == nil || c.state != stateOpen || c.loop.opts.StallTimeout <= 0 {
		return 0, false
	}
	return c.backlog.since + ticks(c.loop.opts.StallTimeout), true
}

// expireStall ends c if its peer has taken nothing for too long.
func (c *Conn) expireStall() {
	if due, ok := c.stallDue(); ok && int32(due-c.loop.wheel.now) <= 0 {
		c.closeSlow(nil)
	}
}

// Waiting implements transport.Conn.
func (c *Conn) Waiting() int {
	if c.is(cut) || c.state == stateGone {
		return 0
	}
	n := int(c.pending) + c.sock.OutboundBuffered()
	if c.backlog != nil {
		n += c.backlog.bytes
	}
	return n
}

package loop

import (
	"math"

	"github.com/sluicegate/sluice/transport"
)

// nodes is the loop's store of queued frames: one linked list per connection,
// in one slice, so that queueing allocates nothing per recipient.
type nodes struct {
	items []node
	free  int32 // first free node plus one
	used  int
}

type node struct {
	frame *transport.Frame
	next  int32
}

func (n *nodes) add(f *transport.Frame) int32 {
	n.used++
	if i := n.free; i != 0 {
		n.free = n.items[i-1].next
		n.items[i-1] = node{frame: f}
		return i
	}
	n.items = append(n.items, node{frame: f})
	return int32(len(n.items))
}

// remove returns the frame at i and what follows it.
func (n *nodes) remove(i int32) (f *transport.Frame, next int32) {
	f, next = n.items[i-1].frame, n.items[i-1].next
	n.items[i-1] = node{next: n.free}
	n.free = i
	n.used--
	return f, next
}

// Send implements transport.Conn.
func (c *Conn) Send(f *transport.Frame) {
	if c.state == stateOpen && !c.is(cut) && !c.admit(f) {
		return
	}
	if c.state != stateOpen || c.is(cut) { // perhaps since others were dropped for f
		c.drop(transport.DropClosed, f)
		return
	}
	c.queue(f)
	if c.pending >= chunk {
		// A full write gains nothing by waiting, and what waits in the
		// queue of a client that keeps up must not count against it.
		c.flush()
	}
}

// queue appends f to what waits for the next flush.
func (c *Conn) queue(f *transport.Frame) {
	n := &c.loop.nodes
	i := n.add(f)
	if c.tail != 0 {
		n.items[c.tail-1].next = i
	} else {
		c.head = i
	}
	c.tail = i
	c.pending += c.size(f)
	if !c.is(touched) {
		c.flags |= touched
		c.loop.touched = append(c.loop.touched, c)
	}
}

func (c *Conn) dequeue() *transport.Frame {
	f, next := c.loop.nodes.remove(c.head)
	if c.head = next; next == 0 {
		c.tail = 0
	}
	c.pending -= c.size(f)
	return f
}

// bytes is f as this client gets it.
func (c *Conn) bytes(f *transport.Frame) []byte {
	if f.Deflated != nil && c.is(compressed) {
		return f.Deflated
	}
	return f.Plain
}

// size is what f counts for in pending. As much as a chunk is written at once, so
// that nothing is missed of a frame that is larger than an int32 can say.
func (c *Conn) size(f *transport.Frame) int32 {
	return int32(min(len(c.bytes(f)), math.MaxInt32-chunk))
}

// flush writes to at most so many of the connections that have frames queued,
// and returns how many more could have been written.
func (l *Loop) flush(sockets int) int {
	for l.flushed < len(l.touched) {
		if sockets == 0 {
			l.compact()
			return 0
		}
		c := l.touched[l.flushed]
		l.touched[l.flushed] = nil
		l.flushed++
		c.flags &^= touched
		if c.head != 0 {
			sockets--
			l.flushGuarded(c)
		}
	}
	l.touched, l.flushed, l.emptying = l.touched[:0], 0, false
	return sockets
}

// compact gives back what is flushed of a list that new frames keep from
// being flushed whole.
func (l *Loop) compact() {
	if l.flushed > len(l.touched)/2 {
		n := copy(l.touched, l.touched[l.flushed:])
		clear(l.touched[n:])
		l.touched, l.flushed = l.touched[:n], 0
	}
}

func (l *Loop) flushGuarded(c *Conn) {
	defer l.guard(c)
	c.flush()
}

// flush writes what is queued: one write, unless it is more than a chunk.
func (c *Conn) flush() {
	l := c.loop
	if c.is(cut) {
		c.discard(transport.DropFailed)
		return
	}
	if c.backlog != nil {
		c.backlog.push(c)
		c.relieve()
		return
	}
	for c.head != 0 {
		var t tally
		first := c.dequeue()
		p := c.bytes(first)
		t.add(first, p)
		if c.head != 0 && len(p) < chunk {
			l.scratch = append(l.scratch[:0], p...)
			for c.head != 0 && len(l.scratch) < chunk {
				f := c.dequeue()
				p = c.bytes(f)
				t.add(f, p)
				l.scratch = append(l.scratch, p...)
			}
			p = l.scratch
		}
		if !c.write(p, t) {
			return
		}
	}
	c.finish()
}

// A tally counts the messages of a write and their bytes. Control frames go
// along uncounted.
type tally struct{ messages, bytes int64 }

func (t *tally) add(f *transport.Frame, encoded []byte) {
	if f.Messages > 0 {
		t.messages += int64(f.Messages)
		t.bytes += int64(len(encoded))
	}
}

// write hands p to the socket. It returns false when the peer has stopped
// taking data or is gone.
func (c *Conn) write(p []byte, t tally) bool {
	c.loop.meter.flush(len(p))
	if c.fd != noFD {
		n := transmit(c.fd, p)
		if n == len(p) {
			c.loop.written(t)
			return true
		}
		p = p[n:] // the engine waits for room, or finds out what is wrong
	}
	_, err := c.sock.Write(p)
	switch {
	case err != nil || c.state == stateGone:
		// Cut off first: the handler may look at the connection.
		c.cutOff()
		c.loop.tellDropped(c, transport.DropFailed, t.messages, t.bytes)
		return false
	case c.sock.OutboundBuffered() > 0:
		c.stall(t)
		return false
	}
	c.loop.written(t)
	return true
}

func (l *Loop) written(t tally) {
	l.outMessages += t.messages
	l.outBytes += t.bytes
}

// drop reports f as not delivered.
func (c *Conn) drop(reason transport.DropReason, f *transport.Frame) {
	if isGap(f) {
		return
	}
	var t tally
	t.add(f, c.bytes(f))
	c.loop.tellDropped(c, reason, t.messages, t.bytes)
}

// discard drops everything that waits for c.
func (c *Conn) discard(reason transport.DropReason) {
	for c.head != 0 {
		c.drop(reason, c.dequeue())
	}
	if b := c.backlog; b != nil {
		c.backlog, c.fd = nil, noFD // what the engine holds goes first
		for !b.empty() {
			c.drop(reason, b.pop(c))
		}
		c.loop.tellDropped(c, reason, b.handed.messages, b.handed.bytes)
	}
}

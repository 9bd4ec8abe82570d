package loop

import (
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/websocket"
)

// A backlog is what a connection holds while its peer does not take data.
//
// One write's worth lies in the engine's buffer, which copies it; the rest
// waits here as shared frames, which cost a pointer each however many clients
// wait for them. Engines do not say when their buffer has drained, so the
// loop looks whenever something is sent and at every hurried tick.
type backlog struct {
	frames []*transport.Frame
	head   int
	bytes  int // of frames[head:], each with frameOverhead
	// handed is what the engine was given and had not taken whole, message
	// boundaries lost: its messages are counted as written when the
	// engine's buffer is empty.
	handed tally
}

// frameOverhead is what a waiting frame counts for besides its bytes, so that
// many small ones are bounded too.
const frameOverhead = 16

// Sockets that are written on goroutines of their own stall at every write, for
// a moment. So that this costs no allocation, a loop keeps some backlogs, each
// with room for at most so many frames.
const (
	backlogsKept      = 4096
	backlogFramesKept = 64
)

func (l *Loop) newBacklog(handed tally) *backlog {
	last := len(l.backlogs) - 1
	if last < 0 {
		return &backlog{handed: handed}
	}
	b := l.backlogs[last]
	l.backlogs[last] = nil
	l.backlogs = l.backlogs[:last]
	b.handed = handed
	return b
}

// freeBacklog takes back c's backlog, which is empty.
func (l *Loop) freeBacklog(c *Conn) {
	b := c.backlog
	c.backlog = nil
	if len(l.backlogs) < backlogsKept && cap(b.frames) <= backlogFramesKept {
		*b = backlog{frames: b.frames[:0]}
		l.backlogs = append(l.backlogs, b)
	}
}

// stall begins a backlog: the write that was just made did not go through.
func (c *Conn) stall(handed tally) {
	l := c.loop
	c.backlog = l.newBacklog(handed)
	c.backlog.push(c)
	if c.is(stalled) {
		return // it was relieved and has stalled again since the last look
	}
	c.flags |= stalled
	l.stalled = append(l.stalled, c)
	if len(l.stalled) == 1 {
		l.isStalled.Store(true)
		l.engine.Hurry()
	}
}

// push moves what is queued for c into its backlog.
func (b *backlog) push(c *Conn) {
	for c.head != 0 {
		f := c.dequeue()
		b.frames = append(b.frames, f)
		b.bytes += len(c.bytes(f)) + frameOverhead
	}
}

func (b *backlog) pop(c *Conn) *transport.Frame {
	f := b.frames[b.head]
	b.frames[b.head] = nil
	b.head++
	b.bytes -= len(c.bytes(f)) + frameOverhead
	if b.head == len(b.frames) {
		b.frames, b.head = b.frames[:0], 0
	} else if b.head >= 64 && b.head > len(b.frames)/2 {
		n := copy(b.frames, b.frames[b.head:])
		clear(b.frames[n:])
		b.frames, b.head = b.frames[:n], 0
	}
	return f
}

// relieve sends on what the peer has room for.
func (c *Conn) relieve() {
	b, l := c.backlog, c.loop
	for !c.is(cut) && c.sock.OutboundBuffered() == 0 {
		l.written(b.handed)
		b.handed = tally{}
		if b.head == len(b.frames) {
			l.freeBacklog(c)
			c.finish()
			return
		}
		l.scratch = l.scratch[:0]
		for b.head < len(b.frames) && len(l.scratch) < chunk {
			f := b.pop(c)
			p := c.bytes(f)
			b.handed.add(f, p)
			l.scratch = append(l.scratch, p...)
		}
		if _, err := c.sock.Write(l.scratch); err != nil || c.state == stateGone {
			c.cutOff() // discard counts what was handed over
			return
		}
	}
}

// relieve looks after all stalled connections.
func (l *Loop) relieve() {
	if len(l.stalled) == 0 {
		return
	}
	for _, c := range l.stalled {
		if c.backlog != nil {
			c.backlog.push(c)
			c.relieve()
		}
	}
	left := l.stalled[:0]
	for _, c := range l.stalled {
		if c.backlog != nil {
			left = append(left, c)
		} else {
			c.flags &^= stalled
		}
	}
	clear(l.stalled[len(left):])
	l.stalled = left
	l.isStalled.Store(len(left) > 0)
}

// overflow closes a client that reads too slowly, instead of queueing f. What
// waits for it is dropped, so that its memory is free at once; the close frame
// goes behind what the engine holds already and may still reach it.
//
// It is closed before anything is reported: a handler that sends something
// because something was dropped must not end up here again.
func (c *Conn) overflow(f *transport.Frame) {
	b := c.backlog
	b.push(c)
	dropped := append(b.frames[b.head:], f)
	b.frames, b.head, b.bytes = nil, 0, 0
	c.Close(websocket.ClosePolicyViolation, "slow consumer")
	for _, f := range dropped {
		c.drop(transport.DropSlow, f)
	}
}

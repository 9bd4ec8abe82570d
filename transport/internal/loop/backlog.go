package loop

import (
	"github.com/sluicegate/sluice/transport"
)

// A backlog is what a connection holds while its peer does not take data.
//
// One write's worth lies in the engine's buffer, which copies it; the rest
// waits here as shared frames, which cost a pointer each however many clients
// wait for them. Engines do not say when their buffer has drained, so the
// loop looks whenever something is sent and at every hurried tick.
type backlog struct {
	// frames[head:] wait. Those that were superseded are nil, dead of them;
	// the first never is. Some are gaps.
	frames []*transport.Frame
	head   int
	dead   int
	bytes  int // of frames[head:], as cost counts them
	// keys says where the frame with each key is, counted from base, which
	// is the place of frames[0]. It is for SlowLatest alone.
	keys map[string]int
	base int
	// handed is what the engine was given and had not taken whole, message
	// boundaries lost: its messages are counted as written when the
	// engine's buffer is empty.
	handed tally
	// left is what the engine held when it was last looked at, and since the
	// tick of the look that first found that much: the peer has taken nothing
	// from then on.
	left  int
	since uint32
}

// frameOverhead is what a waiting frame counts for besides its bytes, so that
// many small ones are bounded too; keyOverhead what one with a key does.
const (
	frameOverhead = 16
	keyOverhead   = 64
)

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
	c.backlog.left, c.backlog.since = c.sock.OutboundBuffered(), l.wheel.soon
	c.backlog.push(c)
	c.account()
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
		b.add(c, c.dequeue())
	}
}

// cost is what a frame counts for in the backlog of c.
func (c *Conn) cost(f *transport.Frame) int {
	n := len(c.bytes(f)) + frameOverhead
	if f.Key != "" && c.loop.opts.Slow == transport.SlowLatest {
		n += keyOverhead + len(f.Key)
	}
	return n
}

func (b *backlog) add(c *Conn, f *transport.Frame) {
	if f.Key != "" && c.loop.opts.Slow == transport.SlowLatest {
		if b.keys == nil {
			b.keys = make(map[string]int)
		}
		b.keys[f.Key] = b.base + len(b.frames)
	}
	b.frames = append(b.frames, f)
	b.bytes += c.cost(f)
}

func (b *backlog) empty() bool { return b.head == len(b.frames) }

func (b *backlog) pop(c *Conn) *transport.Frame {
	f := b.frames[b.head]
	b.remove(c, b.head)
	return f
}

// remove takes out the frame at i.
func (b *backlog) remove(c *Conn, i int) {
	f := b.frames[i]
	b.bytes -= c.cost(f)
	if b.keys != nil && f.Key != "" && b.keys[f.Key] == b.base+i {
		delete(b.keys, f.Key)
	}
	b.frames[i] = nil
	b.dead++
	for b.head < len(b.frames) && b.frames[b.head] == nil {
		b.head++
		b.dead--
	}
	switch {
	case b.empty():
		b.base += len(b.frames)
		b.frames, b.head = b.frames[:0], 0
	case b.head >= 64 && b.head > len(b.frames)/2:
		b.base += b.head
		n := copy(b.frames, b.frames[b.head:])
		clear(b.frames[n:])
		b.frames, b.head = b.frames[:n], 0
	case b.dead >= 64 && b.dead > (len(b.frames)-b.head)/2:
		b.squeeze()
	}
}

// squeeze takes out what was superseded.
func (b *backlog) squeeze() {
	kept := b.frames[:0]
	for _, f := range b.frames[b.head:] {
		if f == nil {
			continue
		}
		if f.Key != "" {
			b.keys[f.Key] = b.base + len(kept)
		}
		kept = append(kept, f)
	}
	clear(b.frames[len(kept):])
	b.frames, b.head, b.dead = kept, 0, 0
}

// relieve sends on what the peer has room for.
func (c *Conn) relieve() {
	b, l := c.backlog, c.loop
	for !c.is(cut) && c.sock.OutboundBuffered() == 0 {
		l.written(b.handed)
		b.handed = tally{}
		if b.empty() {
			l.freeBacklog(c)
			c.account()
			c.finish()
			return
		}
		l.scratch = l.scratch[:0]
		for !b.empty() && len(l.scratch) < chunk {
			f := c.fill(b.pop(c))
			if f == nil {
				continue
			}
			p := c.bytes(f)
			b.handed.add(f, p)
			l.scratch = append(l.scratch, p...)
		}
		if len(l.scratch) == 0 {
			continue // a gap of which nobody is told
		}
		l.meter.flush(len(l.scratch))
		if _, err := c.sock.Write(l.scratch); err != nil || c.state == stateGone {
			c.cutOff() // discard counts what was handed over
			return
		}
	}
	if !c.is(cut) {
		if left := c.sock.OutboundBuffered(); left != b.left {
			b.left, b.since = left, l.wheel.soon
		}
	}
	c.account()
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
			c.expireStall()
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

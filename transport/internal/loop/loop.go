// Package loop is what every transport's event loop has in common: a FIFO
// mailbox that wakes the loop at most once per drain, a queue of frames per
// connection that leaves in one write, a timing wheel, and the WebSocket life
// of a connection from request head to closing handshake.
//
// A transport supplies the bytes and the sockets: it owns one thread of
// control per [Loop] and calls its methods and those of its [Conn]s from there,
// and only from there. In return the loop calls the transport's [Engine] and
// [Socket], also from there; Engine.Wake alone is called from anywhere.
package loop

import (
	"log/slog"
	"math"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/internal/sampled"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/websocket"
)

// A Socket is a connection as the engine sees it.
type Socket interface {
	// Write takes all of p: what the peer's window has no room for is
	// copied and sent later. A failed write may close the socket, and so
	// call Conn.Closed, before it returns.
	Write(p []byte) (int, error)
	// OutboundBuffered is how many bytes wait inside the engine.
	OutboundBuffered() int
	// RemoteAddr is the peer's address.
	RemoteAddr() net.Addr
}

// An Engine is the transport's side of a loop.
type Engine interface {
	// Wake makes the engine call Loop.Woken soon on the loop's own thread
	// of control. It is called on any goroutine and must not block.
	Wake()
	// Again is Wake by the loop itself, whose work is not done: the engine
	// must look at its sockets before it calls Loop.Woken, or a flood of
	// tasks would keep the loop from reading.
	Again()
	// CloseSocket closes s at once, after trying to write what is buffered
	// without blocking. Conn.Closed may run before it returns.
	CloseSocket(s Socket)
	// Hurry says that connections are stalled: Tick should come every few
	// milliseconds until Loop.Stalled is false.
	Hurry()
}

const (
	// tick is the wheel's resolution: time-outs come at the first tick that
	// is not before them.
	tick = 250 * time.Millisecond
	// appendBudget bounds the frames queued before the loop reads again, and
	// flushBudget the sockets written: at some microseconds a write that is a
	// few milliseconds.
	appendBudget = 1 << 15
	flushBudget  = 512
	// gatherLimit bounds the frames that are queued, at 16 bytes each, which a
	// loop that has needed them keeps. Up to it all that waited in the mailbox
	// is gathered before anything is written, so that a client to whom many
	// messages go by way of many topics gets them in one write.
	gatherLimit = 1 << 18
	// quickRecipients is the most deliveries that are done at the end of an
	// input event. More is left to a drain of its own, behind the other
	// sockets that are ready, so that their messages share its writes.
	quickRecipients = 8
	// chunk is how much is gathered for one write. More gains nothing: the
	// cost of the system call is spread thin already.
	chunk = 64 << 10
)

// A Loop is one thread of control with the connections it owns.
type Loop struct {
	index   int
	opts    *transport.Options
	handler transport.Handler
	engine  Engine
	log     *slog.Logger

	box mailbox
	// batch[next:] are tasks that were taken out of the mailbox.
	batch []transport.Task
	next  int
	freed int // bytes of finished tasks, not yet given back to the mailbox

	nodes     nodes
	touched   []*Conn // connections with queued frames; [flushed:] are due
	flushed   int
	emptying  bool // all that is queued is to be written before more is
	scratch   []byte
	stalled   []*Conn
	isStalled atomic.Bool
	backlogs  []*backlog // empty ones, to be used again

	pressed bool // the budget was passed, and is looked at

	wheel wheel
	start time.Time
	conns []*Conn

	requests    websocket.RequestParser
	decoder     websocket.DecoderConfig
	closing     websocket.DecoderConfig    // for connections that are
	negotiation websocket.HandshakeOptions // but for Origins, which are asked for each time

	outMessages, outBytes int64
	meter                 meter

	// What peers can have logged, and how often.
	panics, overBudget, complaints sampled.Event
}

// New returns a loop that reports to h. now is the start of its clock, which
// Tick moves on.
func New(index int, o *transport.Options, h transport.Handler, e Engine, now time.Time) *Loop {
	l := &Loop{
		index:   index,
		opts:    o,
		handler: h,
		engine:  e,
		log:     o.Logger,
		box:     mailbox{limit: o.MailboxLimit},
		start:   now,
		decoder: websocket.DecoderConfig{MaxMessage: o.MaxMessage, Inflater: new(websocket.Inflater)},
		closing: websocket.DecoderConfig{MaxMessage: o.MaxMessage, NoInflate: true},
		negotiation: websocket.HandshakeOptions{
			Subprotocols: o.Subprotocols, Compression: o.Compression,
		},
		meter:      newMeter(),
		complaints: sampled.Event{Burst: 1, Every: complainEvery},
	}
	if o.Meter != nil {
		o.Meter(l, l.stats)
	}
	return l
}

// Index implements transport.Loop.
func (l *Loop) Index() int { return l.index }

// Attach makes a new connection of s, which awaits its request head, or the PROXY
// header that goes before it.
func (l *Loop) Attach(s Socket) *Conn {
	c := l.attach(s)
	if l.announces(s) {
		c.state = stateProxy
	}
	return c
}

func (l *Loop) attach(s Socket) *Conn {
	c := &Conn{loop: l, sock: s, value: new(handshake), slot: noSlot, place: int32(len(l.conns)), fd: descriptor(s)}
	l.conns = append(l.conns, c)
	l.meter.conns.Add(1)
	c.lastSeen = l.wheel.soon
	l.wheel.set(c, ticks(l.opts.HandshakeTimeout))
	return c
}

// detach takes c off the loop's list.
func (l *Loop) detach(c *Conn) {
	last := len(l.conns) - 1
	moved := l.conns[last]
	l.conns[c.place], moved.place = moved, c.place
	l.conns[last] = nil
	l.conns = l.conns[:last]
	l.meter.conns.Add(-1)
}

// Input hands over bytes that arrived. b may be overwritten and is not kept.
func (c *Conn) Input(b []byte) {
	l := c.loop
	l.box.enter()
	defer l.leave()
	defer l.guard(c)
	c.lastSeen = l.wheel.soon
	c.input(b)
	c.account()
}

// Closed reports that c's socket is gone. It may run inside any call that the
// loop makes to the engine or the socket.
func (c *Conn) Closed() {
	l := c.loop
	// The end of a connection can come inside a drain or an input event,
	// which then tidies up; only one that comes by itself must do so here.
	outermost := l.box.enter()
	if outermost {
		defer l.leave()
	}
	defer l.guard(nil)
	c.gone()
}

// Woken runs what waits in the mailbox.
func (l *Loop) Woken() {
	l.box.enterWoken()
	defer l.rest()
	defer l.guard(nil)
	l.drain(flushBudget)
}

// Tick moves the loop's clock on to now, ends what has timed out and looks
// after stalled connections.
func (l *Loop) Tick(now time.Time) {
	l.box.enter()
	defer l.leave()
	defer l.guard(nil)
	l.wheel.advance(now.Sub(l.start), l.expire)
	l.relieve()
	if l.pressed = false; l.opts.Budget.Over() {
		l.press()
	}
}

// Next returns at what time after the clock's start the next time-out comes, as
// things stand, or false if none will.
func (l *Loop) Next() (elapsed time.Duration, ok bool) {
	soonest := int32(math.MaxInt32)
	for _, c := range l.conns {
		if c.slot != noSlot {
			left := int32(c.due - l.wheel.now)
			if c.state == stateOpen {
				left = max(left, int32(c.lastSeen+ticks(l.opts.IdleTimeout)-l.wheel.now))
			}
			soonest, ok = min(soonest, left), true
		}
		if due, stalls := c.stallDue(); stalls {
			soonest, ok = min(soonest, int32(due-l.wheel.now)), true
		}
	}
	return time.Duration(l.wheel.now+uint32(soonest)) * tick, ok
}

// Relieve looks after connections whose peer had stopped taking data. Engines
// that know when a socket has drained call it then; for others Tick does.
func (l *Loop) Relieve() {
	l.box.enter()
	defer l.leave()
	defer l.guard(nil)
	l.relieve()
}

// Conns returns how many connections the loop has, in any state.
func (l *Loop) Conns() int { return len(l.conns) }

// Stalled reports whether a connection waits for its peer to read. It may be
// called on any goroutine.
func (l *Loop) Stalled() bool { return l.isStalled.Load() }

// Unflushed reports whether frames wait to be written to sockets that would
// take them.
func (l *Loop) Unflushed() bool { return l.flushed < len(l.touched) }

// CloseAll begins to close every connection: open ones with a close frame,
// the others at once.
func (l *Loop) CloseAll(code int, reason string) {
	l.box.enter()
	defer l.leave()
	l.closeConns(0, code, reason)
}

// closeConns begins to close the connections that have all of the flags.
func (l *Loop) closeConns(which flags, code int, reason string) {
	// Closing a socket takes its connection off the list.
	for _, c := range slices.Clone(l.conns) {
		if c.flags&which != which {
			continue
		}
		if c.state == stateOpen {
			c.Close(code, reason)
		} else if c.state != stateClosing && c.state != stateGone {
			c.cutOff()
		}
	}
}

// Stop ends the loop once its connections are gone: what waits in the mailbox
// is dropped, and later posts are refused.
func (l *Loop) Stop() {
	for _, t := range append(l.batch[l.next:], l.box.close()...) {
		l.dropTask(t)
	}
	l.batch, l.next = nil, 0
	l.report()
}

// leave ends an event: small work is done on the spot, larger work is left to
// a drain of its own.
func (l *Loop) leave() {
	sockets := l.flush(quickRecipients)
	for range 4 {
		if sockets == 0 || l.next < len(l.batch) {
			break
		}
		batch, ok := l.box.takeLight(l.batch, l.freed, quickRecipients)
		if !ok {
			break
		}
		l.batch, l.next, l.freed = batch, 0, 0
		l.work(sockets)
	}
	l.rest()
}

// rest gives the thread of control back to the engine, and asks for it again
// if anything is left to do.
func (l *Loop) rest() {
	l.report()
	again := l.box.leave(l.freed, l.next < len(l.batch) || l.flushed < len(l.touched))
	l.freed = 0
	if again {
		l.engine.Again()
	}
}

// drain flushes what is due, then runs tasks and flushes what they queued.
// Tasks wait until earlier frames are flushed: a publisher that is faster
// than the loop then fills the mailbox, which pushes back, and not the
// clients' queues, which would close them.
func (l *Loop) drain(sockets int) {
	if l.gathering() {
		l.work(sockets)
		return
	}
	if sockets = l.flush(sockets); sockets == 0 {
		return
	}
	if l.next == len(l.batch) {
		l.batch, l.next = l.box.take(l.batch, l.freed), 0
		l.freed = 0
	}
	l.work(sockets)
}

// gathering reports whether more is to be queued before it is flushed.
func (l *Loop) gathering() bool {
	return !l.emptying && l.next < len(l.batch) && l.nodes.used < gatherLimit
}

// work runs tasks and flushes what they queued, unless more is to come.
func (l *Loop) work(sockets int) {
	for budget := appendBudget; l.next < len(l.batch) && budget > 0; {
		steps, done := l.run(l.batch[l.next], budget)
		budget -= max(1, steps) // a task without recipients is work too
		if done {
			l.batch[l.next] = nil
			l.next++
		}
	}
	if !l.gathering() {
		l.emptying = true
		l.flush(sockets)
	}
}

// run runs t, merged with those behind it where they can be.
func (l *Loop) run(t transport.Task, budget int) (steps int, done bool) {
	defer func() {
		if r := recover(); r != nil {
			l.panicked(r, nil)
			done = true
		}
		if done {
			l.freed += l.held(t)
		}
	}()
	if m, ok := t.(transport.Merger); ok {
		for l.next+1 < len(l.batch) && m.Merge(l.batch[l.next+1]) {
			// Keep t in front of what is left; its slot moves up.
			l.batch[l.next] = nil
			l.next++
			l.batch[l.next] = t
		}
	}
	return t.Run(budget)
}

// held is how many bytes t counts for in the mailbox.
func (l *Loop) held(t transport.Task) (bytes int) {
	defer l.guard(nil)
	_, bytes = t.Weight()
	return bytes
}

func (l *Loop) dropTask(t transport.Task) {
	defer l.guard(nil)
	t.Drop()
}

// ticks is d in ticks, rounded up.
func ticks(d time.Duration) uint32 {
	n := d / tick
	if d%tick > 0 {
		n++
	}
	return uint32(min(max(1, n), math.MaxInt32/2))
}

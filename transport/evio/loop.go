//go:build darwin || freebsd || linux

package evio

import (
	"net"
	"sync/atomic"
	"time"

	engine "github.com/tidwall/evio"

	"github.com/sluicegate/sluice/transport/internal/loop"
)

// eventLoop is our side of one of the engine's loops.
type eventLoop struct {
	s    *server
	core *loop.Loop

	bell atomic.Pointer[net.TCPConn]
	rung atomic.Bool // a ring is on its way
	note [1]byte     // what a ring sends; nobody reads it

	// What the loop is to do when its bell rings.
	woken, tickDue atomic.Bool
	closeDue       atomic.Pointer[closing]

	holding   []*socket // with bytes that their peers have no room for
	isHolding atomic.Bool
}

// closing is a request to close all connections of a loop.
type closing struct {
	begun    bool
	deadline time.Time
	done     chan struct{}
}

// Wake implements loop.Engine.
func (l *eventLoop) Wake() {
	l.woken.Store(true)
	l.ring()
}

// Again implements loop.Engine. A ring queues up with the other sockets that
// are ready, so each of them has its turn before it is answered.
func (l *eventLoop) Again() { l.Wake() }

// CloseSocket implements loop.Engine.
func (l *eventLoop) CloseSocket(s loop.Socket) { s.(*socket).close() }

// Hurry implements loop.Engine.
func (l *eventLoop) Hurry() {
	select {
	case l.s.hurry <- struct{}{}:
	default:
	}
}

// answer does what the bell was rung for.
func (l *eventLoop) answer() engine.Action {
	l.rung.Store(false) // first: what comes up from now on rings anew
	if l.woken.Swap(false) {
		l.core.Woken()
	}
	if l.tickDue.Swap(false) {
		l.tick(time.Now())
	}
	if l.s.ending.Load() {
		return engine.Shutdown
	}
	return engine.None
}

// requestTick has the loop look at its clock, unless it is about to.
func (l *eventLoop) requestTick() {
	if !l.tickDue.Swap(true) {
		l.ring()
	}
}

func (l *eventLoop) tick(now time.Time) {
	l.sendHeld()
	l.core.Tick(now)
	if c := l.closeDue.Load(); c != nil {
		if !c.begun {
			c.begun = true
			l.core.CloseAll(goingAwayCode, goingAwayReason)
		}
		if l.core.Conns() == 0 || now.After(c.deadline) {
			l.closeDue.Store(nil)
			close(c.done)
		}
	}
}

// closeAll closes the loop's connections and returns when they are gone or
// deadline has passed, or when ended is closed. The ticker drives it.
func (l *eventLoop) closeAll(deadline time.Time, ended <-chan struct{}) {
	c := &closing{deadline: deadline, done: make(chan struct{})}
	l.closeDue.Store(c)
	l.requestTick()
	select {
	case <-c.done:
	case <-ended:
	}
}

// attach makes a socket of a connection that the engine has opened.
func (l *eventLoop) attach(c engine.Conn, fd int) *socket {
	s := &socket{loop: l, c: c, fd: fd}
	s.prepare()
	s.conn = l.core.Attach(s)
	return s
}

// hold has the ticker come soon for s.
func (l *eventLoop) hold(s *socket) {
	l.holding = append(l.holding, s)
	if len(l.holding) == 1 {
		l.isHolding.Store(true)
		l.Hurry()
	}
}

// sendHeld sends on what peers had no room for.
func (l *eventLoop) sendHeld() {
	if len(l.holding) == 0 {
		return
	}
	left := l.holding[:0]
	for _, s := range l.holding {
		if s.sendHeld() {
			left = append(left, s)
		}
	}
	clear(l.holding[len(left):])
	l.holding = left
	l.isHolding.Store(len(left) > 0)
}

package nethttp

import (
	"net"
	"sync"
	"time"

	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/internal/loop"
)

// An eventLoop is a loop whose thread of control is whoever holds its lock: a
// client's reader for what it has read, and one goroutine for what was posted.
// A reader needs no other goroutine to get a message to the handler.
type eventLoop struct {
	t    *Transport
	core *loop.Loop
	wake chan struct{} // has room for one
	end  chan struct{}

	mu     sync.Mutex
	closed bool // takes no more connections
}

func newEventLoop(t *Transport, index int) *eventLoop {
	l := &eventLoop{t: t, wake: make(chan struct{}, 1), end: make(chan struct{})}
	l.core = loop.New(index, &t.opts, t.handler, l, time.Now())
	return l
}

// Wake implements loop.Engine.
func (l *eventLoop) Wake() {
	select {
	case l.wake <- struct{}{}:
	default: // it is awake already
	}
}

// Again implements loop.Engine. Readers that wait for the lock get it in between.
func (l *eventLoop) Again() { l.Wake() }

// Hurry implements loop.Engine. Sockets say when they have drained.
func (l *eventLoop) Hurry() {}

// CloseSocket implements loop.Engine.
func (l *eventLoop) CloseSocket(s loop.Socket) { s.(*socket).cut() }

// run does what was posted, until stop.
func (l *eventLoop) run() {
	for {
		select {
		case <-l.wake:
			l.mu.Lock()
			l.core.Woken()
			l.mu.Unlock()
		case <-l.end:
			return
		}
	}
}

func (l *eventLoop) tick(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.core.Tick(now)
}

// closeAll begins to close the loop's connections. It takes no more of them.
func (l *eventLoop) closeAll(code int, reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.core.CloseAll(code, reason)
}

// stop ends the loop, which has no connections any more.
func (l *eventLoop) stop() {
	close(l.end)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.core.Stop()
}

// serve makes conn a connection of the loop's, and returns. What the peer has
// sent already is u.Received.
func (l *eventLoop) serve(conn net.Conn, u transport.Upgrade) {
	s := &socket{loop: l, conn: conn, addr: u.RemoteAddr}
	s.writer = s.write
	if !l.take(s, u) {
		s.sayGoodbye()
		l.t.abort(u.Value)
	}
}

// take reports whether the loop takes s, and does.
func (l *eventLoop) take(s *socket, u transport.Upgrade) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	s.core = l.core.Adopt(s, u)
	s.core.Begin(u.Received)
	l.t.running.Go(s.read)
	return true
}

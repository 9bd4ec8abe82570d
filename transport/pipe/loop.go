package pipe

import (
	"io"
	"net"
	"sync"
	"time"

	"github.com/sluicegate/sluice/transport/internal/loop"
	"github.com/sluicegate/sluice/transport/websocket"
)

// eventLoop runs one loop on a goroutine of its own. As with epoll, a socket
// that needs attention is listed once, however much has happened to it.
type eventLoop struct {
	core    *loop.Loop
	segment int
	buf     []byte
	sockets map[*socket]struct{}

	began time.Time // when its clock began

	mu       sync.Mutex
	wake     sync.Cond
	ready    []*socket
	ticks    []tick
	woken    bool
	stopping bool
	stopped  bool

	frozen bool
	still  bool      // the loop waits, and core is nobody's
	stills sync.Cond // signalled when still becomes true
	passes uint64    // how often the loop has had something to do
}

type tick struct {
	now   time.Time
	acted *sync.WaitGroup // may be nil
}

func (t tick) done() {
	if t.acted != nil {
		t.acted.Done()
	}
}

// signal changes the loop's state and has it look.
func (l *eventLoop) signal(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
	l.wake.Signal()
	if l.stopped {
		l.forgetTicks()
	}
}

func (l *eventLoop) forgetTicks() {
	for _, t := range l.ticks {
		t.done()
	}
	l.ticks = nil
}

// Wake implements loop.Engine.
func (l *eventLoop) Wake() { l.signal(func() { l.woken = true }) }

// Again implements loop.Engine: sockets that are ready come first.
func (l *eventLoop) Again() { l.Wake() }

// Hurry implements loop.Engine. Sockets are looked after as soon as their
// client reads, so there is no need.
func (l *eventLoop) Hurry() {}

// CloseSocket implements loop.Engine.
func (l *eventLoop) CloseSocket(s loop.Socket) { s.(*socket).close() }

func (l *eventLoop) enqueue(s *socket) {
	l.signal(func() {
		if l.stopped {
			s.in.close()
			s.out.close()
		} else if !s.queued {
			s.queued = true
			l.ready = append(l.ready, s)
		}
	})
}

// due reports whether there is something to do.
func (l *eventLoop) due() bool {
	return len(l.ready) > 0 || len(l.ticks) > 0 || l.woken || l.stopping
}

func (l *eventLoop) run() {
	l.sockets = make(map[*socket]struct{})
	for {
		l.mu.Lock()
		for !l.due() || l.frozen && !l.stopping {
			l.still = true
			l.stills.Broadcast()
			l.wake.Wait()
		}
		l.still = false
		l.passes++
		ready, ticks, woken, stopping := l.ready, l.ticks, l.woken, l.stopping
		l.ready, l.ticks, l.woken = nil, nil, false
		for _, s := range ready {
			s.queued = false
		}
		l.mu.Unlock()

		for _, s := range ready {
			s.attend()
		}
		if woken {
			l.core.Woken()
		}
		for _, t := range ticks {
			l.core.Tick(t.now)
			t.done()
		}
		if stopping {
			l.end()
			return
		}
	}
}

// end closes what is left.
func (l *eventLoop) end() {
	l.core.CloseAll(websocket.CloseGoingAway, "going away")
	// Not until nothing wakes it: those who post tasks may never tire.
	for l.core.Unflushed() {
		l.core.Woken()
	}
	for s := range l.sockets {
		s.close()
	}
	l.core.Stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped, l.still = true, true
	l.forgetTicks()
	l.stills.Broadcast()
	for _, s := range l.ready {
		s.in.close()
		s.out.close()
	}
	l.ready = nil
}

// socket is the gateway's end of a connection. Its methods run on its loop.
type socket struct {
	loop    *eventLoop
	in, out *stream // from the client, to the client
	peer    net.Addr
	queued  bool // guarded by loop.mu

	conn *loop.Conn
	// held is what the client has no room for.
	held   []byte
	closed bool
}

// attend does what the socket needs, whatever it is.
func (s *socket) attend() {
	if s.closed {
		return
	}
	if s.conn == nil {
		s.loop.sockets[s] = struct{}{}
		s.conn = s.loop.core.Attach(s)
	}
	if len(s.held) > 0 {
		n, err := s.out.put(s.held)
		if s.held = s.held[n:]; err != nil {
			s.close()
			return
		}
		s.loop.core.Relieve()
	}
	for !s.closed {
		n, err := s.in.take(s.loop.buf)
		if n > 0 {
			s.conn.Input(s.loop.buf[:n])
		} else if err != nil {
			s.close()
		} else {
			return
		}
	}
}

// Write implements loop.Socket.
func (s *socket) Write(p []byte) (int, error) {
	if s.closed {
		return 0, io.ErrClosedPipe
	}
	n := 0
	if len(s.held) == 0 {
		var err error
		if n, err = s.out.put(p); err != nil {
			s.close()
			return 0, err
		}
	}
	s.held = append(s.held, p[n:]...)
	return len(p), nil
}

// OutboundBuffered implements loop.Socket.
func (s *socket) OutboundBuffered() int { return len(s.held) }

// RemoteAddr implements loop.Socket.
func (s *socket) RemoteAddr() net.Addr { return s.peer }

func (s *socket) close() {
	if s.closed {
		return
	}
	s.closed = true
	delete(s.loop.sockets, s)
	s.in.close()
	s.out.close()
	if s.conn != nil {
		s.conn.Closed()
	}
}

package nethttp

import (
	"net"
	"sync"
	"time"

	"github.com/sluicegate/sluice/transport/internal/loop"
	"github.com/sluicegate/sluice/transport/websocket"
)

// A reader's buffer, in bytes, is small until its client sends more than that at
// a time. A message that is larger still gathers in the decoder.
const (
	smallRead = 512
	largeRead = 8 << 10
)

// A socket is a connection with its two goroutines: one reads for as long as it
// lives, the other writes while there is something to write.
type socket struct {
	loop *eventLoop
	core *loop.Conn // guarded by loop.mu
	conn net.Conn
	addr net.Addr
	// writer is the method write, as a value so that starting a goroutine
	// allocates nothing.
	writer func()

	mu      sync.Mutex
	out     *[]byte // waits for the writer, nil if nothing does
	taken   int     // bytes that the writer has in hand
	writing bool
	closed  bool
	failed  bool // a write did; the writer sets it, and the reader looks afterwards

	writers sync.WaitGroup // none is added once closed is set
}

// Write implements loop.Socket: it leaves p to the writer. What waits when the
// writer comes leaves in one write.
func (s *socket) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, net.ErrClosed
	}
	if s.out == nil {
		s.out = s.loop.t.buffers.Get().(*[]byte)
	}
	*s.out = append(*s.out, p...)
	if !s.writing {
		s.writing = true
		s.writers.Add(1)
		go s.writer()
	}
	return len(p), nil
}

// OutboundBuffered implements loop.Socket.
func (s *socket) OutboundBuffered() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.out == nil {
		return s.taken
	}
	return len(*s.out) + s.taken
}

// RemoteAddr implements loop.Socket.
func (s *socket) RemoteAddr() net.Addr { return s.addr }

// cut ends the connection; the reader closes it, as that may take a while. TLS
// can have the reader write, so that it waits for the peer like the writer.
func (s *socket) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	_ = s.conn.SetDeadline(time.Unix(1, 0))
}

// retire leaves the writer, once nothing arrives any more, some time for what it
// has: the peer may have ended its own side only.
func (s *socket) retire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		_ = s.conn.SetWriteDeadline(time.Now().Add(s.loop.t.opts.CloseTimeout))
	}
}

// hangUp closes the connection, which has no writer. If its peer takes nothing,
// TLS must not wait to say goodbye.
func (s *socket) hangUp() {
	if c, ok := s.conn.(interface{ NetConn() net.Conn }); ok && s.failed {
		_ = c.NetConn().Close()
	}
	_ = s.conn.Close()
}

// sayGoodbye closes a connection that was upgraded just when the gateway
// stopped. It may take a while.
func (s *socket) sayGoodbye() {
	_ = s.conn.SetWriteDeadline(time.Now().Add(s.loop.t.opts.CloseTimeout))
	_, err := s.conn.Write(websocket.AppendClose(nil, websocket.CloseGoingAway, goingAway))
	s.failed = err != nil
	s.hangUp()
}

// read hands what arrives to the loop, until the connection ends.
func (s *socket) read() {
	buf := make([]byte, smallRead)
	for {
		n, err := s.conn.Read(buf)
		if n > 0 {
			s.loop.mu.Lock()
			s.core.Input(buf[:n])
			s.loop.mu.Unlock()
		}
		if n == smallRead && len(buf) == smallRead {
			buf = make([]byte, largeRead)
		}
		if err != nil {
			break
		}
	}
	s.retire()
	s.writers.Wait() // what it has written counts as written
	s.hangUp()
	s.loop.mu.Lock()
	defer s.loop.mu.Unlock()
	s.core.Closed()
}

// write writes until nothing is left, and says so.
func (s *socket) write() {
	defer s.writers.Done()
	for {
		p := s.take()
		if p == nil {
			break
		}
		_, err := s.conn.Write(*p)
		s.loop.t.recycle(p)
		if err != nil {
			s.failed = true
			s.cut() // the reader tells the loop
			return
		}
	}
	s.loop.mu.Lock()
	defer s.loop.mu.Unlock()
	s.core.Drained()
}

// take returns what waits, or nil, and then the writer is to end.
func (s *socket) take() *[]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.out
	if s.out, s.taken = nil, 0; p == nil {
		s.writing = false
		return nil
	}
	s.taken = len(*p)
	return p
}

// bufferKept is the largest write buffer that is used again, in bytes.
const bufferKept = 128 << 10

// recycle takes back a write buffer.
func (t *Transport) recycle(p *[]byte) {
	if cap(*p) <= bufferKept {
		*p = (*p)[:0]
		t.buffers.Put(p)
	}
}

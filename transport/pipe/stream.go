package pipe

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// stream is one direction of a connection: a bounded buffer.
type stream struct {
	mu      sync.Mutex
	change  sync.Cond
	buf     []byte
	limit   int
	closed  bool
	expired bool        // the client's deadline
	timer   *time.Timer // sets expired

	// onPut and onTake, if not nil, are called, without the lock, after the
	// client's end has put something in, taken something out, or closed.
	onPut, onTake func()
}

func newStream(limit int) *stream {
	s := &stream{limit: limit}
	s.change.L = &s.mu
	return s
}

// put adds what there is room for, without blocking. The gateway's end.
func (s *stream) put(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, io.ErrClosedPipe
	}
	n := min(len(p), s.limit-len(s.buf))
	s.buf = append(s.buf, p[:n]...)
	s.change.Broadcast()
	return n, nil
}

// take removes what there is, without blocking; io.EOF says that no more will
// come. The gateway's end.
func (s *stream) take(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.buf) == 0 && s.closed {
		return 0, io.EOF
	}
	n := copy(p, s.buf)
	s.buf = s.buf[n:]
	s.change.Broadcast()
	return n, nil
}

// close ends the stream; what is in it can still be taken.
func (s *stream) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.change.Broadcast()
}

// write is put that waits for room. The client's end.
func (s *stream) write(p []byte) (n int, err error) {
	for err == nil && len(p) > 0 {
		s.mu.Lock()
		for len(s.buf) >= s.limit && !s.closed && !s.expired {
			s.change.Wait()
		}
		var m int
		switch {
		case s.closed:
			err = io.ErrClosedPipe
		case s.expired:
			err = os.ErrDeadlineExceeded
		default:
			m = min(len(p), s.limit-len(s.buf))
			s.buf = append(s.buf, p[:m]...)
		}
		s.mu.Unlock()
		n, p = n+m, p[m:]
		s.onPut()
	}
	return n, err
}

// read is take that waits for something. The client's end.
func (s *stream) read(p []byte) (n int, err error) {
	s.mu.Lock()
	for len(p) > 0 && len(s.buf) == 0 && !s.closed && !s.expired {
		s.change.Wait()
	}
	switch {
	case s.expired: // as on a socket, also when there is something
		err = os.ErrDeadlineExceeded
	case len(p) == 0:
	case len(s.buf) > 0:
		n = copy(p, s.buf)
		s.buf = s.buf[n:]
	default:
		err = io.EOF
	}
	s.mu.Unlock()
	if n > 0 {
		s.onTake()
	}
	return n, err
}

// readable reports whether read would not wait, its deadline aside.
func (s *stream) readable() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.buf) > 0 || s.closed
}

func (s *stream) setDeadline(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	left := time.Until(t)
	s.expired = !t.IsZero() && left <= 0
	if left > 0 {
		var timer *time.Timer
		timer = time.AfterFunc(left, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.timer == timer { // and not one that was stopped too late
				s.expired = true
				s.change.Broadcast()
			}
		})
		s.timer = timer
	}
	s.change.Broadcast()
}

// client is the client's end of a connection. Besides what a net.Conn has, tests
// find its Readable.
type client struct {
	s      *socket
	closed atomic.Bool
}

var _ net.Conn = (*client)(nil)

// Read implements net.Conn. What the gateway sent before it closed the
// connection can be read; after Close nothing can.
func (c *client) Read(p []byte) (int, error) {
	if c.closed.Load() {
		return 0, net.ErrClosed
	}
	n, err := c.s.out.read(p)
	if errors.Is(err, io.EOF) && c.closed.Load() {
		err = net.ErrClosed
	}
	return n, err
}

// Readable reports whether Read would return something, data or the end, and
// not wait for it.
func (c *client) Readable() bool { return c.s.out.readable() }

// Write implements net.Conn.
func (c *client) Write(p []byte) (int, error) {
	n, err := c.s.in.write(p)
	if errors.Is(err, io.ErrClosedPipe) && c.closed.Load() {
		err = net.ErrClosed
	}
	return n, err
}

// Close implements net.Conn: both directions end at once.
func (c *client) Close() error {
	c.closed.Store(true)
	for _, s := range []*stream{c.s.in, c.s.out} {
		s.setDeadline(time.Time{})
		s.close()
	}
	c.s.loop.enqueue(c.s)
	return nil
}

func (c *client) LocalAddr() net.Addr  { return c.s.peer }
func (c *client) RemoteAddr() net.Addr { return addr(0) }

// SetDeadline implements net.Conn.
func (c *client) SetDeadline(t time.Time) error {
	return c.setDeadline(t, c.s.in, c.s.out)
}

// SetReadDeadline implements net.Conn.
func (c *client) SetReadDeadline(t time.Time) error { return c.setDeadline(t, c.s.out) }

// SetWriteDeadline implements net.Conn.
func (c *client) SetWriteDeadline(t time.Time) error { return c.setDeadline(t, c.s.in) }

func (c *client) setDeadline(t time.Time, streams ...*stream) error {
	if c.closed.Load() {
		return net.ErrClosed
	}
	for _, s := range streams {
		s.setDeadline(t)
	}
	return nil
}

//go:build darwin || freebsd || linux

package evio

import (
	"errors"
	"net"

	engine "github.com/tidwall/evio"
	"golang.org/x/sys/unix"

	"github.com/sluicegate/sluice/transport/internal/loop"
)

// socket is a connection of the engine's that we write to ourselves. All of it
// happens on its loop, and nothing is done to the descriptor once the engine
// has reported the connection's end: its number may be another's by then.
type socket struct {
	loop *eventLoop
	c    engine.Conn
	conn *loop.Conn
	fd   int

	cut  bool   // shut down by us, or gone
	held []byte // what the peer has no room for
	// pause grows with each look that finds no room, so that many peers that
	// do not read cost little; skip counts down the ticks until the next.
	pause, skip uint8
}

// longestPause is in ticks of ten milliseconds.
const longestPause = 15

// prepare does what the engine leaves undone. It fails only for a peer that has
// gone already, which the engine will find out.
func (s *socket) prepare() {
	unix.CloseOnExec(s.fd)
	_ = unix.SetsockoptInt(s.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
}

// Write implements loop.Socket.
func (s *socket) Write(p []byte) (int, error) {
	if s.cut {
		return 0, net.ErrClosed
	}
	if len(s.held) > 0 {
		s.held = append(s.held, p...)
		return len(p), nil
	}
	n, err := s.send(p)
	if err != nil {
		return n, err
	}
	if n < len(p) {
		s.held = append(s.held, p[n:]...)
		s.pause, s.skip = 0, 0
		s.loop.hold(s)
	}
	return len(p), nil
}

// send writes what the peer has room for.
func (s *socket) send(p []byte) (n int, err error) {
	for n < len(p) {
		m, err := unix.Write(s.fd, p[n:])
		switch {
		case err == nil:
			n += m
		case errors.Is(err, unix.EAGAIN):
			return n, nil
		case !errors.Is(err, unix.EINTR):
			return n, err
		}
	}
	return n, nil
}

// sendHeld sends on what is held. It reports whether it has to be called again.
func (s *socket) sendHeld() bool {
	if s.cut {
		return false
	}
	if s.skip > 0 {
		s.skip--
		return true
	}
	n, err := s.send(s.held)
	if err != nil {
		s.shutDown() // what is held stays, so that it does not pass for sent
		return false
	}
	if n == len(s.held) {
		s.held = nil
		return false
	}
	s.held = s.held[n:]
	if s.pause = min(2*s.pause+1, longestPause); n > 0 {
		s.pause = 0
	}
	s.skip = s.pause
	return true
}

// close tries to send what is held, and has the engine find the connection
// ended.
func (s *socket) close() {
	if s.cut {
		return
	}
	_, _ = s.send(s.held)
	s.shutDown()
}

// shutDown ends both directions, which the engine notices however little room
// the peer has: it reads to the end, and then closes the descriptor.
func (s *socket) shutDown() {
	s.cut = true
	_ = unix.Shutdown(s.fd, unix.SHUT_RDWR)
}

// closed is called when the engine has closed the descriptor.
func (s *socket) closed() {
	s.cut = true
	s.conn.Closed()
	s.held = nil
}

// Fd implements loop.Descriptor.
func (s *socket) Fd() int { return s.fd }

// OutboundBuffered implements loop.Socket.
func (s *socket) OutboundBuffered() int { return len(s.held) }

// RemoteAddr implements loop.Socket.
func (s *socket) RemoteAddr() net.Addr { return s.c.RemoteAddr() }

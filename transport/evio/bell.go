//go:build darwin || freebsd || linux

package evio

import (
	"errors"
	"fmt"
	"net"
	"time"

	engine "github.com/tidwall/evio"
)

// Each loop has a bell: a connection from this process to itself, whose other
// end is one of the loop's connections. A byte on it is an event like any
// other: it cannot be lost, comes in turn with those of the clients, and comes
// on loops without clients too. The engine has a way of its own to wake a loop,
// but forgets a wake that is given while it handles another.

// patience is how long the bells may take to be hung, as a rule a fraction of a
// millisecond.
const patience = 5 * time.Second

// loopback returns an address on which this process can reach itself and no
// other host can.
func loopback() (addr string, err error) {
	for _, addr = range []string{"127.0.0.1:0", "[::1]:0"} {
		failed := reach(addr)
		if failed == nil {
			return addr, nil
		}
		err = errors.Join(err, failed)
	}
	return "", fmt.Errorf("no way to reach the event loops: %w", err)
}

func reach(addr string) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	defer ln.Close()
	c, err := net.DialTimeout("tcp", ln.Addr().String(), patience)
	if err != nil {
		return err
	}
	return c.Close()
}

// A visitor is a connection that has come where only bells should. Its loop
// waits for the answer.
type visitor struct {
	loop   *eventLoop
	from   string
	answer chan bool // whether it is a bell
}

// visit asks whether c is the bell of its loop l.
func (s *server) visit(c engine.Conn, l *eventLoop) bool {
	v := &visitor{loop: l, from: c.RemoteAddr().String(), answer: make(chan bool, 1)}
	select {
	case s.visitors <- v:
		return <-v.answer
	case <-s.hung:
		return false
	}
}

// hangBells gives each loop its bell. A loop that has one has to wait until all
// have: then the next connection can only go to one that has none.
func (s *server) hangBells(addr net.Addr, ended <-chan struct{}) error {
	var waiting []*visitor
	defer func() {
		close(s.hung)
		for _, v := range waiting {
			v.answer <- true
		}
	}()
	deadline := time.Now().Add(patience)
	for len(waiting) < len(s.loops) {
		v, err := s.hangBell(addr, ended)
		if v != nil {
			waiting = append(waiting, v)
			continue
		}
		if len(waiting) > 0 && time.Now().After(deadline) {
			// Without any bell the engine could not be ended.
			return fmt.Errorf("evio: an event loop cannot be reached: %w", err)
		}
		s.opts.Logger.Warn("loop unreachable", "error", err)
		select {
		case <-ended:
			return errEnded
		case <-time.After(patience / 10):
		}
	}
	return nil
}

var (
	errEnded    = errors.New("evio: the engine has stopped when it had hardly begun")
	errNoAnswer = errors.New("no loop accepts connections")
)

// hangBell makes one connection and gives it to the loop that it comes to.
func (s *server) hangBell(addr net.Addr, ended <-chan struct{}) (*visitor, error) {
	c, err := net.DialTimeout("tcp", addr.String(), patience/5)
	if err != nil {
		return nil, err
	}
	timeout := time.NewTimer(patience / 5)
	defer timeout.Stop()
	for {
		select {
		case v := <-s.visitors:
			if v.from == c.LocalAddr().String() {
				v.loop.hang(c.(*net.TCPConn))
				return v, nil
			}
			v.answer <- false // a stranger
			continue
		case <-timeout.C:
			err = errNoAnswer
		case <-ended:
			err = errEnded
		}
		_ = c.Close()
		return nil, err
	}
}

// hang makes c the loop's bell, and rings it: for who wanted to before.
func (l *eventLoop) hang(c *net.TCPConn) {
	l.bell.Store(c)
	_, _ = c.Write(l.note[:])
}

func (l *eventLoop) unhang() {
	if b := l.bell.Load(); b != nil {
		_ = b.Close()
	}
}

// ring has answer called soon. At most a few bytes are ever on their way, so
// this does not block; when the engine has ended, nothing comes of it.
func (l *eventLoop) ring() {
	if l.rung.Swap(true) {
		return
	}
	if b := l.bell.Load(); b != nil {
		_, _ = b.Write(l.note[:])
	}
}

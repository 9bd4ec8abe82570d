//go:build darwin || freebsd || linux

package evio_test

import (
	"context"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/evio"
	"github.com/sluicegate/sluice/transport/internal/enginetest"
)

// private is where the bells are, which no client knows.
func private(s *enginetest.Server) string {
	s.T.Helper()
	var at string
	find(s.T, func(fd int) bool {
		if on, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err != nil || on == 0 {
			return false
		}
		if a := peer(unix.Getsockname(fd)); a != "" && a != s.Addr {
			at = a
		}
		return at != ""
	})
	if at == "" {
		s.T.Fatal("no private listener")
	}
	return at
}

// Strangers that find the private listener are sent away.
func TestStrangersAtTheBells(t *testing.T) {
	s := engine().Start(t, new(enginetest.Echo), enginetest.Options(), 2)
	at := private(s)
	for range 20 {
		c, err := net.Dial("tcp", at)
		must(t, err)
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		if n, err := io.Copy(io.Discard, c); n != 0 {
			t.Errorf("a stranger was sent %d bytes, %v", n, err)
		}
		_ = c.Close()
	}
	must(t, enginetest.RoundTrip(s.Dial(), "unharmed"))
}

// A loop that cannot be reached any more would keep its clients waiting: the
// engine ends, and Serve says so.
func TestLostBell(t *testing.T) {
	s := engine().Start(t, new(enginetest.Echo), enginetest.Options(), 2)
	must(t, enginetest.RoundTrip(s.Dial(), "well"))
	at := private(s)
	fd := find(t, func(fd int) bool { return peer(unix.Getpeername(fd)) == at })
	if fd < 0 {
		t.Fatal("no bell")
	}
	must(t, unix.Shutdown(fd, unix.SHUT_RDWR))
	select {
	case err := <-s.Done:
		if err == nil || !strings.Contains(err.Error(), "stopped by itself") {
			t.Errorf("Serve: %v", err)
		}
		s.Done <- nil
	case <-time.After(10 * time.Second):
		t.Fatal("Serve goes on")
	}
}

// A wake that is given at the worst moment is not lost: when the loop handles
// another, from its own thread of control or from elsewhere.
func TestNoWakeIsLost(t *testing.T) {
	e := new(enginetest.Echo)
	opened := make(chan transport.Conn, 1)
	e.OnOpen = func(c transport.Conn) { opened <- c }
	s := engine().Start(t, e, enginetest.Options(), 1)
	s.Dial()
	l := (<-opened).Loop()
	var waited []time.Duration
	for range 3000 {
		ran := make(chan struct{})
		begun := time.Now()
		must(t, l.Post(enginetest.Task(func() { close(ran) })))
		<-ran
		waited = append(waited, time.Since(begun))
	}
	slices.Sort(waited)
	// A lost wake waits for the next tick.
	if late := waited[len(waited)*99/100]; late > 50*time.Millisecond {
		t.Errorf("one in a hundred tasks waits for %v and more", late)
	}
}

// Many loops have one bell each and share the clients.
func TestManyLoops(t *testing.T) {
	const loops = 8
	e := new(enginetest.Echo)
	on := make(chan int, 1000)
	e.OnOpen = func(c transport.Conn) { on <- c.Loop().Index() }
	s := engine().Start(t, e, enginetest.Options(), loops)
	used := make(map[int]int)
	for range 200 {
		must(t, enginetest.RoundTrip(s.Dial(), "hello"))
		used[<-on]++
	}
	if len(used) < 2 {
		t.Errorf("clients by loop: %v", used)
	}
}

// Clients that reset their connections before they are accepted.
func TestResets(t *testing.T) {
	s := engine().Start(t, new(enginetest.Echo), enginetest.Options(), 2)
	for range 500 {
		c, err := net.Dial("tcp", s.Addr)
		must(t, err)
		_ = c.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
	}
	must(t, enginetest.RoundTrip(s.Dial(), "unharmed"))
}

// Several engines in one process know their own.
func TestSideBySide(t *testing.T) {
	var all []*enginetest.Server
	for range 3 {
		all = append(all, engine().Start(t, new(enginetest.Echo), enginetest.Options(), 2))
	}
	for _, s := range all {
		must(t, enginetest.RoundTrip(s.Dial(), "hello"))
		s.Stop()
	}
}

// An address that would be options to the engine is none.
func TestOddAddresses(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0?reuseport=1", "udp://127.0.0.1:0", "tcp-net://127.0.0.1:0"} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		if err := evio.Listen(addr).Serve(ctx, enginetest.Options(), new(enginetest.Echo)); err == nil {
			t.Errorf("%q is an address", addr)
		}
		cancel()
	}
}

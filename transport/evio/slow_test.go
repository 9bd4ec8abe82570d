//go:build darwin || freebsd || linux

package evio_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"golang.org/x/sys/unix"

	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/internal/enginetest"
)

// narrow connects a client with buffers as small as the kernel makes them, on
// both sides.
func narrow(s *enginetest.Server) *websocket.Conn {
	s.T.Helper()
	small := net.Dialer{Control: func(_, _ string, rc syscall.RawConn) error {
		return rc.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 1) })
	}}
	d := websocket.Dialer{
		HandshakeTimeout: 5 * time.Second,
		NetDialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return small.DialContext(ctx, network, addr)
		},
	}
	c, _, err := d.Dial("ws://"+s.Addr+"/ws", nil)
	if err != nil {
		s.T.Fatal(err)
	}
	s.Clients = append(s.Clients, c)
	_ = c.SetReadDeadline(time.Now().Add(60 * time.Second))
	fd := serverSide(s.T, c.NetConn())
	if fd < 0 {
		s.T.Fatal("the server's end is not among the descriptors")
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 1); err != nil {
		s.T.Fatal(err)
	}
	return c
}

// serverSide finds the server's descriptor of a client's connection, or -1.
func serverSide(t testing.TB, client net.Conn) int {
	return find(t, func(fd int) bool { return peer(unix.Getpeername(fd)) == client.LocalAddr().String() })
}

// find returns a descriptor of this process that fits, or -1.
func find(t testing.TB, fits func(fd int) bool) int {
	for name := range enginetest.Descriptors(t) {
		if fd, err := strconv.Atoi(name); err == nil && fits(fd) {
			return fd
		}
	}
	return -1
}

func peer(sa unix.Sockaddr, err error) string {
	if a, ok := sa.(*unix.SockaddrInet4); ok && err == nil {
		return net.JoinHostPort(net.IP(a.Addr[:]).String(), strconv.Itoa(a.Port))
	}
	return ""
}

// text is message n of a writer: every byte tells where it belongs.
func text(writer, n, size int) string {
	unit := fmt.Sprintf("<%d:%d>", writer, n)
	return unit + strings.Repeat(unit, size/len(unit))
}

// Frames of all sizes from many writers to a client that reads slowly, with a
// socket that has never room for one: they arrive whole and in each writer's
// order.
func TestSlowReader(t *testing.T) {
	const writers, each = 8, 60
	e := new(enginetest.Echo)
	opened := make(chan transport.Conn, 1)
	e.OnOpen = func(c transport.Conn) { opened <- c }
	o := enginetest.Options()
	o.WriteLimit = 64 << 20
	s := engine().Start(t, e, o, 1)
	c := narrow(s)
	conn := <-opened
	sizes := func(w int) *rand.Rand { return rand.New(rand.NewPCG(1, uint64(w))) }
	size := func(r *rand.Rand) int { return r.IntN(1 << r.IntN(16)) }

	var posting sync.WaitGroup
	for w := range writers {
		posting.Go(func() {
			r := sizes(w)
			for n := range each {
				m := text(w, n, size(r))
				if err := conn.Loop().PostAlways(enginetest.Task(func() { e.Send(conn, m) })); err != nil {
					t.Error(err)
				}
			}
		})
	}
	defer posting.Wait()
	var expect [writers]*rand.Rand
	var next [writers]int
	for w := range writers {
		expect[w] = sizes(w)
	}
	for i := range writers * each {
		if i < 100 {
			time.Sleep(time.Millisecond) // a slow reader is what this is about
		}
		_, got, err := c.ReadMessage()
		if err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		var w, n int
		if _, err := fmt.Sscanf(string(got), "<%d:%d>", &w, &n); err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		if n != next[w] {
			t.Fatalf("writer %d's message %d came where %d was due", w, n, next[w])
		}
		next[w]++
		if want := text(w, n, size(expect[w])); string(got) != want {
			t.Fatalf("writer %d's message %d was spoilt: %d bytes, want %d", w, n, len(got), len(want))
		}
	}
}

// stall sends c more than it has room for, and returns when the loop is through
// with it.
func stall(s *enginetest.Server, conn transport.Conn, messages int) {
	s.T.Helper()
	done := make(chan struct{})
	big := strings.Repeat("x", 64<<10)
	must(s.T, conn.Loop().Post(enginetest.Task(func() {
		for range messages {
			s.Handler.Send(conn, big)
		}
	})))
	must(s.T, conn.Loop().Post(enginetest.Task(func() { close(done) })))
	<-done
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// processTime is what the process has had of the processors.
func processTime(t testing.TB) time.Duration {
	var u unix.Rusage
	must(t, unix.Getrusage(unix.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Whatever a client leaves undone, it keeps no loop busy.
func TestIdleClientsCostNothing(t *testing.T) {
	for name, behave := range map[string]func(s *enginetest.Server, conn transport.Conn, c *websocket.Conn){
		"open": func(*enginetest.Server, transport.Conn, *websocket.Conn) {},
		"does not read": func(s *enginetest.Server, conn transport.Conn, _ *websocket.Conn) {
			stall(s, conn, 10)
		},
		"sends and does not read": func(s *enginetest.Server, conn transport.Conn, c *websocket.Conn) {
			stall(s, conn, 10)
			for range 100 {
				must(s.T, c.WriteMessage(websocket.TextMessage, []byte("more")))
			}
		},
		"has sent its end": func(s *enginetest.Server, conn transport.Conn, c *websocket.Conn) {
			stall(s, conn, 10)
			must(s.T, c.NetConn().(*net.TCPConn).CloseWrite())
		},
		"an urgent byte": func(s *enginetest.Server, _ transport.Conn, c *websocket.Conn) {
			rc, err := c.NetConn().(*net.TCPConn).SyscallConn()
			must(s.T, err)
			must(s.T, rc.Control(func(fd uintptr) { _ = unix.Sendto(int(fd), []byte{0}, unix.MSG_OOB, nil) }))
		},
		"half a frame": func(s *enginetest.Server, _ transport.Conn, c *websocket.Conn) {
			_, err := c.NetConn().Write([]byte{0x82, 0xfe})
			must(s.T, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := new(enginetest.Echo)
			opened := make(chan transport.Conn, 1)
			e.OnOpen = func(c transport.Conn) { opened <- c }
			s := engine().Start(t, e, enginetest.Options(), 2)
			c := narrow(s)
			behave(s, <-opened, c)
			const long = 300 * time.Millisecond
			before := processTime(t)
			time.Sleep(long)
			if cost := processTime(t) - before; cost > long/3 {
				t.Errorf("%v of processor time in %v", cost, long)
			}
		})
	}
}

// A close is carried out in its time whether the client reads, sends, both or
// neither.
func TestCloseReachesEveryClient(t *testing.T) {
	quiet := func(*websocket.Conn) {}
	flood := func(c *websocket.Conn) {
		raw := c.NetConn()
		_ = raw.SetWriteDeadline(time.Now().Add(20 * time.Second))
		frame := append([]byte{0x82, 0xfe, 0x10, 0x00, 0, 0, 0, 0}, make([]byte, 4096)...)
		for {
			if _, err := raw.Write(bytes.Repeat(frame, 16)); err != nil {
				return
			}
		}
	}
	for name, c := range map[string]struct {
		client   func(*websocket.Conn)
		messages int // the client does not read
		limit    int
	}{
		"does not answer":         {quiet, 0, 64 << 20},
		"does not read":           {quiet, 20, 64 << 20},
		"is too slow":             {quiet, 40, 1 << 20},
		"sends without end":       {flood, 0, 64 << 20},
		"sends and does not read": {flood, 20, 64 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			e := new(enginetest.Echo)
			opened := make(chan transport.Conn, 2)
			closed := make(chan struct{}, 2)
			e.OnOpen = func(c transport.Conn) { opened <- c }
			e.OnClose = func(transport.Conn, transport.CloseCause) { closed <- struct{}{} }
			e.OnMessage = func(c transport.Conn, _ string) {}
			o := enginetest.Options()
			o.WriteLimit, o.MaxMessage = c.limit, 1<<20
			s := engine().Start(t, e, o, 1)
			client := narrow(s)
			conn := <-opened
			var sending sync.WaitGroup
			sending.Go(func() { c.client(client) })
			if c.messages > 0 {
				stall(s, conn, c.messages)
			}
			begun := time.Now()
			must(t, conn.Loop().Post(enginetest.Task(func() { conn.Close(4000, "enough") })))
			<-closed
			enginetest.Eventually(t, "the server's end is closed", func() bool { return serverSide(t, client.NetConn()) < 0 })
			if took := time.Since(begun); took > o.CloseTimeout+time.Second {
				t.Errorf("took %v", took)
			}
			_ = client.NetConn().SetReadDeadline(time.Now().Add(20 * time.Second))
			if _, err := io.Copy(io.Discard, client.NetConn()); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the client does not see the end")
			}
			_ = client.Close()
			sending.Wait()
			must(t, enginetest.RoundTrip(s.Dial(), "unharmed"))
		})
	}
}

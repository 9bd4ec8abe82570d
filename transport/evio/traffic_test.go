//go:build darwin || freebsd || linux

package evio_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"golang.org/x/sys/unix"

	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/evio"
)

// A panic costs the connection that it happened on.
func TestPanics(t *testing.T) {
	boom := func() { panic("boom") }
	open := func(s *server) (*websocket.Conn, int) {
		c, r, err := websocket.DefaultDialer.Dial("ws://"+s.addr+"/ws?bad", nil)
		if err != nil {
			if r == nil {
				return nil, 0
			}
			return nil, r.StatusCode
		}
		s.t.Cleanup(func() { _ = c.Close() })
		return c, r.StatusCode
	}
	var bad atomic.Pointer[transport.Conn]
	is := func(c transport.Conn) bool { b := bad.Load(); return b != nil && *b == c }
	for name, c := range map[string]struct {
		set    func(e *echo)
		act    func(c *websocket.Conn) error
		status int
		code   int
	}{
		"Handshake": {func(e *echo) {
			e.onHandshake = func(hs transport.Handshake) bool {
				if hs.Request().URL.RawQuery == "bad" {
					boom()
				}
				return false
			}
		}, nil, http.StatusInternalServerError, 0},
		"Open": {func(e *echo) {
			n := 0
			e.onOpen = func(transport.Conn) {
				if n++; n == 2 {
					boom()
				}
			}
		}, nil, http.StatusSwitchingProtocols, 1011},
		"Message": {func(e *echo) {
			e.onMessage = func(_ transport.Conn, s string) {
				if s == "bad" {
					boom()
				}
			}
		}, func(c *websocket.Conn) error { return c.WriteMessage(websocket.TextMessage, []byte("bad")) }, 101, 1011},
		"Ping": {func(e *echo) { e.onPing = func(transport.Conn) { boom() } },
			func(c *websocket.Conn) error { return c.WriteMessage(websocket.PingMessage, nil) }, 101, 1011},
		"Close": {func(e *echo) {
			e.onClose = func(c transport.Conn, _ transport.CloseCause) {
				if is(c) {
					boom()
				}
			}
		}, func(c *websocket.Conn) error {
			return c.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(4000, ""))
		}, 101, 4000},
	} {
		t.Run(name, func(t *testing.T) {
			e := new(echo)
			c.set(e)
			s := start(t, e, options(), evio.Loops(1))
			good := s.dial()
			b, status := open(s)
			if status != c.status {
				t.Errorf("status %d", status)
			}
			if b != nil && c.act != nil {
				if err := c.act(b); err != nil {
					t.Error(err)
				}
			}
			if b != nil {
				_ = b.SetReadDeadline(time.Now().Add(10 * time.Second))
				if _, _, err := b.ReadMessage(); !websocket.IsCloseError(err, c.code) {
					t.Errorf("the client saw %v", err)
				}
			}
			if err := roundTrip(good, "unharmed"); err != nil {
				t.Error(err)
			}
			if err := roundTrip(s.dial(), "and the next"); err != nil {
				t.Error(err)
			}
		})
	}
}

// flood is a task that posts itself again whenever it runs.
type flood struct {
	l     transport.Loop
	runs  atomic.Int64
	over  atomic.Bool
	ended chan struct{}
}

func (f *flood) Run(int) (int, bool) {
	f.runs.Add(1)
	if f.over.Load() || f.l.PostAlways(f) != nil {
		close(f.ended)
	}
	return 1, true
}
func (f *flood) Weight() (int, int) { return 100, 1 }
func (f *flood) Drop()              { close(f.ended) }

// However much work a loop has, it reads between its drains.
func TestReadingGoesOnUnderAFloodOfTasks(t *testing.T) {
	e := new(echo)
	opened := make(chan transport.Conn, 10)
	e.onOpen = func(c transport.Conn) { opened <- c }
	s := start(t, e, options(), evio.Loops(1))
	c := s.dial()
	f := &flood{l: (<-opened).Loop(), ended: make(chan struct{})}
	if err := f.l.Post(f); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the flood runs", func() bool { return f.runs.Load() > 1000 })
	for range 20 {
		if err := roundTrip(c, "are you there?"); err != nil {
			t.Fatalf("during a flood of tasks: %v", err)
		}
	}
	if err := roundTrip(s.dial(), "and for others?"); err != nil {
		t.Error(err)
	}
	runs := f.runs.Load()
	eventually(t, "the flood goes on", func() bool { return f.runs.Load() > runs })
	f.over.Store(true)
	<-f.ended
}

// Posts from many goroutines, clients that leave in the middle of it, small
// and large frames: every message is accounted for, and those that stay get
// all of theirs in order.
func TestTraffic(t *testing.T) {
	e := new(echo)
	opened := make(chan transport.Conn, 100)
	e.onOpen = func(c transport.Conn) { opened <- c }
	o := options()
	o.WriteLimit = 64 << 20
	s := start(t, e, o, evio.Loops(2))
	const stay, leave, messages = 6, 10, 300
	var clients sync.WaitGroup
	var conns []transport.Conn
	for i := range stay + leave {
		c := s.dial()
		conns = append(conns, <-opened)
		clients.Go(func() {
			for n := range messages {
				if i >= stay && n == 10*i {
					_ = c.NetConn().Close()
					return
				}
				_, got, err := c.ReadMessage()
				if err != nil {
					t.Errorf("client %d, message %d: %v", i, n, err)
					return
				}
				if want := byte('a' + n%26); got[0] != want || got[len(got)-1] != want {
					t.Errorf("client %d: %q where %q was due", i, got[0], want)
					return
				}
			}
		})
	}
	var posters sync.WaitGroup
	for _, c := range conns {
		posters.Go(func() {
			for n := range messages {
				size := 1 + n%7*n*20
				if err := c.Loop().PostAlways(&one{f: func() { e.send(c, strings.Repeat(string(rune('a'+n%26)), size)) }}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	posters.Wait()
	clients.Wait()
	s.stop()
}

type one struct{ f func() }

func (o *one) Run(int) (int, bool) { o.f(); return 1, true }
func (o *one) Weight() (int, int)  { return 1, 100 }
func (o *one) Drop()               {}

func TestRefusal(t *testing.T) {
	e := new(echo)
	e.onHandshake = func(hs transport.Handshake) bool {
		go hs.Refuse(http.StatusTooManyRequests, http.Header{"Retry-After": {"7"}}, "slow down")
		return true
	}
	s := start(t, e, options(), evio.Loops(1))
	_, r, err := websocket.DefaultDialer.Dial("ws://"+s.addr+"/ws", nil)
	if !errors.Is(err, websocket.ErrBadHandshake) {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(r.Body)
	if r.StatusCode != 429 || r.Header.Get("Retry-After") != "7" || strings.TrimSpace(string(body)) != "slow down" {
		t.Errorf("%d %v %q", r.StatusCode, r.Header, body)
	}
	// A peer that goes on sending after it was refused still sees the answer.
	c := s.raw()
	if _, err := c.Write([]byte("GET /no HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: y\r\n", 5000))); err != nil {
		t.Error(err)
	}
	line := make([]byte, 12)
	if _, err := io.ReadFull(c, line); err != nil || string(line) != "HTTP/1.1 431" {
		t.Errorf("%q, %v", line, err)
	}
}

func TestTimeouts(t *testing.T) {
	e := new(echo)
	o := options()
	o.HandshakeTimeout, o.IdleTimeout = 500*time.Millisecond, 500*time.Millisecond
	s := start(t, e, o, evio.Loops(1))
	begun := time.Now()
	head := s.raw()
	idle, silent := s.dial(), s.dial()
	if _, _, err := idle.ReadMessage(); !websocket.IsCloseError(err, 1001) {
		t.Errorf("an idle client saw %v", err)
	}
	if passed := time.Since(begun); passed < 350*time.Millisecond {
		t.Errorf("idle for %v only", passed)
	}
	line := make([]byte, 12)
	if _, err := io.ReadFull(head, line); err != nil || string(line) != "HTTP/1.1 408" {
		t.Errorf("%q, %v", line, err)
	}
	if _, err := io.Copy(io.Discard, head); err != nil {
		t.Error(err)
	}
	// One that never answers the close is cut off.
	if _, err := io.Copy(io.Discard, silent.NetConn()); err != nil {
		t.Error(err)
	}
	if passed := time.Since(begun); passed > 5*time.Second {
		t.Errorf("all of it took %v", passed)
	}
}

// The engine leaves these to us.
func TestSocketOptions(t *testing.T) {
	s := start(t, new(echo), options(), evio.Loops(1))
	c := s.dial()
	must(t, roundTrip(c, "hello"))
	fd := serverSide(t, c.NetConn())
	if on, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY); err != nil || on == 0 {
		t.Errorf("Nagle's delay is %d, %v", on, err)
	}
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("other programs inherit the socket: %#x, %v", flags, err)
	}
}

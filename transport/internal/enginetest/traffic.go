//go:build unix

package enginetest

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

	"github.com/sluicegate/sluice/transport"
)

// A panic costs the connection that it happened on.
func (k Engine) testPanics(t *testing.T) {
	boom := func() { panic("boom") }
	open := func(s *Server) (*websocket.Conn, int) {
		c, r, err := websocket.DefaultDialer.Dial("ws://"+s.Addr+"/ws?bad", nil) //nolint:bodyclose // it has been read
		if err != nil {
			if r == nil {
				return nil, 0
			}
			return nil, r.StatusCode
		}
		s.T.Cleanup(func() { _ = c.Close() })
		return c, r.StatusCode
	}
	var bad atomic.Pointer[transport.Conn]
	is := func(c transport.Conn) bool { b := bad.Load(); return b != nil && *b == c }
	for name, c := range map[string]struct {
		set    func(e *Echo)
		act    func(c *websocket.Conn) error
		status int
		code   int
	}{
		"Handshake": {func(e *Echo) {
			e.OnHandshake = func(hs transport.Handshake) bool {
				if hs.Request().URL.RawQuery == "bad" {
					boom()
				}
				return false
			}
		}, nil, http.StatusInternalServerError, 0},
		"Open": {func(e *Echo) {
			n := 0
			e.OnOpen = func(transport.Conn) {
				if n++; n == 2 {
					boom()
				}
			}
		}, nil, http.StatusSwitchingProtocols, 1011},
		"Message": {func(e *Echo) {
			e.OnMessage = func(_ transport.Conn, s string) {
				if s == "bad" {
					boom()
				}
			}
		}, func(c *websocket.Conn) error { return c.WriteMessage(websocket.TextMessage, []byte("bad")) }, 101, 1011},
		"Ping": {func(e *Echo) { e.OnPing = func(transport.Conn) { boom() } },
			func(c *websocket.Conn) error { return c.WriteMessage(websocket.PingMessage, nil) }, 101, 1011},
		"Close": {func(e *Echo) {
			e.OnClose = func(c transport.Conn, _ transport.CloseCause) {
				if is(c) {
					boom()
				}
			}
		}, func(c *websocket.Conn) error {
			return c.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(4000, ""))
		}, 101, 4000},
	} {
		t.Run(name, func(t *testing.T) {
			e := new(Echo)
			c.set(e)
			s := k.Start(t, e, Options(), 1)
			good := s.Dial()
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
			if err := RoundTrip(good, "unharmed"); err != nil {
				t.Error(err)
			}
			if err := RoundTrip(s.Dial(), "and the next"); err != nil {
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
func (k Engine) testReadingGoesOnUnderAFloodOfTasks(t *testing.T) {
	e := new(Echo)
	opened := make(chan transport.Conn, 10)
	e.OnOpen = func(c transport.Conn) { opened <- c }
	s := k.Start(t, e, Options(), 1)
	c := s.Dial()
	f := &flood{l: (<-opened).Loop(), ended: make(chan struct{})}
	if err := f.l.Post(f); err != nil {
		t.Fatal(err)
	}
	Eventually(t, "the flood runs", func() bool { return f.runs.Load() > 1000 })
	for range 20 {
		if err := RoundTrip(c, "are you there?"); err != nil {
			t.Fatalf("during a flood of tasks: %v", err)
		}
	}
	if err := RoundTrip(s.Dial(), "and for others?"); err != nil {
		t.Error(err)
	}
	runs := f.runs.Load()
	Eventually(t, "the flood goes on", func() bool { return f.runs.Load() > runs })
	f.over.Store(true)
	<-f.ended
}

// Posts from many goroutines, clients that leave in the middle of it, small
// and large frames: every message is accounted for, and those that stay get
// all of theirs in order.
func (k Engine) testTraffic(t *testing.T) {
	e := new(Echo)
	opened := make(chan transport.Conn, 100)
	e.OnOpen = func(c transport.Conn) { opened <- c }
	o := Options()
	o.WriteLimit = 64 << 20
	s := k.Start(t, e, o, 2)
	const stay, leave, messages = 6, 10, 300
	var clients sync.WaitGroup
	var conns []transport.Conn
	for i := range stay + leave {
		c := s.Dial()
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
				if err := c.Loop().PostAlways(Task(func() { e.Send(c, strings.Repeat(string(rune('a'+n%26)), size)) })); err != nil {
					t.Error(err)
				}
			}
		})
	}
	posters.Wait()
	clients.Wait()
	s.Stop()
}

// A Task is one call of a function on a loop.
type Task func()

// Run implements transport.Task.
func (f Task) Run(int) (steps int, done bool) { f(); return 1, true }

// Weight implements transport.Task.
func (f Task) Weight() (recipients, bytes int) { return 1, 100 }

// Drop implements transport.Task.
func (f Task) Drop() {}

func (k Engine) testRefusal(t *testing.T) {
	e := new(Echo)
	e.OnHandshake = func(hs transport.Handshake) bool {
		go hs.Refuse(http.StatusTooManyRequests, http.Header{"Retry-After": {"7"}}, "slow down")
		return true
	}
	s := k.Start(t, e, Options(), 1)
	_, r, err := websocket.DefaultDialer.Dial("ws://"+s.Addr+"/ws", nil) //nolint:bodyclose // it has been read
	if !errors.Is(err, websocket.ErrBadHandshake) {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(r.Body)
	if r.StatusCode != 429 || r.Header.Get("Retry-After") != "7" || strings.TrimSpace(string(body)) != "slow down" {
		t.Errorf("%d %v %q", r.StatusCode, r.Header, body)
	}
	// A peer that goes on sending after it was refused still sees the answer.
	c := s.Raw()
	if _, err := c.Write([]byte("GET /no HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: y\r\n", 5000))); err != nil {
		t.Error(err)
	}
	line := make([]byte, 12)
	if _, err := io.ReadFull(c, line); err != nil || string(line) != "HTTP/1.1 431" {
		t.Errorf("%q, %v", line, err)
	}
}

func (k Engine) testTimeouts(t *testing.T) {
	e := new(Echo)
	o := Options()
	o.HandshakeTimeout, o.IdleTimeout = 500*time.Millisecond, 500*time.Millisecond
	s := k.Start(t, e, o, 1)
	begun := time.Now()
	head := s.Raw()
	idle, silent := s.Dial(), s.Dial()
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

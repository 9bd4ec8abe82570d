package loop

import (
	"bytes"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicegate/sluice/transport"
)

func status(s *fakeSocket) string {
	line, _, _ := strings.Cut(string(s.got), "\r\n")
	line, _ = strings.CutPrefix(line, "HTTP/1.1 ")
	return line[:min(3, len(line))]
}

func TestHead(t *testing.T) {
	long := "X-Long: " + strings.Repeat("x", 2000) + "\r\n"
	for name, c := range map[string]struct {
		send, status string
		asked        bool
	}{
		"good":           {request("/ws"), "101", true},
		"other path":     {request("/other"), "404", false},
		"not http":       {"hello\r\n\r\n", "400", false},
		"not an upgrade": {"GET /ws HTTP/1.1\r\nHost: a\r\n\r\n", "400", false},
		"post":           {"POST" + request("/ws")[3:], "405", false},
		"too long":       {request("/ws", long), "431", false},
		"endless":        {strings.Repeat("x", 5000), "431", false},
		"other origin":   {request("/ws", "Origin: http://evil.example\r\n"), "403", false},
	} {
		for _, piece := range []int{1 << 20, 1, 7, 1000} {
			k := newKit(t)
			s := k.attach()
			for rest := []byte(c.send); len(rest) > 0; {
				n := min(piece, len(rest))
				s.conn.Input(append([]byte(nil), rest[:n]...))
				rest = rest[n:]
			}
			k.settle()
			if got := status(s); got != c.status {
				t.Errorf("%s in pieces of %d: status %s, want %s", name, piece, got, c.status)
			}
			want(t, name+": asked", len(k.h.handshakes) == 1, c.asked)
			if c.status != "101" {
				want(t, name+": closed at once", s.closed, false)
				k.advance(k.opts.CloseTimeout + tick)
				want(t, name+": closed in the end", s.closed, true)
			}
			if n := cap(s.conn.head0()); n > 4*k.opts.MaxHeader {
				t.Errorf("%s: %d bytes kept", name, n)
			}
		}
	}
}

// head0 is what a handshake that is under way holds.
func (c *Conn) head0() []byte {
	if hs, ok := c.value.(*handshake); ok {
		return hs.buf
	}
	return nil
}

// The limit is on the head; what follows it in the same packet is not counted.
func TestDataBehindTheHead(t *testing.T) {
	for name, later := range map[string]bool{"accepted at once": false, "accepted later": true} {
		for _, piece := range []int{1 << 20, 1, 150} {
			k := newKit(t)
			k.h.hold = later
			s := k.attach()
			send := append([]byte(request("/ws")), clientFrame(1, "first")...)
			send = append(send, clientFrame(1, "second")...)
			send = append(send, clientClose(1000, "done")...)
			for len(send) > 0 {
				n := min(piece, len(send))
				s.conn.Input(append([]byte(nil), send[:n]...))
				send = send[n:]
			}
			if later {
				k.h.handshakes[0].Accept(1, nil)
				k.settle()
			}
			a := k.h.of(1)
			want(t, name+": messages", strings.Join(a.messages, ","), "first,second")
			want(t, name+": cause", a.cause, transport.CloseCause{Code: 1000, Reason: "done", Remote: true})
			want(t, name+": socket closed", s.closed, true)
		}
	}
}

func TestTooMuchBeforeTheAnswer(t *testing.T) {
	k := newKit(t)
	k.h.hold = true
	s := k.attach()
	s.conn.Input([]byte(request("/ws")))
	s.conn.Input(make([]byte, k.opts.MaxHeader))
	want(t, "answer", len(s.got), 0)
	s.conn.Input(make([]byte, 1))
	want(t, "status", status(s), "413")
	k.h.handshakes[0].Accept("late", nil)
	k.settle()
	want(t, "aborted", k.h.of("late").aborted, 1)
	want(t, "opened", k.h.of("late").opened, 0)
}

func TestRefusedPeerMayFinish(t *testing.T) {
	k := newKit(t)
	s := k.attach()
	s.conn.Input([]byte(request("/other")))
	for range lingerLimit >> 20 {
		s.conn.Input(make([]byte, 1<<20))
	}
	want(t, "closed within the limit", s.closed, false)
	s.conn.Input([]byte{0})
	want(t, "closed beyond the limit", s.closed, true)
	want(t, "answers", strings.Count(string(s.got), "HTTP/1.1"), 1)
}

// Decisions come from anywhere, at any time, and more often than they should;
// every value that is accepted and not opened is given back by Abort.
func TestDecisions(t *testing.T) {
	var k *kit
	var s *fakeSocket
	var hs transport.Handshake
	accept := func() { hs.Accept("v", http.Header{"X-Extra": {"yes"}}); k.settle() }
	second := func() { hs.Accept("w", nil); k.settle() }
	refuse := func() { hs.Refuse(429, http.Header{"Retry-After": {"3"}}, "slow down"); k.settle() }
	leave := func() { s.close() }
	wait := func() { k.advance(k.opts.HandshakeTimeout + tick) }
	expire := func() { // before the loop runs its tasks
		k.now = k.now.Add(time.Hour)
		k.l.wheel.advance(k.now.Sub(k.l.start), k.l.expire)
	}
	stop := func() { k.l.CloseAll(1001, ""); s.close(); k.l.Stop() }
	elsewhere := func(f func()) func() {
		return func() {
			var wg sync.WaitGroup
			wg.Go(f)
			wg.Wait()
			k.settle()
		}
	}
	for name, c := range map[string]struct {
		do                []func()
		status            string
		opened, vs, ws, n int // Abort of v and of w, Close
	}{
		"accept":                       {[]func(){accept}, "101", 1, 0, 0, 0},
		"accept elsewhere":             {[]func(){elsewhere(func() { hs.Accept("v", nil) })}, "101", 1, 0, 0, 0},
		"refuse":                       {[]func(){refuse}, "429", 0, 0, 0, 0},
		"refuse elsewhere":             {[]func(){elsewhere(func() { hs.Refuse(429, nil, "") })}, "429", 0, 0, 0, 0},
		"accept twice":                 {[]func(){accept, second}, "101", 1, 0, 1, 0},
		"refuse, then accept":          {[]func(){refuse, accept}, "429", 0, 1, 0, 0},
		"accept, then refuse":          {[]func(){accept, refuse}, "101", 1, 0, 0, 0},
		"refuse twice":                 {[]func(){refuse, refuse}, "429", 0, 0, 0, 0},
		"too late":                     {[]func(){wait, accept}, "503", 0, 1, 0, 0},
		"refused too late":             {[]func(){wait, refuse}, "503", 0, 0, 0, 0},
		"never":                        {[]func(){wait, wait}, "503", 0, 0, 0, 0},
		"the peer has left":            {[]func(){leave, accept}, "", 0, 1, 0, 0},
		"refused a peer that has left": {[]func(){leave, refuse}, "", 0, 0, 0, 0},
		"left, twice accepted":         {[]func(){leave, accept, second}, "", 0, 1, 1, 0},
		"the loop has stopped":         {[]func(){stop, accept}, "", 0, 1, 0, 0},
		"stopped, refused":             {[]func(){stop, refuse}, "", 0, 0, 0, 0},
		"accepted as it stops":         {[]func(){func() { hs.Accept("v", nil) }, stop}, "", 0, 1, 0, 0},
		"accepted as the peer leaves":  {[]func(){func() { hs.Accept("v", nil) }, leave, func() { k.settle() }}, "", 0, 1, 0, 0},
		"accepted as time runs out":    {[]func(){func() { hs.Accept("v", nil) }, expire, func() { k.settle() }}, "503", 0, 1, 0, 0},
		"opened, and the peer leaves":  {[]func(){accept, leave}, "101", 1, 0, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			k = newKit(t)
			k.h.hold = true
			s = k.attach()
			s.conn.Input([]byte(request("/ws")))
			hs = k.h.handshakes[0]
			want(t, "path", hs.Request().URL.Path, "/ws")
			want(t, "address", hs.RemoteAddr().String(), "192.0.2.1:1234")
			for _, f := range c.do {
				f()
			}
			want(t, "status", status(s), c.status)
			want(t, "responses", strings.Count(string(s.got), "HTTP/1.1"), min(1, len(c.status)))
			want(t, "opened", k.h.of("v").opened+k.h.of("w").opened, c.opened)
			want(t, "aborted v", k.h.of("v").aborted, c.vs)
			want(t, "aborted w", k.h.of("w").aborted, c.ws)
			want(t, "closed", k.h.of("v").closed, c.n)
			if !s.closed && c.opened == 0 {
				k.advance(k.opts.CloseTimeout + tick)
				want(t, "socket closed", s.closed, true)
			}
		})
	}
}

// The caller's header is its own again when Accept or Refuse returns.
func TestHeaderBelongsToTheCaller(t *testing.T) {
	for _, accept := range []bool{true, false} {
		k := newKit(t)
		k.h.hold = true
		s := k.attach()
		s.conn.Input([]byte(request("/ws")))
		header := http.Header{"X-Extra": {"mine"}}
		if accept {
			k.h.handshakes[0].Accept(1, header)
		} else {
			k.h.handshakes[0].Refuse(403, header, "no")
		}
		header.Set("X-Extra", "changed")
		k.settle()
		if !strings.Contains(string(s.got), "X-Extra: mine\r\n") {
			t.Errorf("the peer got %q", s.got)
		}
	}
}

// A write of the answer that fails, in every way it can.
func TestAnswerCannotBeWritten(t *testing.T) {
	for name, c := range map[string]struct{ self, async, accept bool }{
		"accepted, the socket closes itself": {self: true, accept: true},
		"accepted, the engine closes it":     {accept: true},
		"accepted, and takes a while":        {accept: true, async: true},
		"refused, the socket closes itself":  {self: true},
		"refused, the engine closes it":      {},
		"refused, and takes a while":         {async: true},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKit(t)
			k.h.hold = true
			k.e.async = c.async
			s := k.attach()
			s.selfClose = c.self
			s.conn.Input([]byte(request("/ws")))
			s.broken = true
			if c.accept {
				k.h.handshakes[0].Accept("v", nil)
			} else {
				k.h.handshakes[0].Refuse(403, nil, "no")
			}
			k.settle()
			s.conn.Input([]byte("hello?"))
			k.advance(time.Hour)
			for _, s := range k.e.closing {
				s.close()
			}
			want(t, "closed", s.closed, true)
			want(t, "CloseSocket calls", len(k.e.closing), map[bool]int{true: 1}[c.async])
			want(t, "aborted", k.h.of("v").aborted, map[bool]int{true: 1}[c.accept])
			want(t, "opened", k.h.of("v").opened, 0)
		})
	}
}

// The answer to a HEAD has no body, whatever it says of its length.
func TestHeadIsAnsweredWithoutBody(t *testing.T) {
	for _, path := range []string{"/ws", "/elsewhere"} {
		k := newKit(t)
		s := k.attach()
		s.conn.Input([]byte("HEAD" + strings.TrimPrefix(request(path), "GET")))
		if !bytes.HasPrefix(s.got, []byte("HTTP/1.1 40")) || !bytes.HasSuffix(s.got, []byte("\r\n\r\n")) {
			t.Errorf("%s: %q", path, s.got)
		}
	}
}

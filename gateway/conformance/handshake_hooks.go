package conformance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/wsclient"
	"github.com/sluicegate/sluice/transport/websocket"
)

// authFunc is an Authenticator.
type authFunc func(context.Context, *http.Request) (hooks.Identity, error)

// Authenticate implements hooks.Authenticator.
func (f authFunc) Authenticate(ctx context.Context, r *http.Request) (hooks.Identity, error) {
	return f(ctx, r)
}

// A door is an Authenticator that says when it is asked and lets nobody in
// before it is told to.
type door struct{ asked, open chan struct{} }

func newDoor() *door { return &door{asked: make(chan struct{}, 1), open: make(chan struct{})} }

// Authenticate implements hooks.Authenticator.
func (d *door) Authenticate(context.Context, *http.Request) (hooks.Identity, error) {
	d.asked <- struct{}{}
	<-d.open
	return hooks.Identity{}, nil
}

// dataBehindHead: a client that is sure of its welcome may send at once what it
// has to say. It is handled once the client is open, in order.
func dataBehindHead(t *testing.T, mk maker) {
	key := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	var frames []byte
	for _, f := range []wsclient.Frame{
		{Fin: true, Op: websocket.OpText, Data: []byte("first")},
		{Op: websocket.OpText, Data: []byte("sec")},
		{Fin: true, Op: websocket.OpPing, Data: []byte("ping")},
		{Fin: true, Op: websocket.OpContinuation, Data: []byte("ond")},
		{Fin: true, Op: websocket.OpText, Data: []byte("third")},
	} {
		frames = wsclient.AppendFrame(frames, f, key)
	}
	for _, tc := range []struct {
		name   string
		piece  int // bytes written at a time
		decide bool
	}{
		{"in one piece", 1 << 20, false},
		{"byte by byte", 1, false},
		{"in one piece, while the authenticator decides", 1 << 20, true},
		{"byte by byte, while the authenticator decides", 1, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var cfg gateway.Config
			d := newDoor()
			if tc.decide {
				cfg.Hooks = []any{d}
			}
			s := start(t, mk, cfg)
			conn := s.dial()
			all := append([]byte(exampleHead+"\r\n"), frames...)
			for piece := range slices.Chunk(all, tc.piece) {
				_, err := conn.Write(piece)
				must(t, err)
			}
			if tc.decide {
				within(t, d.asked, "the authenticator is asked")
				if n := s.book.opens(); n != 0 {
					t.Errorf("%d clients are open before they are let in", n)
				}
				close(d.open)
			}
			c, err := wsclient.ReadAnswer(conn, exampleKey, false)
			must(t, err)
			p := &peer{Conn: c, t: t}
			var texts []string
			pongs := 0
			for len(texts) < 3 || pongs < 1 {
				f, err := p.ReadFrame()
				must(t, err)
				switch f.Op {
				case websocket.OpText:
					texts = append(texts, string(f.Data))
				case websocket.OpPong:
					pongs++
				}
			}
			if !slices.Equal(texts, []string{"first", "second", "third"}) {
				t.Errorf("got %q", texts)
			}
			p.leave()
		})
	}
}

// What a client sends before it has an answer is bounded: it may be refused, or
// held up; but what is taken is handled, in order.
func muchBehindHead(t *testing.T, mk maker) {
	const messages = 256
	d := newDoor()
	s := start(t, mk, gateway.Config{Hooks: []any{d}})
	pad := strings.Repeat("x", 1000)
	data := []byte(exampleHead + "\r\n")
	for i := range messages {
		data = wsclient.AppendFrame(data, wsclient.Frame{Fin: true, Op: websocket.OpText, Data: fmt.Appendf(nil, "%d %s", i, pad)}, [4]byte{1, 2, 3, 4})
	}
	release := sync.OnceFunc(func() { close(d.open) })
	defer release()
	go func() {
		select {
		case <-d.asked:
		case <-t.Context().Done(): // refused without being asked about
		}
		release()
	}()
	p, _, err := s.shake(string(data))
	if refused := (*wsclient.RefusedError)(nil); errors.As(err, &refused) {
		if code := refused.Response.StatusCode; code != http.StatusRequestEntityTooLarge {
			t.Errorf("status %d, want 413 or an upgrade", code)
		}
		return
	}
	must(t, err)
	for i := range messages {
		if got, want := p.read(), fmt.Sprintf("%d %s", i, pad); got != want {
			t.Fatalf("message %d is %.20q", i, got)
		}
	}
}

// authenticators: hooks.Authenticator decides about a client before it is open.
func authenticators(t *testing.T, mk maker) {
	auth := authFunc(func(_ context.Context, r *http.Request) (hooks.Identity, error) {
		switch r.URL.Query().Get("token") {
		case "good":
			return hooks.Identity{CustomerID: "customer", Session: "session", Topics: []string{"news"}}, nil
		case "later":
			return hooks.Identity{}, &hooks.Refusal{Status: 503, Header: http.Header{"Retry-After": {"7"}}, Reason: "later, please"}
		case "default":
			return hooks.Identity{}, fmt.Errorf("wrapped: %w", &hooks.Refusal{Reason: "no, thanks"})
		case "panic":
			panic("an authenticator's own fault")
		}
		return hooks.Identity{}, errors.New("a secret of the host's")
	})
	s := start(t, mk, gateway.Config{Hooks: []any{auth}})
	for _, tc := range []struct {
		token, body, retry string
		status             int
	}{
		{"bad", "", "", http.StatusForbidden},
		{"later", "later, please", "7", http.StatusServiceUnavailable},
		{"default", "no, thanks", "", http.StatusForbidden},
		{"panic", "", "", http.StatusInternalServerError},
	} {
		t.Run(tc.token, func(t *testing.T) {
			s := s.on(t)
			_, conn, err := s.shake(strings.Replace(exampleHead, path, path+"?token="+tc.token, 1) + "\r\n")
			refused := (*wsclient.RefusedError)(nil)
			if !errors.As(err, &refused) || refused.Response.StatusCode != tc.status {
				t.Fatalf("%v, want %d", err, tc.status)
			}
			if !strings.Contains(refused.Body, tc.body) || strings.Contains(refused.Body, "secret") || strings.Contains(refused.Body, "fault") {
				t.Errorf("body %q, want %q", refused.Body, tc.body)
			}
			if got := refused.Response.Header.Get("Retry-After"); got != tc.retry {
				t.Errorf("Retry-After: %q, want %q", got, tc.retry)
			}
			s.staysRefused(conn)
		})
	}
	t.Run("good", func(t *testing.T) {
		s := s.on(t)
		p := s.open(wsclient.Request{Target: path + "?token=good", Header: http.Header{
			"X-Real-Ip": {"192.0.2.1"}, "X-Forwarded-For": {"192.0.2.2, 192.0.2.3"},
		}})
		p.id = s.idOf("token=good")
		e := s.book.event(p.id)
		if e.Path != path || e.XRealIP != "192.0.2.1" || e.XForwardedFor != "192.0.2.2, 192.0.2.3" {
			t.Errorf("open event %+v", e)
		}
		if _, err := netip.ParseAddr(e.RemoteAddr); err != nil {
			t.Errorf("the peer's address: %v", err)
		}
		must(t, s.Publish(t.Context(), []string{"news"}, []byte("by topic")))
		must(t, s.SingleCastByCustomerID(t.Context(), "customer", []byte("by customer")))
		p.expect("by topic", "by customer")
		p.leave()
	})
	s.settle()
	if admitted, _ := s.book.limits(); admitted != 5 || s.book.opens() != 1 {
		t.Errorf("the Limiter was asked %d times for 5 handshakes, and %d clients opened", admitted, s.book.opens())
	}
}

// An Authenticator that does not return in time costs its client, and nobody
// else: its context ends, and so does the wait.
func authenticatorTimesOut(t *testing.T, mk maker) {
	asked := make(chan struct{}, 1)
	slow := authFunc(func(ctx context.Context, r *http.Request) (hooks.Identity, error) {
		if r.URL.RawQuery != "" {
			return hooks.Identity{}, nil // the bystander
		}
		asked <- struct{}{}
		<-ctx.Done()
		return hooks.Identity{}, ctx.Err()
	})
	s := start(t, mk, gateway.Config{Hooks: []any{slow}, HandshakeTimeout: 500 * time.Millisecond})
	bystander := s.join()
	_, conn, err := s.shake(exampleHead + "\r\n")
	within(t, asked, "the authenticator is asked")
	refused := (*wsclient.RefusedError)(nil)
	if !errors.As(err, &refused) || refused.Response.StatusCode != http.StatusForbidden && refused.Response.StatusCode != http.StatusServiceUnavailable {
		t.Fatalf("%v, want a 403 or a 503", err)
	}
	s.staysRefused(conn)
	bystander.echoes("still served")
	bystander.leave()
	s.settle()
}

// limiters: a client that the Limiter refuses hears why, is counted, and is not
// reported as gone, because it never was there.
func limiters(t *testing.T, mk maker) {
	for _, tc := range []struct {
		name   string
		err    error
		status int
		retry  string
	}{
		{"any error", errors.New("full"), http.StatusTooManyRequests, ""},
		{"a refusal", &hooks.Refusal{Status: 503, Header: http.Header{"Retry-After": {"3"}}, Reason: "full"}, http.StatusServiceUnavailable, "3"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := start(t, mk, gateway.Config{Limiter: &oneAtATime{err: tc.err}})
			p := s.join()
			_, conn, err := s.shake(exampleHead + "\r\n")
			refused := (*wsclient.RefusedError)(nil)
			if !errors.As(err, &refused) || refused.Response.StatusCode != tc.status || refused.Response.Header.Get("Retry-After") != tc.retry {
				t.Fatalf("%v, want %d", err, tc.status)
			}
			s.staysRefused(conn)
			if n := s.Stats().OpensLimited; n != 1 {
				t.Errorf("%d refusals counted, want 1", n)
			}
			p.leave()
			s.settle()
			s.open(wsclient.Request{}).leave() // its place is free
		})
	}
}

type oneAtATime struct {
	mu  sync.Mutex
	in  int
	err error
}

func (l *oneAtATime) Open(netip.Addr) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.in > 0 {
		return l.err
	}
	l.in++
	return nil
}

func (l *oneAtATime) Message(string, int) error { return nil }

func (l *oneAtATime) Close(string, netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.in--
}

type shaper http.Header

// ShapeHandshake implements hooks.HandshakeShaper.
func (s shaper) ShapeHandshake(_ *http.Request, h http.Header) {
	for name, values := range s {
		h[name] = values
	}
}

// shapers: what a HandshakeShaper adds comes back; what is the handshake's own
// to say, it cannot change.
func shapers(t *testing.T, mk maker) {
	admit := authFunc(func(context.Context, *http.Request) (hooks.Identity, error) { return hooks.Identity{}, nil })
	for _, tc := range []struct {
		name  string
		hooks []any
	}{{"on the loop", nil}, {"behind an authenticator", []any{admit}}} {
		t.Run(tc.name, func(t *testing.T) {
			s := start(t, mk, gateway.Config{Hooks: append(tc.hooks, shaper{
				"Set-Cookie": {"a=1; Path=/", "b=2"}, "X-Node": {"seven"},
				"X-Split": {"one\r\nX-Forged: yes\r\n\r\nbody"},
				"Upgrade": {"forged"}, "Connection": {"close"}, "Content-Length": {"5"}, "Transfer-Encoding": {"chunked"},
				"Sec-Websocket-Accept": {"forged"}, "Sec-Websocket-Protocol": {"forged"}, "Sec-Websocket-Extensions": {"permessage-deflate"},
			})})
			p := s.open(wsclient.Request{}) // which judges the answer
			h := p.Response.Header
			if !slices.Equal(h.Values("Set-Cookie"), []string{"a=1; Path=/", "b=2"}) || h.Get("X-Node") != "seven" {
				t.Errorf("header %v", h)
			}
			for _, name := range []string{"X-Forged", "Content-Length", "Transfer-Encoding", "Sec-Websocket-Protocol", "Sec-Websocket-Extensions"} {
				if h.Values(name) != nil {
					t.Errorf("%s: %q", name, h.Values(name))
				}
			}
			for _, name := range []string{"Upgrade", "Connection", "Sec-Websocket-Accept"} {
				if len(h.Values(name)) != 1 {
					t.Errorf("%s: %q", name, h.Values(name))
				}
			}
			p.echoes("hello")
			p.leave()
		})
	}
}

// handshakeTimeouts: whoever has not shaken hands when HandshakeTimeout has
// passed is cut, however it fills the time; an answer may come before the end.
func handshakeTimeouts(t *testing.T, mk maker) {
	setup := mk(t)
	if setup.Mounted {
		t.Skip("http.Server's time-outs apply")
	}
	limit := setup.span(10*time.Second, 400*time.Millisecond)
	d := newDoor()
	s := startOn(t, setup, gateway.Config{HandshakeTimeout: limit, Hooks: []any{d}})
	open := sync.OnceFunc(func() { close(d.open) })
	t.Cleanup(open) // before the stop, which waits for the Authenticator

	const stays = "a refused client that stays"
	rows := []struct {
		name, sent string
		status     int
	}{
		{"silence", "", http.StatusRequestTimeout},
		{"half a line", "GET /w", http.StatusRequestTimeout},
		{"a head without its end", exampleHead, http.StatusRequestTimeout},
		{"an authenticator that ignores its context", exampleHead + "\r\n", http.StatusServiceUnavailable},
		{stays, strings.Replace(exampleHead, "13", "8", 1) + "\r\n", http.StatusUpgradeRequired},
		{"a head that trickles in", "GET ", http.StatusRequestTimeout},
	}
	conns := make([]net.Conn, len(rows))
	for i, r := range rows {
		conns[i] = s.dial()
		_, err := io.WriteString(conns[i], r.sent)
		must(t, err)
	}
	within(t, d.asked, "the authenticator is asked")
	// All wait at the same time; the last sends something now and then.
	for i := range 13 {
		_, _ = conns[len(conns)-1].Write([]byte{exampleHead[4+i]})
		s.await(limit / 10)
	}
	for i, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			_, err := wsclient.ReadAnswer(conns[i], exampleKey, false)
			refused := (*wsclient.RefusedError)(nil)
			if isAnswer := errors.As(err, &refused); isAnswer && refused.Response.StatusCode != r.status ||
				err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%v, want a %d or the end", err, r.status)
			}
			if r.name != stays {
				halfClose(conns[i]) // to have it over sooner
			}
		})
	}
	s.pass(closedFor)
	for i, c := range conns {
		if rest, ok := ended(c); !ok || len(rest) > 0 {
			t.Errorf("%s: the connection has not ended (%v), %q came", rows[i].name, !ok, rest)
		}
	}
	open()
	s.settle()
	if admitted, _ := s.book.limits(); admitted != 1 || s.book.opens() != 0 {
		t.Errorf("the Limiter was asked %d times for 1 handshake, and %d clients opened", admitted, s.book.opens())
	}
}

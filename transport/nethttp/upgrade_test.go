package nethttp_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/gateway/gatewaytest"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/nethttp"
)

// upgrade is what makes a request an opening handshake.
const (
	upgrade   = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n"
	handshake = "GET / HTTP/1.1\r\nHost: h\r\n" + upgrade + "\r\n"
)

type userKey struct{}

// login is what a host's middleware does: it knows the user by a cookie.
func login(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := r.Cookie("user")
		if err != nil {
			http.Error(w, "log in first", http.StatusUnauthorized)
			return
		}
		http.SetCookie(w, &http.Cookie{Name: "seen", Value: "yes"})
		w.Header().Set("X-Frame-Options", "DENY")
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), userKey{}, c.Value)))
	})
}

type authenticatorFunc func(context.Context, *http.Request) (hooks.Identity, error)

func (f authenticatorFunc) Authenticate(ctx context.Context, r *http.Request) (hooks.Identity, error) {
	return f(ctx, r)
}

// What middleware knows of a request is there for the Authenticator, and what it
// has set on the response reaches the client.
func TestMiddleware(t *testing.T) {
	onBoth(t, func(t *testing.T, w way) {
		m := w.start(t, gateway.Config{Router: echo(), Hooks: []any{authenticatorFunc(func(ctx context.Context, r *http.Request) (hooks.Identity, error) {
			inContext, _ := ctx.Value(userKey{}).(string)
			inRequest, _ := r.Context().Value(userKey{}).(string)
			if inContext != inRequest {
				return hooks.Identity{}, fmt.Errorf("the context has %q, the request's %q", inContext, inRequest)
			}
			return hooks.Identity{CustomerID: inContext}, nil
		})}}, login)

		refused := (*gatewaytest.RefusedError)(nil)
		if _, err := m.TryConnect("/ws"); !errors.As(err, &refused) || refused.Status != http.StatusUnauthorized {
			t.Fatalf("without a cookie: %v, want 401", err)
		}
		c := m.Connect("/ws", "Cookie", "user=ann")
		info, err := m.ConnInfo(t.Context(), []string{c.ID()}, hooks.ConnInfoFields{CustomerID: true})
		must(t, err)
		if got := info[c.ID()].CustomerID; got != "ann" {
			t.Errorf("customerId %q, want ann", got)
		}
		h := c.Response().Header
		if h.Get("Set-Cookie") != "seen=yes" || h.Get("X-Frame-Options") != "DENY" {
			t.Errorf("the answer's header is %v", h)
		}
		c.Send("hello")
		c.Expect("hello")
	})
}

// A request that is refused is an HTTP request like any other: its connection
// may serve the next.
func TestRefusedOverHTTP(t *testing.T) {
	m := way{}.start(t, gateway.Config{Hooks: []any{authenticatorFunc(func(context.Context, *http.Request) (hooks.Identity, error) {
		return hooks.Identity{}, &hooks.Refusal{Status: http.StatusTeapot, Header: http.Header{"X-Why": {"tea"}}, Reason: "short and stout"}
	})}}, nil)
	conn := m.Dial()
	r := bufio.NewReader(conn)
	for _, c := range []struct {
		name, request string
		status        int
		header, body  string
	}{
		{"an ordinary GET", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", 400, "", "no Upgrade: websocket"},
		{"POST", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n" + upgrade + "\r\n", 405, "Allow", "a WebSocket handshake is a GET"},
		{"a body", "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n" + upgrade + "\r\nhi", 400, "", "request with a body"},
		{"version 8", "GET / HTTP/1.1\r\nHost: h\r\n" + strings.Replace(upgrade, "13", "8", 1) + "\r\n", 426, "Sec-Websocket-Version", "only WebSocket version 13 is supported"},
		{"the Authenticator", "GET / HTTP/1.1\r\nHost: h\r\n" + upgrade + "\r\n", 418, "X-Why", "short and stout"},
	} {
		_, err := io.WriteString(conn, c.request)
		must(t, err)
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != c.status || strings.TrimSpace(string(body)) != c.body || c.header != "" && resp.Header.Get(c.header) == "" {
			t.Errorf("%s: %s %v %q, want %d with %q and %q", c.name, resp.Status, resp.Header, body, c.status, c.header, c.body)
		}
	}
}

// Before the gateway runs and after it has stopped, clients are told to come
// back.
func TestNotServing(t *testing.T) {
	m := &mount{Transport: nethttp.New()}
	m.serve(t, nil, nil)
	get := func(when string) {
		t.Helper()
		resp, err := m.server.Client().Get(m.server.URL)
		must(t, err)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %s, Retry-After %q", when, resp.Status, resp.Header.Get("Retry-After"))
		}
	}
	get("before Serve")
	gw := gatewaytest.New(t, gateway.Config{Transports: []transport.Transport{m.Transport}}, gatewaytest.WithDial(m.dial))
	gw.Connect("/").Close()
	must(t, gw.Stop())
	get("after Serve")
	if err := m.Serve(t.Context(), transport.Options{}, nil); err == nil {
		t.Error("Serve twice: no error")
	}
}

// A PROXY header would have to be read by the host's server: whoever configures it
// here hears so, instead of taking the proxy for every client.
func TestProxyProtocolIsTheHosts(t *testing.T) {
	o := transport.Options{ProxyProtocol: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	if err := nethttp.New().Serve(t.Context(), o, nil); err == nil || !strings.Contains(err.Error(), "ProxyProtocol") {
		t.Errorf("%v, want an error that names ProxyProtocol", err)
	}
}

// limiter notes which addresses come and go.
type limiter struct{ opened, closed chan netip.Addr }

func newLimiter() *limiter {
	return &limiter{opened: make(chan netip.Addr, 10), closed: make(chan netip.Addr, 10)}
}

func (l *limiter) Open(ip netip.Addr) error      { l.opened <- ip; return nil }
func (l *limiter) Message(string, int) error     { return nil }
func (l *limiter) Close(_ string, ip netip.Addr) { l.closed <- ip }

// paired awaits that a client from want has come and gone.
func (l *limiter) paired(t *testing.T, want string) {
	t.Helper()
	l.expect(t, l.opened, want)
	l.expect(t, l.closed, want)
}

func (l *limiter) expect(t *testing.T, c chan netip.Addr, want string) {
	t.Helper()
	if got := within(t, c, "the limiter was not asked"); got.String() != want {
		t.Errorf("address %v, want %s", got, want)
	}
}

// A proxy's middleware may set the address that a request comes from. It is the
// client's to its end, so that whoever counts by address counts right.
func TestAddressFromMiddleware(t *testing.T) {
	for _, c := range []struct{ set, want string }{
		{"192.0.2.7:4711", "192.0.2.7"}, {"192.0.2.8", "192.0.2.8"}, {"[2001:db8::1]:80", "2001:db8::1"}, {"@", "invalid IP"},
	} {
		t.Run(c.set, func(t *testing.T) {
			onBoth(t, func(t *testing.T, w way) {
				l := newLimiter()
				m := w.start(t, gateway.Config{Limiter: l}, func(next http.Handler) http.Handler {
					return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						r.RemoteAddr = c.set
						next.ServeHTTP(w, r)
					})
				})
				m.Connect("/").Close()
				l.paired(t, c.want)
			})
		})
	}
}

// A ResponseWriter without Hijack is the host's mistake: it is told, and the
// client gets an answer.
func TestNotHijackable(t *testing.T) {
	book, l := new(logBook), newLimiter()
	m := way{}.start(t, gateway.Config{Limiter: l, Logger: book.logger()}, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(struct{ http.ResponseWriter }{w}, r)
		})
	})
	refused := (*gatewaytest.RefusedError)(nil)
	if _, err := m.TryConnect("/"); !errors.As(err, &refused) || refused.Status != http.StatusInternalServerError {
		t.Errorf("%v, want 500", err)
	}
	l.paired(t, "127.0.0.1")
	if book.count("Unwrap") != 1 {
		t.Errorf("the log does not say what to do: %s", &book.text)
	}
}

// A wrapper whose Hijack panics, as those do that take the one beneath for a
// Hijacker, costs its request only.
func TestHijackPanics(t *testing.T) {
	l := newLimiter()
	m := way{}.start(t, gateway.Config{Limiter: l}, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(hijackPanics{w}, r)
		})
	})
	if _, err := m.TryConnect("/"); err == nil {
		t.Error("the client was accepted")
	}
	l.paired(t, "127.0.0.1")
}

type hijackPanics struct{ http.ResponseWriter }

func (hijackPanics) Hijack() (net.Conn, *bufio.ReadWriter, error) { panic("no Hijacker") }

// unwrapper is a ResponseWriter as middleware should wrap it.
type unwrapper struct{ http.ResponseWriter }

func (u unwrapper) Unwrap() http.ResponseWriter { return u.ResponseWriter }

func TestUnwrap(t *testing.T) {
	onBoth(t, func(t *testing.T, w way) {
		m := w.start(t, gateway.Config{Router: echo()}, func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(unwrapper{w}, r) })
		})
		c := m.Connect("/")
		c.Send("through")
		c.Expect("through")
	})
}

// While an Authenticator decides the client may leave, the time may run out and
// the gateway may stop; whatever it says later is too late, and the Limiter hears
// that the client is gone.
func TestUndecided(t *testing.T) {
	for _, c := range []struct {
		name   string
		end    func(m *mount, conn io.Closer)
		status int // 0: there is nobody to answer
	}{
		{"the client leaves", func(_ *mount, conn io.Closer) { _ = conn.Close() }, 0},
		{"the time runs out", func(*mount, io.Closer) {}, 503},
		{"the transport is shut down", func(m *mount, _ io.Closer) { m.Shutdown() }, 503},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, asked, release := newLimiter(), make(chan struct{}), make(chan struct{})
			cfg := gateway.Config{Limiter: l, Hooks: []any{authenticatorFunc(func(context.Context, *http.Request) (hooks.Identity, error) {
				close(asked)
				<-release
				return hooks.Identity{}, nil // too late
			})}}
			if strings.Contains(c.name, "time") {
				cfg.HandshakeTimeout = 50 * time.Millisecond
			}
			m := way{}.start(t, cfg, nil)
			conn := m.Dial()
			_, err := io.WriteString(conn, handshake)
			must(t, err)
			within(t, asked, "the Authenticator was not asked")
			c.end(m, conn)
			if c.status != 0 {
				resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
				must(t, err)
				_ = resp.Body.Close()
				if resp.StatusCode != c.status {
					t.Errorf("%s, want %d", resp.Status, c.status)
				}
			}
			close(release)
			l.paired(t, "127.0.0.1")
			m.Eventually("no client is left", func() bool { return m.Stats().Clients == 0 })
		})
	}
}

// An Authenticator's context ends when its client leaves.
func TestAuthenticatorHearsThatTheClientLeft(t *testing.T) {
	asked, ended := make(chan struct{}), make(chan error)
	m := way{}.start(t, gateway.Config{Hooks: []any{authenticatorFunc(func(ctx context.Context, _ *http.Request) (hooks.Identity, error) {
		close(asked)
		<-ctx.Done()
		ended <- ctx.Err()
		return hooks.Identity{}, ctx.Err()
	})}}, nil)
	conn := m.Dial()
	_, err := io.WriteString(conn, handshake)
	must(t, err)
	within(t, asked, "the Authenticator was not asked")
	_ = conn.Close()
	if err := within(t, ended, "its context did not end"); !errors.Is(err, context.Canceled) {
		t.Errorf("its context ended with %v", err)
	}
}

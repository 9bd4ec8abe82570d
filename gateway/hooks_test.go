package gateway_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/gateway/gatewaytest"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/pipe"
)

// dialWith connects with headers and returns what the handshake was answered.
func (g *host) dialWith(target string, header http.Header) (*client, *http.Response, error) {
	g.t.Helper()
	conn, resp, err := g.dialer().Dial("ws://gateway.test"+target, header)
	return &client{Conn: conn, t: g.t}, resp, err
}

// doorman knows clients by their token.
type doorman struct{}

func (d doorman) Authenticate(_ context.Context, r *http.Request) (hooks.Identity, error) {
	switch token := r.URL.Query().Get("token"); token {
	case "good":
		return hooks.Identity{CustomerID: "customer", Session: "session", Topics: []string{"news"}}, nil
	case "later":
		return hooks.Identity{}, &hooks.Refusal{Status: 503, Header: http.Header{"Retry-After": {"7"}}, Reason: "later, please"}
	case "panic":
		panic("doorman")
	}
	return hooks.Identity{}, errors.New("a secret of the host's")
}

func (d doorman) ShapeHandshake(r *http.Request, h http.Header) {
	h.Set("X-Seen", r.URL.Query().Get("token"))
	h.Set("Sec-WebSocket-Accept", "forged")
}

func TestAuthenticator(t *testing.T) {
	onEach(t, func(t *testing.T, h harness) {
		opened := make(chan hooks.OpenEvent, 1)
		g := h.start(t, gateway.Config{
			Path: "/ws", Hooks: []any{doorman{}},
			Router: hooks.RouterFuncs{OnOpen: func(_ context.Context, _ hooks.Bus, e hooks.OpenEvent) { opened <- e }},
		})
		for _, tc := range []struct {
			target, body string
			status       int
		}{
			{"/ws?token=bad", "Forbidden", 403},
			{"/ws?token=later", "later, please", 503},
			{"/ws?token=panic", "internal error", 500},
			{"/other?token=good", "", 404},
		} {
			_, resp, err := g.dialWith(tc.target, nil)
			if err == nil || resp == nil || resp.StatusCode != tc.status {
				t.Fatalf("%s: %v %v, want %d", tc.target, resp, err, tc.status)
			}
			body, _ := io.ReadAll(resp.Body)
			if !strings.Contains(string(body), tc.body) || strings.Contains(string(body), "secret") {
				t.Errorf("%s: body %q", tc.target, body)
			}
			if tc.status == 503 && resp.Header.Get("Retry-After") != "7" {
				t.Errorf("%s: headers %v", tc.target, resp.Header)
			}
		}
		c, resp, err := g.dialWith("/ws?token=good&x=%20", http.Header{"X-Real-Ip": {"192.0.2.1"}, "X-Forwarded-For": {"192.0.2.2, 192.0.2.3"}})
		must(t, err)
		if resp.Header.Get("X-Seen") != "good" {
			t.Errorf("the shaper's header is missing: %v", resp.Header)
		}
		e := <-opened
		want := hooks.OpenEvent{
			UniqID: e.UniqID, Path: "/ws", RawQuery: "token=good&x=%20", XForwardedFor: "192.0.2.2, 192.0.2.3",
			XRealIP: "192.0.2.1", RemoteAddr: "127.0.0.1",
		}
		if e != want || len(e.UniqID) != 28 {
			t.Errorf("open event %+v, want %+v", e, want)
		}
		must(t, g.Publish(t.Context(), []string{"news"}, msg("1")))
		must(t, g.SingleCastByCustomerID(t.Context(), "customer", msg("2")))
		c.expect("1", "2")
	})
}

// counter is a Limiter that counts who is there.
type counter struct{ clients atomic.Int64 }

func (c *counter) Open(netip.Addr) error        { c.clients.Add(1); return nil }
func (c *counter) Message(string, int) error    { return nil }
func (c *counter) Close(_ string, _ netip.Addr) { c.clients.Add(-1) }

type shaperFunc func()

func (f shaperFunc) ShapeHandshake(*http.Request, http.Header) { f() }

// A client whose handshake a shaper has panicked over is not there.
func TestShaperPanics(t *testing.T) {
	for name, more := range map[string][]any{
		"alone": nil, "after an Authenticator": {authFunc(func(context.Context) error { return nil })},
	} {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, h harness) {
				l := new(counter)
				g := h.start(t, gateway.Config{Limiter: l, Hooks: append(more, shaperFunc(func() { panic("shaper") }))})
				_, resp, err := g.dialWith("/", nil)
				if err == nil || resp == nil || resp.StatusCode != 500 {
					t.Errorf("%v %v, want 500", resp, err)
				}
				if n := l.clients.Load(); n != 0 {
					t.Errorf("the Limiter counts %d clients, want 0", n)
				}
			})
		})
	}
}

// An Authenticator that does not return in time costs its client only.
func TestAuthenticatorTimesOut(t *testing.T) {
	p := pipe.New()
	asked := make(chan struct{})
	slow := authFunc(func(ctx context.Context) error {
		close(asked)
		<-ctx.Done()
		return ctx.Err()
	})
	g := run(t, gateway.Config{
		Transports: []transport.Transport{p}, Hooks: []any{slow}, HandshakeTimeout: 300 * time.Millisecond,
	}, dialPipe(p))
	_, resp, err := g.dialWith("/", nil)
	if err == nil || resp == nil || resp.StatusCode != 403 {
		t.Fatalf("%v %v", resp, err)
	}
	<-asked
}

type authFunc func(context.Context) error

func (f authFunc) Authenticate(ctx context.Context, _ *http.Request) (hooks.Identity, error) {
	return hooks.Identity{}, f(ctx)
}

// bouncer admits so many and lets through messages that are short.
type bouncer struct {
	mu    sync.Mutex
	limit int
	in    int
	log   []string
}

func (b *bouncer) Open(ip netip.Addr) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.in == b.limit {
		return errors.New("full")
	}
	b.in++
	b.log = append(b.log, "open "+ip.String())
	return nil
}

func (b *bouncer) Message(_ string, size int) error {
	if size >= 10 {
		return hooks.ErrLimited
	}
	return nil
}

func (b *bouncer) Close(uniqID string, ip netip.Addr) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.in--
	b.log = append(b.log, "close "+uniqID+" "+ip.String())
}

func TestLimiter(t *testing.T) {
	onEach(t, func(t *testing.T, h harness) {
		b := &bouncer{limit: 1}
		r := greeter()
		r.OnMessage = func(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
			_ = bus.SingleCast(ctx, e.UniqID, e.Data)
		}
		g := h.start(t, gateway.Config{Router: r, Limiter: b})
		c := g.join()
		_, resp, err := g.dialWith("/", nil)
		if err == nil || resp == nil || resp.StatusCode != 429 {
			t.Fatalf("%v %v, want a 429", resp, err)
		}
		c.send("much too long")
		c.send("short")
		c.expect("short")
		if s := g.Stats(); s.OpensLimited != 1 || s.Drops[hooks.DropLimited].Messages != 1 {
			t.Errorf("counted %d opens and %+v messages", s.OpensLimited, s.Drops[hooks.DropLimited])
		}
		must(t, c.Close())
		g.awaitClients(0)
		must(t, g.stop())
		if want := []string{"open 127.0.0.1", "close " + c.id + " 127.0.0.1"}; !slices.Equal(b.log, want) {
			t.Errorf("limiter saw %v, want %v", b.log, want)
		}
	})
}

// clumsy is a Limiter whose Close panics.
type clumsy struct{ bouncer }

func (*clumsy) Close(string, netip.Addr) { panic("the limiter's own fault") }

// A Limiter that panics when a client goes costs nobody the news of it.
func TestLimiterPanics(t *testing.T) {
	closed := make(chan string, 1)
	g := gatewaytest.New(t, gateway.Config{
		Limiter: &clumsy{bouncer{limit: 1}},
		Router: hooks.RouterFuncs{OnClose: func(_ context.Context, _ hooks.Bus, e hooks.CloseEvent) {
			closed <- e.UniqID
		}},
	})
	c := g.Connect("/")
	id := c.ID()
	c.Cut()
	g.Settle()
	if got := <-closed; got != id || g.Stats().Clients != 0 {
		t.Errorf("Close came for %q, want %q; %d clients are left", got, id, g.Stats().Clients)
	}
}

type dropLog struct {
	mu sync.Mutex
	es []hooks.DropEvent
}

func (d *dropLog) Dropped(e hooks.DropEvent) {
	d.mu.Lock()
	d.es = append(d.es, e)
	d.mu.Unlock()
	panic("an observer's own fault")
}

type runner struct{ began, ended chan struct{} }

func (r runner) Run(ctx context.Context, bus hooks.Bus) error {
	close(r.began)
	<-ctx.Done()
	// Clients are gone, and the Bus still answers.
	_, err := bus.UniqIDCount(context.WithoutCancel(ctx))
	close(r.ended)
	return err
}

func TestObserverAndRunner(t *testing.T) {
	onEach(t, func(t *testing.T, h harness) {
		d, r := new(dropLog), runner{make(chan struct{}), make(chan struct{})}
		g := h.start(t, gateway.Config{Hooks: []any{d, r}})
		<-r.began
		must(t, g.SingleCast(t.Context(), "nobody", msg("12345")))
		must(t, g.stop())
		<-r.ended
		want := []hooks.DropEvent{{Reason: hooks.DropUnknown, Messages: 1, Bytes: 7}}
		if !slices.Equal(d.es, want) {
			t.Errorf("observed %+v, want %+v", d.es, want)
		}
	})
}

func TestMiddleware(t *testing.T) {
	var order []string
	note := func(name string) hooks.Middleware {
		return func(next hooks.Router) hooks.Router {
			return hooks.RouterFuncs{OnMessage: func(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
				order = append(order, name)
				next.Message(ctx, bus, e)
			}}
		}
	}
	r := hooks.Chain(hooks.RouterFuncs{OnMessage: func(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
		order = append(order, string(e.Data))
		_ = bus.SingleCast(ctx, e.UniqID, e.Data)
	}}, note("first"), note("second"))
	c := gatewaytest.New(t, gateway.Config{Router: r}).Connect("/")
	c.Send("message")
	c.Expect("message")
	if want := []string{"first", "second", "message"}; !slices.Equal(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
}

package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	ws "github.com/gorilla/websocket"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/gateway/gatewaytest"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/await"
	"github.com/sluicegate/sluice/internal/leaks"
	"github.com/sluicegate/sluice/internal/transports"
	"github.com/sluicegate/sluice/transport/pipe"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// wait bounds what a test awaits: it is reached only if a promise is broken.
const wait = 20 * time.Second

// A harness is a transport under test.
type harness struct{ transports.Case }

type dialFunc = gatewaytest.Dial

func dialPipe(p *pipe.Transport) dialFunc {
	return func(ctx context.Context, _ *gateway.Gateway) (net.Conn, error) { return p.Dial(ctx) }
}

// onEach runs f against every transport.
func onEach(t *testing.T, f func(t *testing.T, h harness)) {
	for _, c := range transports.All() {
		t.Run(c.Name, func(t *testing.T) { f(t, harness{c}) })
	}
}

// on returns the transport of that name.
func on(name string) harness {
	for _, c := range transports.All() {
		if c.Name == name {
			return harness{c}
		}
	}
	panic("no transport " + name)
}

func onGnet() harness { return on("gnet") }

// host is a gateway that runs for the length of a test.
type host struct {
	*gateway.Gateway
	t    testing.TB
	dial dialFunc
	stop func() error
}

// start runs a gateway on h's transport. The test fails if Run does.
func (h harness) start(t testing.TB, cfg gateway.Config) *host {
	t.Helper()
	setup := h.Setup(t)
	cfg.Transports = setup.Transports
	return run(t, cfg, setup.Dial)
}

func run(t testing.TB, cfg gateway.Config, dial dialFunc) *host {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(testLog{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	gw, err := gateway.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- gw.Run(ctx) }()
	select {
	case <-gw.Ready():
	case err := <-ended:
		t.Fatalf("Run: %v", err)
	case <-time.After(wait):
		t.Fatal("the gateway did not become ready")
	}
	g := &host{Gateway: gw, t: t, dial: dial}
	g.stop = sync.OnceValue(func() error {
		cancel()
		select {
		case err := <-ended:
			return err
		case <-time.After(wait):
			return errors.New("run did not return")
		}
	})
	t.Cleanup(func() {
		if err := g.stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return g
}

// testLog sends warnings to the test's log.
type testLog struct{ t testing.TB }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

// raw connects without a handshake.
func (g *host) raw() net.Conn {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	c, err := g.dial(ctx, g.Gateway)
	if err != nil {
		g.t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(wait))
	g.t.Cleanup(func() { _ = c.Close() })
	return c
}

// client is a third-party WebSocket client, so that the codec is not tested
// against itself.
type client struct {
	*ws.Conn
	t  testing.TB
	id string
}

// dialer connects third-party clients to the gateway, whatever its transport.
func (g *host) dialer() *ws.Dialer {
	return &ws.Dialer{NetDialContext: func(context.Context, string, string) (net.Conn, error) { return g.raw(), nil }}
}

// connect connects a client. If the gateway's Router greets clients with their
// uniqId, see greeter, it is known.
func (g *host) connect(query ...string) *client {
	g.t.Helper()
	conn, resp, err := g.dialer().Dial("ws://gateway.test/ws?"+strings.Join(query, "&"), nil)
	if err != nil {
		body := ""
		if resp != nil {
			b, _ := io.ReadAll(resp.Body)
			body = resp.Status + " " + string(b)
		}
		g.t.Fatalf("handshake: %v %s", err, body)
	}
	return &client{Conn: conn, t: g.t}
}

// join connects a client to a gateway whose Router is a greeter.
func (g *host) join() *client {
	g.t.Helper()
	c := g.connect()
	c.id = c.read()
	return c
}

func (c *client) read() string {
	c.t.Helper()
	_, b, err := c.ReadMessage()
	if err != nil {
		c.t.Fatalf("client %s: %v", c.id, err)
	}
	return string(b)
}

func (c *client) expect(want ...string) {
	c.t.Helper()
	for _, w := range want {
		if got := c.read(); got != w {
			c.t.Fatalf("client %s got %q, want %q", c.id, got, w)
		}
	}
}

func (c *client) send(text string) {
	c.t.Helper()
	if err := c.WriteMessage(ws.TextMessage, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

// expectClose reads up to the close frame and returns the messages before it.
func (c *client) expectClose(code int, reason string) (before []string) {
	c.t.Helper()
	for {
		_, b, err := c.ReadMessage()
		if err == nil {
			before = append(before, string(b))
			continue
		}
		ce := (*ws.CloseError)(nil)
		if !errors.As(err, &ce) || ce.Code != code || ce.Text != reason && !strings.HasPrefix(ce.Text, reason+"; retry-after=") {
			c.t.Fatalf("client %s ended with %v, want close %d %q", c.id, err, code, reason)
		}
		return before
	}
}

// greeter tells each client its uniqId, which is how tests learn it.
func greeter() hooks.RouterFuncs {
	return hooks.RouterFuncs{OnOpen: func(ctx context.Context, bus hooks.Bus, e hooks.OpenEvent) {
		_ = bus.SingleCast(ctx, e.UniqID, []byte(e.UniqID))
	}}
}

// must fails the test on an error.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (g *host) awaitClients(n int) {
	g.t.Helper()
	await.Until(g.t, func() string {
		if got := g.Stats().Clients; got != n {
			return fmt.Sprintf("%d clients, want %d", got, n)
		}
		return ""
	})
}

func msg(s string) []byte { return []byte(s) }

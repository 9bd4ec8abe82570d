package nethttp_test

import (
	"context"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/gateway/gatewaytest"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/leaks"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/gnet"
	"github.com/sluicegate/sluice/transport/nethttp"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// wait bounds what a test awaits: it is reached only if a promise is broken.
const wait = 20 * time.Second

// A mount is a gateway in an HTTP server.
type mount struct {
	*gatewaytest.Gateway
	*nethttp.Transport
	server *httptest.Server
}

// way is how connections are served.
type way struct {
	name   string
	handed bool
}

func ways() []way { return []way{{"goroutines", false}, {"handed over", true}} }

func onBoth(t *testing.T, f func(t *testing.T, w way)) {
	for _, w := range ways() {
		t.Run(w.name, func(t *testing.T) { f(t, w) })
	}
}

// start runs a gateway of cfg in an HTTP server behind middleware, if any.
func (w way) start(t *testing.T, cfg gateway.Config, middleware func(http.Handler) http.Handler) *mount {
	t.Helper()
	m := &mount{Transport: nethttp.New()}
	cfg.Transports = []transport.Transport{m.Transport}
	if w.handed {
		loops := gnet.WithoutListener(gnet.Loops(2))
		m.Transport = nethttp.New(nethttp.HandOver(loops))
		cfg.Transports = []transport.Transport{m.Transport, loops}
	}
	m.serve(t, middleware, nil)
	m.Gateway = gatewaytest.New(t, cfg, gatewaytest.WithDial(m.dial))
	return m
}

// serve starts the HTTP server.
func (m *mount) serve(t *testing.T, middleware func(http.Handler) http.Handler, listener net.Listener) {
	var h http.Handler = m.Transport
	if middleware != nil {
		h = middleware(h)
	}
	m.server = httptest.NewUnstartedServer(h)
	m.server.Config.ErrorLog = log.New(testLog{t}, "", 0)
	if listener != nil {
		_ = m.server.Listener.Close()
		m.server.Listener = listener
	}
	m.server.Start()
	t.Cleanup(m.server.Close)
}

func (m *mount) dial(ctx context.Context, _ *gateway.Gateway) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", m.server.Listener.Addr().String())
}

type testLog struct{ t *testing.T }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

// logBook keeps what is logged.
type logBook struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *logBook) logger() *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }

func (b *logBook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBook) count(s string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Count(b.text.String(), s)
}

// echo returns what clients send.
func echo() hooks.Router {
	return hooks.RouterFuncs{OnMessage: func(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
		_ = bus.SingleCast(ctx, e.UniqID, e.Data)
	}}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func within[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(wait):
		t.Fatalf("timed out: %s", what)
		panic("unreachable")
	}
}

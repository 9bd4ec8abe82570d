package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"testing"
	"time"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/pipe"
)

// bareLoop runs what is posted at once, on the poster's goroutine.
type bareLoop struct{ transport.Loop }

func (l *bareLoop) Post(t transport.Task) error {
	for done := false; !done; {
		_, done = t.Run(1 << 15)
	}
	return nil
}

func (l *bareLoop) PostAlways(t transport.Task) error { return l.Post(t) }

// bareConn takes what is sent to it. Asked to, it says so.
type bareConn struct {
	transport.Conn
	loop  *bareLoop
	value any
	addr  net.Addr
	sent  int
	heard chan struct{}
}

func (c *bareConn) Loop() transport.Loop { return c.loop }
func (c *bareConn) Value() any           { return c.value }
func (c *bareConn) RemoteAddr() net.Addr { return c.addr }
func (c *bareConn) Compressed() bool     { return false }

func (c *bareConn) Send(*transport.Frame) {
	c.sent++
	if c.heard != nil {
		c.heard <- struct{}{}
	}
}

// bareHandshake notes what it was accepted with.
type bareHandshake struct {
	transport.Handshake
	request *http.Request
	addr    net.Addr
	value   any
}

func (hs *bareHandshake) Path() string                    { return hs.request.URL.Path }
func (hs *bareHandshake) RawQuery() string                { return hs.request.URL.RawQuery }
func (hs *bareHandshake) Values(name string) []string     { return hs.request.Header.Values(name) }
func (hs *bareHandshake) Request() *http.Request          { return hs.request }
func (hs *bareHandshake) RemoteAddr() net.Addr            { return hs.addr }
func (hs *bareHandshake) Accept(value any, _ http.Header) { hs.value = value }

// bench is a gateway whose transport does nothing: what is measured is the
// gateway alone.
type bench struct {
	*Gateway
	h     handler
	conns []*bareConn
	ids   []string
}

func newBench(b testing.TB, cfg Config) *bench {
	cfg.Transports = []transport.Transport{pipe.New()}
	cfg.Logger = slog.New(slog.DiscardHandler)
	g, err := New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if !g.workers.stop(time.Minute) {
			b.Error("workers are left")
		}
	})
	return &bench{Gateway: g, h: handler{g}}
}

// connect has a client open its connection.
func (g *bench) connect(l *bareLoop, r *http.Request) *bareConn {
	hs := bareHandshake{request: r, addr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1234}}
	g.h.Handshake(&hs)
	c := &bareConn{loop: l, value: hs.value, addr: hs.addr}
	g.h.Open(c)
	return c
}

// crowd adds clients, half of them on each of two loops, with a session, a
// customer and two topics.
func (g *bench) crowd(b testing.TB, n int) *bench {
	loops := [2]*bareLoop{{}, {}}
	for i := range n {
		c := g.connect(loops[i%len(loops)], upgradeRequest())
		id := peerOf(c).UniqID()
		if err := g.UpdateConnInfo(b.Context(), hooks.ConnInfoUpdate{
			UniqID: id, NewSession: `{"name":"somebody"}`, NewCustomerID: fmt.Sprint("customer-", i), NewTopics: []string{"all", "news"},
		}); err != nil {
			b.Fatal(err)
		}
		g.conns, g.ids = append(g.conns, c), append(g.ids, id)
	}
	return g
}

// sent is how many messages all clients together were sent.
func (g *bench) sent() (n int) {
	for _, c := range g.conns {
		n += c.sent
	}
	return n
}

func upgradeRequest() *http.Request {
	return &http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/ws", RawQuery: "token=0123456789abcdef"}, Header: http.Header{
		"Origin": {"https://example.com"}, "User-Agent": {"Mozilla/5.0 (X11; Linux x86_64)"},
		"X-Forwarded-For": {"203.0.113.7, 192.0.2.9"},
	}}
}

// BenchmarkHandshake is the life of a client that comes and leaves.
func BenchmarkHandshake(b *testing.B) {
	for _, test := range []struct {
		name string
		cfg  Config
	}{
		{"direct", Config{Inline: true}},
		{"proxied", Config{Inline: true, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}},
		{"workers", Config{}},
	} {
		b.Run(test.name, func(b *testing.B) {
			g, l, r := newBench(b, test.cfg), new(bareLoop), upgradeRequest()
			b.ReportAllocs()
			for b.Loop() {
				g.h.Close(g.connect(l, r), transport.CloseCause{Code: 1001, Remote: true})
			}
			if n := g.Stats().Clients; n != 0 {
				b.Fatalf("%d clients are left", n)
			}
		})
	}
}

// BenchmarkMessage is a message of 100 bytes that the Router sends back, inline
// and on a worker, one that says nothing but that the client lives, and one that
// the Limiter does not admit.
func BenchmarkMessage(b *testing.B) {
	echo := hooks.RouterFuncs{OnMessage: func(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
		_ = bus.SingleCast(ctx, e.UniqID, e.Data)
	}}
	message := make([]byte, 100)
	b.Run("inline", func(b *testing.B) {
		g := newBench(b, Config{Router: echo, Inline: true}).crowd(b, 1)
		b.ReportAllocs()
		for b.Loop() {
			g.h.Message(g.conns[0], message, false)
		}
		if n := g.sent(); n != b.N {
			b.Fatalf("%d of %d messages came back", n, b.N)
		}
	})
	for _, underWay := range []int{1, 16} {
		b.Run(fmt.Sprintf("workers/%d", underWay), func(b *testing.B) {
			g := newBench(b, Config{Router: echo}).crowd(b, 1)
			c := g.conns[0]
			c.heard = make(chan struct{}, underWay)
			b.ReportAllocs()
			for b.Loop() {
				for range underWay {
					g.h.Message(c, message, false)
				}
				for range underWay {
					<-c.heard
				}
			}
		})
	}
	b.Run("heartbeat", func(b *testing.B) {
		g := newBench(b, Config{Router: echo, Inline: true}).crowd(b, 1)
		heartbeat := []byte(g.cfg.HeartbeatMessage)
		b.ReportAllocs()
		for b.Loop() {
			g.h.Message(g.conns[0], heartbeat, false)
		}
	})
	b.Run("limited", func(b *testing.B) {
		g := newBench(b, Config{Router: echo, Inline: true, Limiter: noMessages{}}).crowd(b, 1)
		b.ReportAllocs()
		for b.Loop() {
			g.h.Message(g.conns[0], message, false)
		}
		if n := g.sent(); n != 0 {
			b.Fatalf("%d messages came back", n)
		}
	})
}

// noMessages is a Limiter that admits none.
type noMessages struct{}

func (noMessages) Open(netip.Addr) error     { return nil }
func (noMessages) Message(string, int) error { return hooks.ErrClientLimited }
func (noMessages) Close(string, netip.Addr)  {}

// BenchmarkRates is what bringing the rates up to date takes, every few seconds.
func BenchmarkRates(b *testing.B) {
	now := time.Unix(0, 0)
	r, counts := newRates(now), [hooks.MetricItems + 1]int64{}
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(rateTick)
		for i := range counts {
			counts[i] += int64(i)
		}
		r.tick(now, counts)
	}
}

// BenchmarkWatch is one look of the watch at a gateway that has nothing stuck.
func BenchmarkWatch(b *testing.B) {
	g := newBench(b, Config{}).crowd(b, 1000)
	w := watch{g: g.Gateway, after: time.Minute, loops: make(map[transport.Loop]*knock)}
	now := time.Unix(0, 0)
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(w.after / watchLooks)
		w.look(now)
	}
	if n := w.stuck.Load(); n != 0 {
		b.Fatalf("%d are stuck", n)
	}
}

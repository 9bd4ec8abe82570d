package gateway_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/gateway/gatewaytest"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/await"
	"github.com/sluicegate/sluice/internal/wsclient"
	"github.com/sluicegate/sluice/protocol"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/gnet"
	"github.com/sluicegate/sluice/transport/pipe"
	"github.com/sluicegate/sluice/transport/websocket"
)

func TestNewRefuses(t *testing.T) {
	some := []transport.Transport{pipe.New()}
	for _, tc := range []struct {
		cfg  gateway.Config
		says string
	}{
		{gateway.Config{}, "Transports is empty"},
		{gateway.Config{Transports: some, Compression: 10}, "Compression is 10"},
		{gateway.Config{Transports: some, Path: "ws"}, "must begin with a slash"},
		{gateway.Config{Transports: some, WriteLimit: -1}, "WriteLimit is -1"},
		{gateway.Config{Transports: some, TrustedProxies: []netip.Prefix{{}}}, "TrustedProxies[0] is no network"},
		{gateway.Config{Transports: some, ProxyProtocol: []netip.Prefix{
			netip.MustParsePrefix("10.0.0.0/8"), netip.PrefixFrom(netip.MustParseAddr("10.0.0.1"), 33),
		}}, "ProxyProtocol[1] is no network"},
		{gateway.Config{Transports: some, Hooks: []any{struct{}{}}}, "Hooks[0] is a struct {}"},
	} {
		if _, err := gateway.New(tc.cfg); err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("New(%+v): %v, want it to say %q", tc.cfg, err, tc.says)
		}
	}
}

func TestRunReports(t *testing.T) {
	t.Run("an address in use", func(t *testing.T) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		defer ln.Close()
		gw, err := gateway.New(gateway.Config{Transports: []transport.Transport{gnet.Listen(ln.Addr().String())}})
		must(t, err)
		if err := gw.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "in use") {
			t.Errorf("Run: %v", err)
		}
	})
	t.Run("a hook that fails", func(t *testing.T) {
		broken := errors.New("broken")
		gw, err := gateway.New(gateway.Config{
			Transports: []transport.Transport{pipe.New()},
			Hooks:      []any{runFunc(func() error { return broken })},
		})
		must(t, err)
		if err := gw.Run(t.Context()); !errors.Is(err, broken) {
			t.Errorf("Run: %v", err)
		}
		if err := gw.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "before") {
			t.Errorf("second Run: %v", err)
		}
	})
	t.Run("a handler that never returns", func(t *testing.T) {
		p := pipe.New()
		release, entered := make(chan struct{}), make(chan struct{})
		gw, err := gateway.New(gateway.Config{
			Transports: []transport.Transport{p}, StopTimeout: 10 * time.Millisecond,
			Router: hooks.RouterFuncs{OnOpen: func(context.Context, hooks.Bus, hooks.OpenEvent) {
				close(entered)
				<-release
			}},
		})
		must(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		g := &host{Gateway: gw, t: t, dial: dialPipe(p)}
		ended := make(chan error)
		go func() { ended <- gw.Run(ctx) }()
		<-gw.Ready()
		g.connect()
		<-entered
		cancel()
		if err := <-ended; err == nil || !strings.Contains(err.Error(), "have not returned") {
			t.Errorf("Run: %v", err)
		}
		close(release)
	})
}

type runFunc func() error

func (f runFunc) Run(context.Context, hooks.Bus) error { return f() }

// A handler that blocks is told by its context when the gateway stops.
func TestStopCancelsHandlers(t *testing.T) {
	onEach(t, func(t *testing.T, h harness) {
		var closed sync.WaitGroup
		closed.Add(1)
		g := h.start(t, gateway.Config{
			StopTimeout: 50 * time.Millisecond,
			Router: hooks.RouterFuncs{
				OnMessage: func(ctx context.Context, _ hooks.Bus, _ hooks.MessageEvent) { <-ctx.Done() },
				OnClose:   func(context.Context, hooks.Bus, hooks.CloseEvent) { closed.Done() },
			},
		})
		c := g.connect()
		c.send("block")
		await.Until(t, func() string {
			if g.Stats().MessagesIn == 0 {
				return "the message has not arrived"
			}
			return ""
		})
		must(t, g.stop())
		closed.Wait()
		c.expectClose(1012, "restart")
	})
}

// Commands after the end are refused and counted.
func TestBusAfterStop(t *testing.T) {
	onEach(t, func(t *testing.T, h harness) {
		g := h.start(t, gateway.Config{})
		must(t, g.stop())
		must(t, g.Broadcast(t.Context(), msg("nobody is there")))
		if err := g.ForceOfflineGuest(t.Context(), []string{"x"}, time.Hour, nil); err != nil {
			t.Error(err)
		}
	})
}

// Nothing is left when Run has returned: no goroutine (TestMain) and no
// descriptor, whatever the clients do.
func TestNoDescriptorLeft(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("descriptors are counted in /proc")
	}
	h := onGnet()
	count := func() int {
		fds, err := os.ReadDir("/proc/self/fd")
		must(t, err)
		return len(fds)
	}
	var before int
	for round := range 4 {
		g := h.start(t, gateway.Config{Router: greeter()})
		var conns []io.Closer
		for range 20 {
			c := g.join()
			conns = append(conns, c, g.raw()) // one of them never shakes hands
		}
		must(t, g.stop())
		for _, c := range conns {
			_ = c.Close()
		}
		// The runtime opens some of its own on first use.
		if now := count(); round == 0 {
			before = now
		} else if now > before {
			t.Errorf("round %d: %d descriptors, %d after the first", round, now, before)
		}
	}
}

// A panic costs the client on which it happened, and nobody else.
func TestHandlerPanics(t *testing.T) {
	for _, inline := range []bool{false, true} {
		onEach(t, func(t *testing.T, h harness) {
			r := greeter()
			r.OnMessage = func(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
				if string(e.Data) == "panic" {
					panic("handler")
				}
				_ = bus.SingleCast(ctx, e.UniqID, e.Data)
			}
			closed := make(chan string, 8)
			r.OnClose = func(_ context.Context, _ hooks.Bus, e hooks.CloseEvent) {
				closed <- e.UniqID
				panic("in Close as well")
			}
			g := h.start(t, gateway.Config{Router: r, Inline: inline})
			bystander, victim := g.join(), g.join()
			victim.send("panic")
			victim.expectClose(1011, "internal error")
			if id := <-closed; id != victim.id {
				t.Errorf("closed %s, want %s", id, victim.id)
			}
			bystander.send("still served")
			bystander.expect("still served")
		})
	}
}

// startPipe runs a gateway whose clock the test moves.
func startPipe(t *testing.T, cfg gateway.Config) (*host, *pipe.Transport) {
	p := pipe.New()
	cfg.Transports = []transport.Transport{p}
	return run(t, cfg, dialPipe(p)), p
}

// A client that is silent for the heartbeat interval is closed; a heartbeat
// message, a ping and any other message are signs of life, and the first two
// stay out of the business code.
func TestHeartbeat(t *testing.T) {
	for _, tc := range []struct {
		name       string
		op         websocket.Opcode
		data       string
		heartbeats int64
	}{
		{"heartbeat message", websocket.OpText, protocol.DefaultHeartbeat, 4},
		{"ping", websocket.OpPing, "p", 4},
		{"message", websocket.OpText, "m", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			gw := gatewaytest.New(t, gateway.Config{Router: hooks.RouterFuncs{
				OnMessage: func(_ context.Context, _ hooks.Bus, e hooks.MessageEvent) {
					if string(e.Data) != "m" {
						t.Errorf("the Router got %q", e.Data)
					}
				},
			}})
			silent := gw.Connect("/")
			alive, err := wsclient.Open(gw.Dial(), wsclient.Request{})
			must(t, err)
			for range 4 {
				must(t, alive.WriteMessage(tc.op, []byte(tc.data)))
				gw.Advance(50 * time.Second)
			}
			silent.ExpectClose(1001, "heartbeat timeout")
			must(t, gw.Broadcast(t.Context(), msg("alive")))
			if _, got, err := alive.ReadMessage(); string(got) != "alive" {
				t.Errorf("%q, %v", got, err)
			}
			if n := gw.Stats().Heartbeats; n != tc.heartbeats {
				t.Errorf("%d heartbeats counted, want %d", n, tc.heartbeats)
			}
		})
	}
	t.Run("switched off", func(t *testing.T) {
		gw := gatewaytest.New(t, gateway.Config{HeartbeatInterval: -1})
		c := gw.Connect("/")
		gw.Advance(time.Hour)
		c.ExpectNothing()
	})
}

// The socket closes within 2 seconds of the close frame even if the client
// never answers it.
func TestCloseWithoutAnswer(t *testing.T) {
	g, p := startPipe(t, gateway.Config{Router: greeter()})
	c := g.join()
	must(t, g.ForceOffline(t.Context(), []string{c.id}, nil))
	// The third-party client would answer: read the frame as bytes.
	nc := c.UnderlyingConn()
	frame := make([]byte, 2+2+len("forceOffline"))
	if _, err := io.ReadFull(nc, frame); err != nil || frame[0] != 0x88 {
		t.Fatalf("close frame %x, %v", frame, err)
	}
	must(t, nc.SetReadDeadline(time.Now().Add(20*time.Millisecond)))
	if _, err := nc.Read(frame); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("the socket was closed at once: %v", err)
	}
	must(t, nc.SetReadDeadline(time.Now().Add(wait)))
	p.Advance(2 * time.Second)
	if _, err := nc.Read(frame); !errors.Is(err, io.EOF) {
		t.Fatalf("after two seconds: %v", err)
	}
}

// Two gateways in one process do not know of each other.
func TestTwoGateways(t *testing.T) {
	onEach(t, func(t *testing.T, h harness) {
		g1, g2 := h.start(t, gateway.Config{Router: greeter()}), h.start(t, gateway.Config{Router: greeter()})
		c1, c2 := g1.join(), g2.join()
		must(t, g1.Broadcast(t.Context(), msg("1")))
		must(t, g2.Broadcast(t.Context(), msg("2")))
		c1.expect("1")
		c2.expect("2")
		must(t, g1.stop())
		must(t, g2.Broadcast(t.Context(), msg("still here")))
		c2.expect("still here")
	})
}

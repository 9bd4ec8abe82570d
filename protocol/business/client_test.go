package business_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	ws "github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/hooks/remote"
	"github.com/sluicegate/sluice/protocol/business"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/pipe"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// wait bounds what a test awaits: it is reached only if a promise is broken.
const wait = 20 * time.Second

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// background runs f until stop is called, which returns its error.
func background(t *testing.T, f func(context.Context) error) (stop func(), ended chan error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended = make(chan error, 1)
	go func() { ended <- f(ctx) }()
	t.Cleanup(cancel)
	return cancel, ended
}

// site is a gateway for business processes.
type site struct {
	rt   *remote.Router
	gw   *gateway.Gateway
	dial func() *ws.Conn
}

func newSite(t *testing.T) *site {
	t.Helper()
	rt, err := remote.Listen(remote.Config{
		Worker: remote.Listener{Addr: "127.0.0.1:0"}, Task: remote.Listener{Addr: "127.0.0.1:0"},
		Buffer: 1 << 20, BufferAge: wait, Handover: wait, Logger: quiet(),
	})
	must(t, err)
	p := pipe.New()
	gw, err := gateway.New(gateway.Config{Transports: []transport.Transport{p}, Router: rt, Logger: quiet()})
	must(t, err)
	stop, ended := background(t, gw.Run)
	t.Cleanup(func() {
		stop()
		must(t, <-ended)
	})
	<-gw.Ready()
	d := &ws.Dialer{NetDialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return p.Dial(ctx) }}
	return &site{rt: rt, gw: gw, dial: func() *ws.Conn {
		c, _, err := d.Dial("ws://gateway.test/", nil)
		must(t, err)
		_ = c.SetReadDeadline(time.Now().Add(wait))
		t.Cleanup(func() { c.Close() })
		return c
	}}
}

// config is for a client of the site.
func (s *site) config(r hooks.Router) business.Config {
	return business.Config{
		Gateways: []business.Gateway{{Worker: s.rt.WorkerAddr().String(), Task: s.rt.TaskAddr().String()}},
		Router:   r, Logger: quiet(), MinBackoff: time.Millisecond, MaxBackoff: 10 * time.Millisecond,
	}
}

func expect(t *testing.T, c *ws.Conn, want string) {
	t.Helper()
	if _, b, err := c.ReadMessage(); err != nil || string(b) != want {
		t.Fatalf("got %q, %v, want %q", b, err, want)
	}
}

func eventually(t testing.TB, cond func() bool, what string) {
	t.Helper()
	for deadline := time.Now().Add(wait); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
	}
}

// Run ends when everything is done that the process was sent, and nothing is in
// doubt then.
func TestStopFinishesWhatItHas(t *testing.T) {
	s := newSite(t)
	began, release := make(chan struct{}), make(chan struct{})
	c, err := business.New(s.config(hooks.RouterFuncs{OnMessage: func(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
		if string(e.Data) == "first" {
			close(began)
			<-release
		}
		if err := bus.SingleCast(ctx, e.UniqID, e.Data); err != nil {
			t.Error(err)
		}
	}}))
	must(t, err)
	stop, ended := background(t, c.Run)
	<-c.Ready()
	client := s.dial()
	must(t, client.WriteMessage(ws.TextMessage, []byte("first")))
	must(t, client.WriteMessage(ws.TextMessage, []byte("second")))
	<-began
	eventually(t, func() bool { return s.rt.Stats().Sent == 3 }, "the events were not sent")
	stop()
	eventually(t, func() bool { return s.rt.Stats().Processes == 0 }, "it did not unregister")
	select {
	case err := <-ended:
		t.Fatalf("Run returned %v while a handler runs", err)
	case <-time.After(20 * time.Millisecond):
	}
	close(release)
	expect(t, client, "first")
	expect(t, client, "second")
	must(t, <-ended)
	eventually(t, func() bool { return s.rt.Stats().Tasks == 0 }, "task connections are left")
	if st := s.rt.Stats(); st.InDoubt != 0 || c.Stats().Lost != 0 || c.Stats().Handled != 3 {
		t.Errorf("%+v, %+v", st, c.Stats())
	}
	if err := c.Broadcast(t.Context(), nil); !errors.Is(err, hooks.ErrStopped) {
		t.Errorf("a command after the end: %v", err)
	}
	if err := c.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "before") {
		t.Errorf("a second Run: %v", err)
	}
}

// A handler that does not heed its context is an error, and not waited for.
func TestStubbornHandler(t *testing.T) {
	s := newSite(t)
	began, release := make(chan struct{}), make(chan struct{})
	cfg := s.config(hooks.RouterFuncs{OnOpen: func(context.Context, hooks.Bus, hooks.OpenEvent) {
		close(began)
		<-release
	}})
	cfg.StopTimeout = 20 * time.Millisecond
	c, err := business.New(cfg)
	must(t, err)
	stop, ended := background(t, c.Run)
	<-c.Ready()
	s.dial()
	<-began
	stop()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "have not returned") {
		t.Errorf("Run: %v", err)
	}
	close(release)
}

// A handler that panics costs its event.
func TestPanickingHandler(t *testing.T) {
	s := newSite(t)
	c, err := business.New(s.config(hooks.RouterFuncs{OnMessage: func(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
		if string(e.Data) == "panic" {
			panic("handler")
		}
		_ = bus.SingleCast(ctx, e.UniqID, e.Data)
	}}))
	must(t, err)
	stop, ended := background(t, c.Run)
	client := s.dial()
	must(t, client.WriteMessage(ws.TextMessage, []byte("panic")))
	must(t, client.WriteMessage(ws.TextMessage, []byte("calm")))
	expect(t, client, "calm")
	stop()
	must(t, <-ended)
}

// One worker at a time, and a backlog of next to nothing, slow a process down
// and lose nothing.
func TestBackPressure(t *testing.T) {
	s := newSite(t)
	cfg := s.config(hooks.RouterFuncs{OnMessage: func(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
		_ = bus.SingleCast(ctx, e.UniqID, e.Data)
	}})
	cfg.Workers, cfg.Backlog, cfg.SendQueue, cfg.TaskConns = 1, 1, 1, 1
	c, err := business.New(cfg)
	must(t, err)
	stop, ended := background(t, c.Run)
	a, b := s.dial(), s.dial()
	const n = 500
	for _, conn := range []*ws.Conn{a, b} {
		go func() {
			for i := range n {
				_ = conn.WriteMessage(ws.TextMessage, []byte{byte('a' + i%26)})
			}
		}()
	}
	for i := range n {
		expect(t, a, string(rune('a'+i%26)))
		expect(t, b, string(rune('a'+i%26)))
	}
	stop()
	must(t, <-ended)
}

// nobody is an address at which nobody listens.
func nobody(t *testing.T) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer ln.Close()
	return ln.Addr().String()
}

// A gateway that is not there is an error that says so, within the caller's
// time or the client's.
func TestUnreachable(t *testing.T) {
	addr := nobody(t)
	c, err := business.New(business.Config{
		Gateways: []business.Gateway{{Task: addr}}, Wait: 50 * time.Millisecond, Logger: quiet(),
		MinBackoff: time.Millisecond, MaxBackoff: time.Millisecond,
	})
	must(t, err)
	stop, ended := background(t, c.Run)
	err = c.SingleCast(t.Context(), "x", nil)
	gone := (*business.UnreachableError)(nil)
	if !errors.As(err, &gone) || gone.Addr != addr || gone.Err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("a command: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := c.UniqIDs(ctx); !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &gone) {
		t.Errorf("a question: %v", err)
	}
	cancel()
	if err := c.Broadcast(ctx, nil); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
		t.Errorf("a context that has ended: %v", err)
	}
	stop()
	must(t, <-ended)
}

// A gateway that accepts and says nothing is given up on; what comes late is
// not taken for the answer to something else.
func TestSilentGateway(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer ln.Close()
	conns := make(chan net.Conn, 1)
	go func() {
		if c, err := ln.Accept(); err == nil {
			conns <- c
		}
	}()
	c, err := business.New(business.Config{
		Gateways: []business.Gateway{{Task: ln.Addr().String()}}, TaskConns: 1, Wait: wait, StopTimeout: 10 * time.Millisecond, Logger: quiet(),
	})
	must(t, err)
	stop, ended := background(t, c.Run)
	conn := <-conns
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := c.UniqIDCount(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("no answer: %v", err)
	}
	answer := make(chan int, 1)
	go func() {
		n, _ := c.UniqIDCount(context.Background())
		answer <- n
	}()
	// Both questions have come; the answers are 5 and 7.
	var asked [16]byte
	_, err = io.ReadFull(conn, asked[:])
	must(t, err)
	for _, n := range []byte{5, 7} {
		_, err = conn.Write([]byte{0, 0, 0, 6, 0x35, 0xa4, 0xf4, 0xbf, 8, n})
		must(t, err)
	}
	if n := <-answer; n != 7 {
		t.Errorf("the second question was answered %d", n)
	}
	// An answer that nobody asked for ends the connection.
	_, err = conn.Write([]byte{0, 0, 0, 4, 0x35, 0xa4, 0xf4, 0xbf})
	must(t, err)
	if _, err := io.ReadFull(conn, asked[:]); err == nil {
		t.Error("the connection is still used")
	}
	conn.Close()
	stop()
	must(t, <-ended)
}

func TestConfig(t *testing.T) {
	one := []business.Gateway{{Task: "x"}}
	for want, cfg := range map[string]business.Config{
		"Config.Gateways is empty":           {},
		"Config.Gateways[0].Task":            {Gateways: []business.Gateway{{Worker: "x"}}},
		"Config.Events is 8":                 {Gateways: one, Events: 8},
		"Config.Workers is negative":         {Gateways: one, Workers: -1},
		"Config.MaxBackoff is 1s, less than": {Gateways: one, MinBackoff: 2 * time.Second, MaxBackoff: time.Second},
	} {
		if _, err := business.New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want something of %q", err, want)
		}
	}
}

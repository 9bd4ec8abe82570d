package nethttp_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/gateway/gatewaytest"
	"github.com/sluicegate/sluice/internal/wsclient"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/gnet"
	"github.com/sluicegate/sluice/transport/nethttp"
	"github.com/sluicegate/sluice/transport/websocket"
)

// goroutines counts those whose stack has the text.
func goroutines(text string) int {
	buf := make([]byte, 1<<20)
	return strings.Count(string(buf[:runtime.Stack(buf, true)]), text)
}

// A client costs one goroutine while it is at rest, and none if it was handed
// over.
func TestGoroutines(t *testing.T) {
	const clients = 50
	onBoth(t, func(t *testing.T, w way) {
		m := w.start(t, gateway.Config{Router: echo()}, nil)
		want := clients
		if w.handed {
			want = 0
		}
		for range clients {
			c := m.Connect("/")
			c.Send("x")
			c.Expect("x")
		}
		m.Eventually("writers and requests are gone", func() bool {
			return goroutines("nethttp.(*socket).write(") == 0 && goroutines("http.(*conn).serve(") == 0
		})
		if got := goroutines("nethttp.(*socket).read("); got != want {
			t.Errorf("%d goroutines read for %d clients, want %d", got, clients, want)
		}
	})
}

// A host stops the server first or the gateway first: the clients hear of it either
// way, and nothing waits for anything that cannot come.
func TestStop(t *testing.T) {
	stopServer := func(t *testing.T, m *mount) {
		must(t, m.server.Config.Shutdown(t.Context()))
		m.Eventually("the clients are told", func() bool { return m.Stats().Clients == 0 }) // on a goroutine of the server's
	}
	stopGateway := func(t *testing.T, m *mount) { must(t, m.Stop()) }
	for _, c := range []struct {
		name   string
		steps  []func(*testing.T, *mount)
		code   int
		reason string
	}{
		{"the server first", []func(*testing.T, *mount){stopServer, stopGateway}, 1001, "going away"},
		{"the gateway first", []func(*testing.T, *mount){stopGateway, stopServer}, 1012, "restart"},
	} {
		t.Run(c.name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, w way) {
				m := w.start(t, gateway.Config{Router: echo()}, nil)
				m.server.Config.RegisterOnShutdown(m.Shutdown)
				c1, c2 := m.Connect("/"), m.Connect("/")
				m.Eventually("both are listed", func() bool { return m.Stats().Clients == 2 })
				var reading sync.WaitGroup
				for _, client := range []*gatewaytest.Client{c1, c2} {
					reading.Go(func() { client.ExpectClose(c.code, c.reason) })
				}
				for _, step := range c.steps {
					step(t, m)
				}
				reading.Wait()
			})
		})
	}
}

// After Shutdown the gateway goes on: other transports serve, and so does the
// HTTP server, which tells clients to come back.
func TestShutdownTwice(t *testing.T) {
	onBoth(t, func(t *testing.T, w way) {
		m := w.start(t, gateway.Config{}, nil)
		c := m.Connect("/")
		m.Shutdown()
		m.Shutdown()
		c.ExpectClose(1001, "going away")
		if _, err := m.TryConnect("/"); err == nil || !strings.Contains(err.Error(), "Service Unavailable") {
			t.Errorf("after Shutdown: %v, want 503", err)
		}
	})
}

// Connections that cannot be handed over are served all the same, and the host
// is told once.
func TestHandOverFallsBack(t *testing.T) {
	stranger := gnet.WithoutListener() // of no gateway
	m, book := &mount{Transport: nethttp.New(nethttp.HandOver(stranger))}, new(logBook)
	m.serve(t, nil, nil)
	m.Gateway = gatewaytest.New(t, gateway.Config{
		Transports: []transport.Transport{m.Transport}, Router: echo(), Logger: book.logger(),
	}, gatewaytest.WithDial(m.dial))
	for range 3 {
		c := m.Connect("/")
		c.Send("x")
		c.Expect("x")
	}
	if n := book.count("not handed over"); n != 1 {
		t.Errorf("logged %d times, want once", n)
	}
}

// A transport that never got a client of another gateway's adopter, because it
// was given that by mistake, leaves its clients alone.
func TestShutdownLeavesStrangers(t *testing.T) {
	loops := gnet.WithoutListener(gnet.Loops(1))
	theirs := &mount{Transport: nethttp.New(nethttp.HandOver(loops))}
	theirs.serve(t, nil, nil)
	theirs.Gateway = gatewaytest.New(t, gateway.Config{
		Transports: []transport.Transport{theirs.Transport, loops}, Router: echo(),
	}, gatewaytest.WithDial(theirs.dial))
	ours := &mount{Transport: nethttp.New(nethttp.HandOver(loops))}
	ours.serve(t, nil, nil)
	ours.Gateway = gatewaytest.New(t, gateway.Config{
		Transports: []transport.Transport{ours.Transport}, Router: echo(),
	}, gatewaytest.WithDial(ours.dial))
	stranger, own := theirs.Connect("/"), ours.Connect("/")
	own.ID() // it is open
	stranger.ID()
	ours.Shutdown()
	own.ExpectClose(1001, "going away")
	stranger.Send("x")
	stranger.Expect("x")
}

// A gate is a listener whose connections write only while it is open.
type gate struct {
	net.Listener
	mu     sync.Mutex
	opened sync.Cond
	shut   bool
	writes [][]byte
}

func newGate(t *testing.T) *gate {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	g := &gate{Listener: ln}
	g.opened.L = &g.mu
	return g
}

func (g *gate) set(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = shut
	g.opened.Broadcast()
}

func (g *gate) Accept() (net.Conn, error) {
	c, err := g.Listener.Accept()
	return gated{c, g}, err
}

type gated struct {
	net.Conn
	g *gate
}

func (c gated) Write(p []byte) (int, error) {
	c.g.mu.Lock()
	c.g.writes = append(c.g.writes, bytes.Clone(p))
	for c.g.shut {
		c.g.opened.Wait()
	}
	c.g.mu.Unlock()
	return c.Conn.Write(p)
}

// What gathers while a write is under way leaves in one write after it, in order.
func TestWritesCoalesce(t *testing.T) {
	g := newGate(t)
	m := &mount{Transport: nethttp.New()}
	m.serve(t, nil, g)
	m.Gateway = gatewaytest.New(t, gateway.Config{Transports: []transport.Transport{m.Transport}}, gatewaytest.WithDial(m.dial))
	c := m.Connect("/")
	id := c.ID()
	g.set(true)
	g.mu.Lock()
	g.writes = nil
	g.mu.Unlock()
	var want []string
	send := func(text string) {
		want = append(want, text)
		must(t, m.SingleCast(t.Context(), id, []byte(text)))
	}
	send("first")
	m.Eventually("the first is being written", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return len(g.writes) == 1
	})
	for _, text := range strings.Split("and all the others go together", " ") {
		send(text)
	}
	if out := m.Stats().MessagesOut; out != 0 {
		t.Errorf("%d messages count as written before any was", out)
	}
	g.set(false)
	c.Expect(want...)
	m.Eventually("all are counted", func() bool { return m.Stats().MessagesOut == int64(len(want)) })
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.writes) != 2 {
		t.Errorf("%d writes, want 2: %q", len(g.writes), g.writes)
	}
}

// Delivering to clients that are served by goroutines allocates for the message,
// and now and then for a goroutine, not for each recipient.
func TestFanoutAllocations(t *testing.T) {
	const clients = 200
	m := way{}.start(t, gateway.Config{}, nil)
	var reading sync.WaitGroup
	var conns []net.Conn
	for range clients {
		c := m.Connect("/")
		must(t, m.Subscribe(t.Context(), c.ID(), []string{"all"}, nil))
		conn := c.Hijack()
		conns = append(conns, conn)
		reading.Go(func() {
			buf := make([]byte, 4096)
			for {
				if _, err := conn.Read(buf); err != nil {
					return
				}
			}
		})
	}
	data, ctx := []byte("to all"), context.Background()
	publish := func() {
		want := m.Stats().MessagesOut + clients
		must(t, m.Publish(ctx, []string{"all"}, data))
		for m.Stats().MessagesOut < want {
			runtime.Gosched()
		}
	}
	for range 20 {
		publish() // buffers and goroutines are there afterwards
	}
	if allocs := testing.AllocsPerRun(50, publish); allocs >= clients {
		t.Errorf("%.0f allocations for a message to %d clients", allocs, clients)
	}
	for _, c := range conns {
		_ = c.Close()
	}
	reading.Wait()
}

// One handler serves several servers at once, as a host with a public and a
// private port has them.
func TestTwoServers(t *testing.T) {
	m := way{handed: true}.start(t, gateway.Config{Router: echo()}, nil)
	second := httptest.NewServer(m.Transport)
	t.Cleanup(second.Close)
	conn, err := net.Dial("tcp", second.Listener.Addr().String())
	must(t, err)
	defer conn.Close()
	b, err := wsclient.Open(conn, wsclient.Request{})
	must(t, err)
	a := m.Connect("/")
	a.Send("x")
	a.Expect("x")
	must(t, b.WriteMessage(websocket.OpText, []byte("y")))
	if _, data, err := b.ReadMessage(); err != nil || string(data) != "y" {
		t.Errorf("%q, %v", data, err)
	}
}

// A host may keep a connection's address, as a ConnState hook that lists
// connections does, and look at it on goroutines of its own.
func TestAddressesAreTheHosts(t *testing.T) {
	loops := gnet.WithoutListener(gnet.Loops(1))
	m := &mount{Transport: nethttp.New(nethttp.HandOver(loops))}
	var looking sync.WaitGroup
	end := make(chan struct{})
	m.server = httptest.NewUnstartedServer(m.Transport)
	m.server.Config.ConnState = func(c net.Conn, s http.ConnState) {
		if s == http.StateNew {
			local, remote := c.LocalAddr(), c.RemoteAddr()
			looking.Go(func() {
				for done := false; !done; {
					_, _ = local.String(), remote.String()
					select {
					case <-end:
						done = true
					default:
					}
				}
			})
		}
	}
	m.server.Start()
	t.Cleanup(m.server.Close)
	m.Gateway = gatewaytest.New(t, gateway.Config{
		Transports: []transport.Transport{m.Transport, loops}, Router: echo(),
	}, gatewaytest.WithDial(m.dial))
	c := m.Connect("/")
	c.Send("x")
	c.Expect("x")
	close(end)
	looking.Wait()
}

// A porter is a listener whose connections, from when it is told so, ask before
// they write.
type porter struct {
	net.Listener
	asking   atomic.Bool
	ask, may chan struct{}
}

func (p *porter) Accept() (net.Conn, error) {
	c, err := p.Listener.Accept()
	if p.asking.Load() {
		c = asker{c, p}
	}
	return c, err
}

type asker struct {
	net.Conn
	p *porter
}

func (a asker) Write(b []byte) (int, error) {
	a.p.ask <- struct{}{}
	<-a.p.may
	return a.Conn.Write(b)
}

// A client that was welcomed just when the gateway stops, and that takes no
// goodbye, holds nobody up.
func TestSlowGoodbye(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	p := &porter{Listener: ln, ask: make(chan struct{}), may: make(chan struct{})}
	m := &mount{Transport: nethttp.New(nethttp.Loops(1))}
	m.serve(t, nil, p)
	m.Gateway = gatewaytest.New(t, gateway.Config{Transports: []transport.Transport{m.Transport}}, gatewaytest.WithDial(m.dial))
	other := m.Connect("/")
	other.ID() // it is open
	early := other.Hijack()
	p.asking.Store(true)
	late := m.Dial()
	_, err = io.WriteString(late, handshake)
	must(t, err)
	within(t, p.ask, "the welcome is not written")
	stopped := make(chan error, 1)
	go func() { stopped <- m.Stop() }()
	goodbye := websocket.AppendClose(nil, 1012, "restart; retry-after=1")
	got, but := make([]byte, len(goodbye)), len(goodbye)-1 // for the time, which is random
	if _, err := io.ReadFull(early, got); err != nil || !bytes.Equal(got[:but], goodbye[:but]) {
		t.Fatalf("got %q, %v, want %q", got, err, goodbye)
	}
	p.may <- struct{}{}
	within(t, p.ask, "the goodbye is not written")
	_, err = early.Write(masked(websocket.OpClose, "\x03\xe9"))
	must(t, err)
	must(t, early.SetReadDeadline(time.Now().Add(wait/4)))
	if _, err := early.Read(got); err != io.EOF {
		t.Errorf("while another is being told, a client's end is %v", err)
	}
	p.may <- struct{}{}
	must(t, within(t, stopped, "the gateway does not stop"))
}

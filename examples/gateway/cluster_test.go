package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/natstest"
	"github.com/sluicegate/sluice/protocol"
	sdk "github.com/sluicegate/sluice/protocol/business"
)

// inCluster is the arguments of a gateway of a cluster.
func inCluster(nats string, more ...string) []string {
	return anyPort(append([]string{"-Cluster.Servers", nats}, more...)...)
}

// startTwo starts two gateways of one cluster, and returns when they know each other.
func startTwo(t *testing.T, more ...string) (a, b server) {
	t.Helper()
	return startTwoOn(t, natstest.Start(t).ClientURL(), more...)
}

func startTwoOn(t *testing.T, nats string, more ...string) (a, b server) {
	t.Helper()
	a, b = start(t, inCluster(nats, more...)...), start(t, inCluster(nats, more...)...)
	for _, s := range []server{a, b} {
		await(t, "the other node", func() bool { return strings.Contains(s.log.String(), `msg="node joined"`) })
	}
	return a, b
}

// await waits for what is seen by looking only.
func await(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for began := time.Now(); !cond(); time.Sleep(time.Millisecond) {
		if time.Since(began) > 10*time.Second {
			t.Fatalf("in vain: %s", what)
		}
	}
}

// dialing runs a business process of package business that dials gateways.
func dialing(t *testing.T, r hooks.Router, gateways ...server) *sdk.Client {
	t.Helper()
	cfg := sdk.Config{Router: r, Logger: slog.New(slog.DiscardHandler)}
	for _, g := range gateways {
		cfg.Gateways = append(cfg.Gateways, sdk.Gateway{Worker: g.worker, Task: g.task})
	}
	c, err := sdk.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	<-c.Ready()
	return c
}

// commands is what the tests use of a hooks.Bus.
type commands interface {
	SingleCast(ctx context.Context, uniqID string, data []byte) error
	Broadcast(ctx context.Context, data []byte) error
	Subscribe(ctx context.Context, uniqID string, topics []string, data []byte) error
	Publish(ctx context.Context, topics []string, data []byte) error
	ForceOffline(ctx context.Context, uniqIDs []string, data []byte) error
	UniqIDs(ctx context.Context) ([]string, error)
	UniqIDCount(ctx context.Context) (int, error)
	TopicUniqIDCounts(ctx context.Context, topics []string, all bool) (map[string]int, error)
}

// A visitor is a client that knows its id.
type visitor struct {
	*websocket.Conn
	t  *testing.T
	id string
}

// visit connects a client, whose id bus finds out: it begins with the address of the
// gateway.
func (s server) visit(t *testing.T, bus commands) visitor {
	t.Helper()
	v := visitor{Conn: s.dial(t), t: t}
	await(t, "the client's id", func() bool {
		all, err := bus.UniqIDs(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range all {
			if id, err := protocol.ParseUniqID(one); err == nil && id.Node.String() == s.task {
				v.id = one
			}
		}
		return v.id != ""
	})
	return v
}

func (v visitor) expect(want ...string) {
	v.t.Helper()
	for _, w := range want {
		if _, data, err := v.ReadMessage(); err != nil || string(data) != w {
			v.t.Fatalf("client %s got %q, %v, want %q", v.id, data, err, w)
		}
	}
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// A process that dials one gateway reaches the clients of all, whoever has written it.
func TestOneGatewayReachesAll(t *testing.T) {
	here, there := startTwo(t, "-Cluster.Whole")
	var mu sync.Mutex
	var opened []string
	for name, dial := range map[string]func(hooks.Router) commands{
		"package business":                       func(r hooks.Router) commands { return dialing(t, r, here) },
		"another implementation of the protocol": func(hooks.Router) commands { return dialPeer(t, here.task) },
	} {
		t.Run(name, func(t *testing.T) {
			bus := dial(hooks.RouterFuncs{OnOpen: func(_ context.Context, _ hooks.Bus, e hooks.OpenEvent) {
				mu.Lock()
				defer mu.Unlock()
				opened = append(opened, e.UniqID)
			}})
			reachAll(t, bus, here, there)
		})
	}
	mu.Lock()
	defer mu.Unlock()
	for _, id := range opened {
		if u, err := protocol.ParseUniqID(id); err != nil || u.Node.String() != here.task {
			t.Errorf("the process was told of %s, which is not of its gateway", id)
		}
	}
	if len(opened) == 0 {
		t.Error("the process was told of nobody")
	}
}

// reachAll acts on a client of each gateway.
func reachAll(t *testing.T, bus commands, here, there server) {
	ctx, near, far := t.Context(), here.visit(t, bus), there.visit(t, bus)
	if n, err := bus.UniqIDCount(ctx); err != nil || n != 2 {
		t.Errorf("there are %d clients, %v", n, err)
	}
	topics := []string{"news"}
	must(t, bus.SingleCast(ctx, far.id, []byte("to one")),
		bus.Subscribe(ctx, far.id, topics, []byte("subscribed")), bus.Subscribe(ctx, near.id, topics, nil))
	if n, err := bus.TopicUniqIDCounts(ctx, topics, false); err != nil || n["news"] != 2 {
		t.Errorf("the topic has %v, %v", n, err)
	}
	must(t, bus.Publish(ctx, topics, []byte("to a topic")), bus.Broadcast(ctx, []byte("to all")))
	far.expect("to one", "subscribed", "to a topic", "to all")
	near.expect("to a topic", "to all")

	must(t, bus.ForceOffline(ctx, []string{far.id}, []byte("bye")))
	far.expect("bye")
	if _, _, err := far.ReadMessage(); !websocket.IsCloseError(err, websocket.ClosePolicyViolation) {
		t.Errorf("the client that was put offline ended with %v", err)
	}
	must(t, bus.SingleCast(ctx, near.id, []byte("not you")))
	near.expect("not you")
	must(t, bus.ForceOffline(ctx, []string{near.id}, nil))
	await(t, "that nobody is left", func() bool {
		n, err := bus.UniqIDCount(ctx)
		return err == nil && n == 0
	})
}

// What business code in the process does in an event's place reaches others too.
func TestHandlerReachesAll(t *testing.T) {
	here, there := startTwo(t, "-Cluster.Whole")
	bus := dialing(t, hooks.RouterFuncs{OnMessage: func(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
		_ = bus.Broadcast(ctx, e.Data)
	}}, here)
	near, far := here.visit(t, bus), there.visit(t, bus)
	const messages = 100
	for i := range messages {
		must(t, near.WriteMessage(websocket.TextMessage, fmt.Append(nil, i)))
	}
	for i := range messages {
		near.expect(fmt.Sprint(i))
		far.expect(fmt.Sprint(i))
	}
}

// A process that dials every gateway sees them as if there was no cluster: each client
// gets each message once, and is counted once.
func TestEveryGatewayIsDialed(t *testing.T) {
	a, b := startTwo(t)
	bus := dialing(t, hooks.RouterFuncs{}, a, b)
	ctx, one, two := t.Context(), a.visit(t, bus), b.visit(t, bus)
	if n, err := bus.UniqIDCount(ctx); err != nil || n != 2 {
		t.Errorf("there are %d clients, %v", n, err)
	}
	topics := []string{"news"}
	must(t, bus.Subscribe(ctx, one.id, topics, nil), bus.Subscribe(ctx, two.id, topics, nil))
	if n, err := bus.TopicUniqIDCounts(ctx, topics, false); err != nil || n["news"] != 2 {
		t.Errorf("the topic has %v, %v", n, err)
	}
	for i := range 50 { // what came twice would come between these
		must(t, bus.Broadcast(ctx, fmt.Append(nil, "to all ", i)), bus.Publish(ctx, topics, fmt.Append(nil, "to a topic ", i)),
			bus.Multicast(ctx, []string{two.id, one.id}, fmt.Append(nil, "to some ", i)), bus.SingleCast(ctx, two.id, fmt.Append(nil, "to one ", i)))
		for _, v := range []visitor{one, two} {
			v.expect(fmt.Sprint("to all ", i), fmt.Sprint("to a topic ", i), fmt.Sprint("to some ", i))
		}
		two.expect(fmt.Sprint("to one ", i))
	}

	// An existing client of the protocol has a connection for each gateway.
	first, second := dialPeer(t, a.task), dialPeer(t, b.task)
	for _, p := range []*peerBus{first, second} {
		if n, err := p.UniqIDCount(ctx); err != nil || n != 1 {
			t.Errorf("a gateway has %d clients, %v", n, err)
		}
		must(t, p.Broadcast(ctx, []byte("to all of it")))
	}
	must(t, second.SingleCast(ctx, two.id, []byte("to one")), first.SingleCast(ctx, two.id, []byte("to a stranger")))
	if _, err := first.UniqIDCount(ctx); err != nil { // all is carried out
		t.Error(err)
	}
	must(t, bus.ForceOffline(ctx, []string{one.id, two.id}, []byte("bye")))
	one.expect("to all of it", "bye")
	two.expect("to all of it", "to one", "bye")
}

// A barred server takes connections, and says nothing before it is let.
type barred struct {
	addr string
	came chan struct{} // has something in it when there is a connection
	let  func()
}

// bar puts one before another.
func bar(t *testing.T, to string) barred {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	open := make(chan struct{})
	b := barred{ln.Addr().String(), make(chan struct{}, 1), sync.OnceFunc(func() { close(open) })}
	var passing sync.WaitGroup
	pass := func(in net.Conn) {
		defer in.Close()
		<-open
		out, err := net.Dial("tcp", to)
		if err != nil {
			return
		}
		defer out.Close()
		passing.Go(func() {
			_, _ = io.Copy(out, in)
			out.Close()
		})
		_, _ = io.Copy(in, out)
	}
	passing.Go(func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			select {
			case b.came <- struct{}{}:
			default:
			}
			passing.Go(func() { pass(in) })
		}
	})
	t.Cleanup(func() {
		b.let()
		ln.Close()
		passing.Wait()
	})
	return b
}

// A gateway is not ready before it has joined, and stays ready when NATS goes away, as
// it serves its own clients.
func TestReadyInACluster(t *testing.T) {
	nats := natstest.Start(t)
	barred := bar(t, nats.Addr().String())
	free, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	free.Close()

	started := make(chan server, 1)
	go func() {
		defer close(started)
		started <- start(t, inCluster("nats://"+barred.addr, "-Admin.ListenAddress", free.Addr().String())...)
	}()
	select {
	case <-barred.came:
	case <-started:
		t.Fatal("it has started by itself")
	}
	probe, err := net.Dial("tcp", free.Addr().String())
	must(t, err)
	defer probe.Close()
	_, err = io.WriteString(probe, "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
	must(t, err, probe.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	if answer, err := io.ReadAll(probe); len(answer) > 0 || err == nil {
		t.Errorf("before it has joined, it says %q, %v", answer, err)
	}
	barred.let()
	s, ok := <-started
	if !ok {
		return // and start has said why
	}
	must(t, probe.SetReadDeadline(time.Now().Add(10*time.Second)))
	if answer, err := io.ReadAll(probe); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 200 ") {
		t.Errorf("it says %q, %v", answer, err)
	}

	client, task := s.dial(t), dialBusiness(t, s.task)
	awaitListed(t, task)
	nats.Shutdown()
	await(t, "that it is noticed", func() bool { return strings.Contains(s.log.String(), `msg="cluster lost"`) })
	if status, body := s.get(t, "/readyz", ""); status != 200 {
		t.Errorf("without NATS: %d %s", status, body)
	}
	broadcastReaches(t, task, client, "still here")
}

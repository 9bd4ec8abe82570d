package business_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/protocol"
	"github.com/sluicegate/sluice/protocol/business"
)

// fake is a gateway that writes down what it is sent and answers as it is told.
type fake struct {
	t            testing.TB
	worker, task net.Listener
	all          sync.WaitGroup

	mu      sync.Mutex
	log     []packet
	conns   []*fakeConn
	replies map[protocol.Cmd_Number]proto.Message // besides an empty answer
	mute    map[protocol.Cmd_Number]bool          // not answered
	refuse  int                                   // so many Registers are refused
}

// packet is something that came over a connection: a command, a heartbeat, or
// the end, which is io.EOF where the other side has closed its half in order.
type packet struct {
	conn *fakeConn
	cmd  protocol.Cmd_Number
	body []byte
	end  error
	beat bool
}

type fakeConn struct {
	net.Conn
	g      *fake
	worker bool
	wmu    sync.Mutex
}

// newFake listens. Its goroutines have ended when the test has.
func newFake(t testing.TB) *fake {
	t.Helper()
	g := &fake{t: t, replies: map[protocol.Cmd_Number]proto.Message{}, mute: map[protocol.Cmd_Number]bool{}}
	var err error
	g.worker, err = net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	g.task, err = net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	g.all.Go(func() { g.accept(g.worker, true) })
	g.all.Go(func() { g.accept(g.task, false) })
	t.Cleanup(func() {
		g.worker.Close()
		g.task.Close()
		g.cut(true)
		g.cut(false)
		g.all.Wait()
	})
	return g
}

func (g *fake) accept(ln net.Listener, worker bool) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		g.adopt(conn, worker)
	}
}

// adopt serves a connection.
func (g *fake) adopt(conn net.Conn, worker bool) *fakeConn {
	c := &fakeConn{Conn: conn, g: g, worker: worker}
	g.mu.Lock()
	g.conns = append(g.conns, c)
	g.mu.Unlock()
	g.all.Go(c.read)
	return c
}

func (c *fakeConn) read() {
	defer c.Close()
	rd := protocol.NewReader(c, 64<<20, nil)
	for {
		p, err := rd.Next()
		c.g.mu.Lock()
		c.g.log = append(c.g.log, packet{conn: c, cmd: p.Cmd, body: bytes.Clone(p.Body), beat: p.Heartbeat(), end: err})
		answer, silent := c.g.replies[p.Cmd], c.g.mute[p.Cmd]
		if p.Cmd == protocol.Cmd_Register {
			r := &protocol.RegisterResp{ConnId: "registration"}
			if c.g.refuse > 0 {
				c.g.refuse--
				r = &protocol.RegisterResp{Code: protocol.RegisterResp_InvalidEvent, Message: "not now"}
			}
			answer = r
		}
		c.g.mu.Unlock()
		if err != nil {
			return
		}
		if p.Cmd >= protocol.Cmd_Register && !silent {
			c.send(p.Cmd, answer)
		}
	}
}

// send writes a packet; an error is for the reader to find.
func (c *fakeConn) send(cmd protocol.Cmd_Number, m proto.Message) {
	b, err := protocol.AppendPacket(nil, cmd, m)
	if err != nil {
		c.g.t.Error(err)
	}
	c.write(b)
}

func (c *fakeConn) write(b []byte) {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	_, _ = c.Write(b)
}

// cut ends the connections to one of the listeners.
func (g *fake) cut(worker bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range g.conns {
		if c.worker == worker {
			c.Close()
		}
	}
}

func (g *fake) set(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
}

// reply has a question answered with m.
func (g *fake) reply(cmd protocol.Cmd_Number, m proto.Message) { g.set(func() { g.replies[cmd] = m }) }

// silence has a command not answered, or answered again.
func (g *fake) silence(cmd protocol.Cmd_Number, on bool) { g.set(func() { g.mute[cmd] = on }) }

// got returns what came.
func (g *fake) got(which func(packet) bool) []packet {
	g.mu.Lock()
	defer g.mu.Unlock()
	var some []packet
	for _, p := range g.log {
		if which(p) {
			some = append(some, p)
		}
	}
	return some
}

func is(cmd protocol.Cmd_Number) func(packet) bool {
	return func(p packet) bool { return p.cmd == cmd && p.end == nil && !p.beat }
}

// commands are what is not answered.
func commands(p packet) bool {
	return p.cmd > protocol.Cmd_Transfer && p.cmd < protocol.Cmd_Register
}

// await waits for n packets of a kind.
func (g *fake) await(n int, which func(packet) bool) []packet {
	g.t.Helper()
	eventually(g.t, func() bool { return len(g.got(which)) >= n }, "what should have come did not")
	return g.got(which)
}

// as decodes a packet.
func as[T proto.Message](t testing.TB, p packet, m T) T {
	t.Helper()
	must(t, proto.Unmarshal(p.body, m))
	return m
}

// data is what the SingleCasts that came carry, in order.
func (g *fake) data() (all []string) {
	for _, p := range g.got(is(protocol.Cmd_SingleCast)) {
		all = append(all, string(as(g.t, p, new(protocol.SingleCast)).GetData()))
	}
	return all
}

// registered returns the newest worker connection, once it has been answered.
func (g *fake) registered(n int) *fakeConn {
	g.t.Helper()
	all := g.await(n, is(protocol.Cmd_Register))
	return all[len(all)-1].conn
}

// open pushes the event of a new client.
func (c *fakeConn) open(id string) {
	c.send(protocol.Cmd_ConnOpen, &protocol.ConnOpen{UniqId: id})
}

func (g *fake) addr() business.Gateway {
	return business.Gateway{Worker: g.worker.Addr().String(), Task: g.task.Addr().String()}
}

// id is that of the gateway's nth client.
func (g *fake) id(n uint32) string {
	node, err := protocol.NodeFromAddr(netip.MustParseAddrPort(g.task.Addr().String()))
	must(g.t, err)
	return idOf(node, n)
}

func idOf(node protocol.Node, n uint32) string {
	return protocol.UniqID{Node: node, Time: 1, Counter: n}.String()
}

// config is for a client of fakes, with one lane and no great patience for
// connections.
func config(r hooks.Router, gates ...*fake) business.Config {
	cfg := business.Config{
		Router: r, TaskConns: 1, Wait: wait, StopTimeout: wait, Logger: quiet(),
		MinBackoff: time.Millisecond, MaxBackoff: 5 * time.Millisecond,
	}
	for _, g := range gates {
		cfg.Gateways = append(cfg.Gateways, g.addr())
	}
	return cfg
}

// running is a client that runs.
type running struct {
	*business.Client
	t    testing.TB
	end  context.CancelFunc
	done chan struct{}
	err  error
}

// run starts a client and waits until it is connected if it should be. It is
// stopped with the test.
func run(t testing.TB, cfg business.Config, connected bool) *running {
	t.Helper()
	c, err := business.New(cfg)
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{Client: c, t: t, end: cancel, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.err = c.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		select {
		case <-r.done:
		case <-time.After(2 * wait):
			t.Error("Run did not end")
		}
	})
	if connected {
		within(t, c.Ready(), "the client did not get ready")
	}
	return r
}

// stop ends Run and returns its error.
func (r *running) stop() error {
	r.t.Helper()
	r.end()
	within(r.t, r.done, "Run did not end")
	return r.err
}

// settled asks each gateway something, so that all that was sent before over
// lane 0 has come.
func (r *running) settled() {
	r.t.Helper()
	_, err := r.UniqIDCount(r.t.Context())
	must(r.t, err)
}

func within(t testing.TB, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(wait):
		t.Fatal(what)
	}
}

// later runs f and returns a channel with its error.
func later(f func() error) <-chan error {
	c := make(chan error, 1)
	go func() { c <- f() }()
	return c
}

func result(t testing.TB, c <-chan error) error {
	t.Helper()
	select {
	case err := <-c:
		return err
	case <-time.After(wait):
		t.Fatal("it does not return")
		return nil
	}
}

// waits checks that nothing comes of c for now.
func waits(t testing.TB, c <-chan error, what string) {
	t.Helper()
	select {
	case err := <-c:
		t.Fatalf("%s: returned %v", what, err)
	case <-time.After(20 * time.Millisecond):
	}
}

// wires replaces TCP by pipes, which hold nothing: what is written is read.
type wires struct {
	t    testing.TB
	made chan net.Conn
}

func newWires(t testing.TB) *wires {
	w := &wires{t: t, made: make(chan net.Conn, 100)}
	t.Cleanup(func() {
		for {
			select {
			case c := <-w.made:
				c.Close()
			default:
				return
			}
		}
	})
	return w
}

func (w *wires) dial(context.Context, string, string) (net.Conn, error) {
	a, b := net.Pipe()
	w.made <- b
	return a, nil
}

// next is the other end of the next connection.
func (w *wires) next() net.Conn {
	w.t.Helper()
	select {
	case c := <-w.made:
		w.t.Cleanup(func() { c.Close() })
		_ = c.SetDeadline(time.Now().Add(wait))
		return c
	case <-time.After(wait):
		w.t.Fatal("nobody connects")
		return nil
	}
}

// take reads n packets.
func take(t testing.TB, c net.Conn, n int) (all []string) {
	t.Helper()
	for range n {
		head := make([]byte, 4)
		_, err := io.ReadFull(c, head)
		must(t, err)
		body := make([]byte, int(head[2])<<8|int(head[3]))
		_, err = io.ReadFull(c, body)
		must(t, err)
		p, err := protocol.NewReader(bytes.NewReader(append(head, body...)), 0, nil).Next()
		must(t, err)
		switch p.Cmd {
		case protocol.Cmd_SingleCast:
			m := new(protocol.SingleCast)
			must(t, p.Unmarshal(m))
			all = append(all, string(m.GetData()))
		default:
			all = append(all, p.Cmd.String())
		}
	}
	return all
}

func put(t testing.TB, c net.Conn, cmd protocol.Cmd_Number, m proto.Message) {
	t.Helper()
	b, err := protocol.AppendPacket(nil, cmd, m)
	must(t, err)
	_, err = c.Write(b)
	must(t, err)
}

func same[T comparable](t testing.TB, what string, got, want []T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func sorted(s []string) []string { return slices.Sorted(slices.Values(s)) }

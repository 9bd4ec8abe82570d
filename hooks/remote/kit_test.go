package remote_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	peer "github.com/buexplain/netsvr-protocol-go/v6/netsvrProtocol"
	ws "github.com/gorilla/websocket"
	"google.golang.org/protobuf/proto"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks/remote"
	"github.com/sluicegate/sluice/internal/await"
	"github.com/sluicegate/sluice/internal/leaks"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/gnet"
	"github.com/sluicegate/sluice/transport/pipe"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == echoProcess {
		runEcho(os.Args[2], os.Args[3])
		return
	}
	leaks.Main(m)
}

// wait bounds what a test awaits: it is reached only if a promise is broken.
const wait = 30 * time.Second

// must fails the test on an error.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// logged keeps a log, and passes it on to the test's.
type logged struct {
	t  testing.TB
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b.Write(p)
	return len(p), nil
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// host is a gateway with a Router of ours, for the length of a test.
type host struct {
	*gateway.Gateway
	t      testing.TB
	rt     *remote.Router
	log    *logged
	dialer *ws.Dialer
	stop   func() error
}

// start runs a gateway in memory for which processes can register.
func start(t testing.TB, rc remote.Config, gc gateway.Config) *host {
	t.Helper()
	return startListening(t, remote.Listen, rc, gc)
}

// startListening is start with listeners of another making.
func startListening(t testing.TB, listen func(remote.Config) (*remote.Router, error), rc remote.Config, gc gateway.Config) *host {
	t.Helper()
	p := pipe.New(pipe.Loops(2))
	return startOn(t, p, func(ctx context.Context, _ *gateway.Gateway) (net.Conn, error) { return p.Dial(ctx) }, listen, rc, gc)
}

// startTCP is start with clients on real sockets.
func startTCP(t testing.TB, rc remote.Config, gc gateway.Config) *host {
	t.Helper()
	return startOn(t, gnet.Listen("127.0.0.1:0", gnet.Loops(2)), func(ctx context.Context, gw *gateway.Gateway) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", gw.Addrs()[0].String())
	}, remote.Listen, rc, gc)
}

func startOn(t testing.TB, tr transport.Transport, dial func(context.Context, *gateway.Gateway) (net.Conn, error),
	listen func(remote.Config) (*remote.Router, error), rc remote.Config, gc gateway.Config,
) *host {
	t.Helper()
	l := &logged{t: t}
	log := slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
	rc.Worker.Addr, rc.Task.Addr = "127.0.0.1:0", "127.0.0.1:0"
	rc.Logger, gc.Logger = log, log
	rt, err := listen(rc)
	must(t, err)
	gc.Transports = []transport.Transport{tr}
	if gc.Router == nil {
		gc.Router = rt
	} else {
		gc.Hooks = append(gc.Hooks, rt)
	}
	gw, err := gateway.New(gc)
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- gw.Run(ctx) }()
	select {
	case <-gw.Ready():
	case err := <-ended:
		t.Fatalf("Run: %v", err)
	}
	h := &host{Gateway: gw, t: t, rt: rt, log: l}
	h.dialer = &ws.Dialer{NetDialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, gw) }}
	h.stop = sync.OnceValue(func() error {
		cancel()
		select {
		case err := <-ended:
			return err
		case <-time.After(wait):
			return errors.New("run did not return")
		}
	})
	t.Cleanup(func() {
		if err := h.stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
		if t.Failed() {
			t.Log(h.log)
		}
	})
	return h
}

// client is a third-party WebSocket client.
type client struct {
	*ws.Conn
	t  testing.TB
	id string
}

func (h *host) connect(target string, header http.Header) *client {
	h.t.Helper()
	conn, _, err := h.dialer.Dial("ws://gateway.test"+target, header)
	must(h.t, err)
	_ = conn.SetReadDeadline(time.Now().Add(wait))
	h.t.Cleanup(func() { _ = conn.Close() })
	return &client{Conn: conn, t: h.t}
}

// join connects a client, finds out its id and sees its Open forwarded.
func (h *host) join() *client {
	h.t.Helper()
	events := h.routed()
	c := h.enlist()
	await.Until(h.t, func() string {
		if h.routed() == events {
			return "the client's Open was not forwarded"
		}
		return ""
	})
	return c
}

// enlist connects a client and finds out its id.
func (h *host) enlist() *client {
	h.t.Helper()
	before := h.ids()
	c := h.connect("/", nil)
	await.Until(h.t, func() string {
		for id := range h.ids() {
			if !before[id] {
				c.id = id
				return ""
			}
		}
		return "the client was not listed"
	})
	return c
}

// routed returns how many events the Router has done with or is sending.
func (h *host) routed() int64 {
	s := h.rt.Stats()
	return s.Sent + int64(s.Queued+s.Waiting) + s.DroppedFull + s.DroppedUnclaimed + s.DroppedStopped
}

func (h *host) ids() map[string]bool {
	ids, _ := h.UniqIDs(context.Background())
	set := make(map[string]bool)
	for _, id := range ids {
		set[id] = true
	}
	return set
}

func (c *client) send(text string) {
	c.t.Helper()
	must(c.t, c.WriteMessage(ws.TextMessage, []byte(text)))
}

func (c *client) read() string {
	c.t.Helper()
	_, b, err := c.ReadMessage()
	must(c.t, err)
	return string(b)
}

func (c *client) expect(want ...string) {
	c.t.Helper()
	for _, w := range want {
		if got := c.read(); got != w {
			c.t.Fatalf("client got %q, want %q", got, w)
		}
	}
}

// until reads up to a mark, or to the end, which is described then.
func (c *client) until(mark string) (got []string) {
	for {
		_, b, err := c.ReadMessage()
		if ce := (*ws.CloseError)(nil); errors.As(err, &ce) {
			return append(got, fmt.Sprintf("closed %d %q", ce.Code, ce.Text))
		}
		must(c.t, err)
		if string(b) == mark {
			return got
		}
		got = append(got, string(b))
	}
}

// rawConn speaks the protocol over a socket of its own with another package's
// types and nothing of ours, as existing clients do.
type rawConn struct {
	net.Conn
	t testing.TB
}

func dialRaw(t testing.TB, addr net.Addr) *rawConn {
	t.Helper()
	conn, err := net.Dial("tcp", addr.String())
	must(t, err)
	_ = conn.SetDeadline(time.Now().Add(wait))
	t.Cleanup(func() { _ = conn.Close() })
	return &rawConn{Conn: conn, t: t}
}

// packet encodes a command.
func packet(cmd peer.Cmd, m proto.Message) []byte {
	var body []byte
	if m != nil {
		body, _ = proto.Marshal(m)
	}
	return packetOf(uint32(cmd), body)
}

// packetOf encodes a packet whatever its body.
func packetOf(cmd uint32, body []byte) []byte {
	p := binary.BigEndian.AppendUint32(nil, uint32(4+len(body)))
	p = binary.BigEndian.AppendUint32(p, cmd)
	return append(p, body...)
}

// noMessage is not the encoding of any message.
func noMessage() []byte { return []byte{0xff} }

func (c *rawConn) send(cmd peer.Cmd, m proto.Message) {
	c.t.Helper()
	_, err := c.Write(packet(cmd, m))
	must(c.t, err)
}

// next reads one packet.
func (c *rawConn) next() (cmd peer.Cmd, body []byte, err error) {
	var head [8]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return 0, nil, err
	}
	body = make([]byte, binary.BigEndian.Uint32(head[:])-4)
	_, err = io.ReadFull(c, body)
	return peer.Cmd(binary.BigEndian.Uint32(head[4:])), body, err
}

// expect reads one packet of the kind given into m.
func (c *rawConn) expect(cmd peer.Cmd, m proto.Message) {
	c.t.Helper()
	got, body, err := c.next()
	must(c.t, err)
	if got != cmd {
		c.t.Fatalf("got command %v, want %v", got, cmd)
	}
	must(c.t, proto.Unmarshal(body, m))
}

// expectEnd waits until the gateway has closed the connection.
func (c *rawConn) expectEnd() {
	c.t.Helper()
	if cmd, _, err := c.next(); !errors.Is(err, io.EOF) && !strings.Contains(fmt.Sprint(err), "reset") {
		c.t.Fatalf("got command %v, %v; want the connection closed", cmd, err)
	}
}

const allEvents = peer.Event_OnOpen | peer.Event_OnClose | peer.Event_OnMessage

// register registers a worker connection and returns its connId.
func (c *rawConn) register(events peer.Event) string {
	c.t.Helper()
	c.send(peer.Cmd_Register, &peer.RegisterReq{Events: int32(events)})
	var resp peer.RegisterResp
	c.expect(peer.Cmd_Register, &resp)
	if resp.Code != peer.RegisterRespCode_Success {
		c.t.Fatalf("Register: %v", &resp)
	}
	return resp.ConnId
}

// worker returns a registered worker connection.
func (h *host) worker(events peer.Event) (*rawConn, string) {
	h.t.Helper()
	c := dialRaw(h.t, h.rt.WorkerAddr())
	return c, c.register(events)
}

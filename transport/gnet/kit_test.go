package gnet

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"github.com/sluicegate/sluice/transport"
	codec "github.com/sluicegate/sluice/transport/websocket"
)

func TestMain(m *testing.M) {
	if mode := os.Getenv(childMode); mode != "" {
		os.Exit(child(mode))
	}
	// The runtime's poller has descriptors of its own from the first use on.
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		_ = l.Close()
	}
	goleak.VerifyTestMain(m,
		// The engine's library starts these when it is loaded, for good.
		goleak.IgnoreTopFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"),
		goleak.IgnoreTopFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"),
		// Its workers, which took adopted connections in, wait for more.
		goleak.IgnoreTopFunction("github.com/panjf2000/ants/v2.(*goWorker).run.func1"),
	)
}

// echo is a Handler that sends messages back. Its hooks run first.
type echo struct {
	onHandshake func(transport.Handshake) (decided bool)
	onOpen      func(transport.Conn)
	onMessage   func(c transport.Conn, s string)
	onPing      func(transport.Conn)
	onClose     func(transport.Conn, transport.CloseCause)
	onAbort     func()

	mu                                sync.Mutex
	opened, closed, aborted           int
	written, dropped, sent, sentBytes int64
	accountedBytes                    int64
}

func (e *echo) Handshake(hs transport.Handshake) {
	if e.onHandshake == nil || !e.onHandshake(hs) {
		hs.Accept(nil, nil)
	}
}

func (e *echo) Open(c transport.Conn) {
	e.count(&e.opened)
	if e.onOpen != nil {
		e.onOpen(c)
	}
}

func (e *echo) Message(c transport.Conn, data []byte, binary bool) {
	if e.onMessage != nil {
		e.onMessage(c, string(data))
	}
	e.send(c, string(data))
}

func (e *echo) send(c transport.Conn, s string) {
	f := &transport.Frame{Plain: codec.AppendFrame(nil, codec.OpText, false, []byte(s)), Messages: 1}
	e.mu.Lock()
	e.sent++
	e.sentBytes += int64(len(f.Plain))
	e.mu.Unlock()
	c.Send(f)
}

func (e *echo) Ping(c transport.Conn) {
	if e.onPing != nil {
		e.onPing(c)
	}
}

func (e *echo) Close(c transport.Conn, cause transport.CloseCause) {
	e.count(&e.closed)
	if e.onClose != nil {
		e.onClose(c, cause)
	}
}

func (e *echo) Abort(any) {
	e.count(&e.aborted)
	if e.onAbort != nil {
		e.onAbort()
	}
}

func (e *echo) Written(n, bytes int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.written += n
	e.accountedBytes += bytes
}

func (e *echo) Dropped(_ transport.Conn, _ transport.DropReason, n, bytes int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.dropped += n
	e.accountedBytes += bytes
}

func (e *echo) count(n *int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	*n++
}

// check is for after Serve.
func (e *echo) check(t testing.TB) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.opened != e.closed {
		t.Errorf("%d Open and %d Close events", e.opened, e.closed)
	}
	if e.written+e.dropped != e.sent || e.accountedBytes != e.sentBytes {
		t.Errorf("%d messages sent, %d written and %d dropped; %d bytes of %d",
			e.sent, e.written, e.dropped, e.accountedBytes, e.sentBytes)
	}
}

func options() transport.Options {
	return transport.Options{
		Path: "/ws", MaxHeader: 4096, MaxMessage: 1 << 20, WriteLimit: 1 << 20, MailboxLimit: 1 << 20,
		HandshakeTimeout: 5 * time.Second, IdleTimeout: time.Minute, CloseTimeout: 300 * time.Millisecond,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Ready:  func(net.Addr) {},
	}
}

// server is a transport that serves.
type server struct {
	t    testing.TB
	e    *echo
	addr string
	tr   *Transport
	end  context.CancelFunc
	done chan error
	once sync.Once

	clients []io.Closer
}

func (s *server) hangUp() {
	for _, c := range s.clients {
		_ = c.Close()
	}
	s.clients = nil
}

func start(t testing.TB, e *echo, o transport.Options, opts ...Option) *server {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s := &server{t: t, e: e, tr: Listen("127.0.0.1:0", opts...), end: cancel, done: make(chan error, 1)}
	ready := make(chan net.Addr, 1)
	o.Ready = func(a net.Addr) { ready <- a }
	go func() { s.done <- s.tr.Serve(ctx, o, e) }()
	select {
	case a := <-ready:
		s.addr = a.String()
	case err := <-s.done:
		cancel()
		t.Fatalf("Serve: %v", err)
	}
	t.Cleanup(func() { s.stop(); s.hangUp() })
	return s
}

// stop ends Serve, which must return within the time that it may take, and
// checks that nothing is left.
func (s *server) stop() {
	s.once.Do(func() {
		s.t.Helper()
		begun := time.Now()
		s.end()
		select {
		case err := <-s.done:
			if err != nil {
				s.t.Errorf("Serve: %v", err)
			}
		case <-time.After(20 * time.Second):
			s.t.Fatal("Serve does not return")
		}
		// The engine's own end comes on top of the peers' time; a machine
		// that is busy adds to it.
		if took, most := time.Since(begun), s.tr.opts.CloseTimeout+time.Second; took > most {
			s.t.Errorf("Serve took %v to return, more than %v", took, most)
		}
		s.e.check(s.t)
	})
}

func (s *server) dial() *websocket.Conn {
	s.t.Helper()
	c, err := dialWS(s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.clients = append(s.clients, c)
	return c
}

func dialWS(addr string) (*websocket.Conn, error) {
	d := websocket.Dialer{HandshakeTimeout: 5 * time.Second}
	c, _, err := d.Dial("ws://"+addr+"/ws", nil)
	if err == nil {
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
	}
	return c, err
}

// raw is a connection that has sent nothing.
func (s *server) raw() *net.TCPConn {
	s.t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.clients = append(s.clients, c)
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c.(*net.TCPConn)
}

func roundTrip(c *websocket.Conn, s string) error {
	if err := c.WriteMessage(websocket.TextMessage, []byte(s)); err != nil {
		return err
	}
	_, got, err := c.ReadMessage()
	if err == nil && !bytes.Equal(got, []byte(s)) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// eventually waits for what no event tells of.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within ten seconds: %s", what)
		}
	}
}

// descriptors are what the process has open.
func descriptors(t testing.TB) map[string]string {
	t.Helper()
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc")
	}
	open := make(map[string]string)
	for _, f := range d {
		if to, err := os.Readlink("/proc/self/fd/" + f.Name()); err == nil {
			open[f.Name()] = to
		}
	}
	return open
}

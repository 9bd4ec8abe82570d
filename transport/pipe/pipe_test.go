package pipe

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"github.com/sluicegate/sluice/transport"
	codec "github.com/sluicegate/sluice/transport/websocket"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo is a Handler that sends messages back and tells what happens.
type echo struct {
	opened, closed chan transport.Conn
	causes         chan transport.CloseCause

	mu               sync.Mutex
	written, dropped int64
}

func newEcho() *echo {
	return &echo{
		opened: make(chan transport.Conn, 100), closed: make(chan transport.Conn, 100),
		causes: make(chan transport.CloseCause, 100),
	}
}

func (e *echo) Handshake(hs transport.Handshake) { hs.Accept(nil, nil) }
func (e *echo) Open(c transport.Conn)            { e.opened <- c }
func (e *echo) Ping(transport.Conn)              {}
func (e *echo) Abort(any)                        {}
func (e *echo) Message(c transport.Conn, data []byte, binary bool) {
	op := codec.OpText
	if binary {
		op = codec.OpBinary
	}
	c.Send(&transport.Frame{Plain: codec.AppendFrame(nil, op, false, data), Messages: 1})
}

func (e *echo) Close(c transport.Conn, cause transport.CloseCause) {
	e.causes <- cause
	e.closed <- c
}

func (e *echo) Written(n, _ int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.written += n
}

func (e *echo) Dropped(_ transport.Conn, _ transport.DropReason, n, _ int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.dropped += n
}

// serve runs a transport until the test ends, or until stop is called.
func serve(t testing.TB, h transport.Handler, opts ...Option) (p *Transport, stop func()) {
	t.Helper()
	p = New(opts...)
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	o := transport.Options{
		Path: "/ws", MaxHeader: 4096, MaxMessage: 1 << 20, WriteLimit: 1 << 20, MailboxLimit: 1 << 20,
		HandshakeTimeout: 10 * time.Second, IdleTimeout: time.Minute, CloseTimeout: 5 * time.Second,
		Compression: true,
		Logger:      slog.New(slog.NewTextHandler(io.Discard, nil)),
		Ready:       func(net.Addr) { close(ready) },
	}
	go func() { done <- p.Serve(ctx, o, h) }()
	<-ready
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(stop)
	return p, stop
}

func dial(t testing.TB, p *Transport) net.Conn {
	t.Helper()
	c, err := p.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// connect makes an independent WebSocket client on a connection of p.
func connect(t testing.TB, p *Transport) *websocket.Conn {
	t.Helper()
	d := websocket.Dialer{
		NetDialContext:    func(ctx context.Context, _, _ string) (net.Conn, error) { return p.Dial(ctx) },
		HandshakeTimeout:  10 * time.Second,
		EnableCompression: true,
	}
	c, _, err := d.DialContext(t.Context(), "ws://pipe/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
	return c
}

func TestEchoInSmallPieces(t *testing.T) {
	for name, opts := range map[string][]Option{
		"as it comes":        nil,
		"byte by byte":       {Segment(1)},
		"tiny buffers":       {Buffer(1), Segment(3)},
		"buffers of 100":     {Buffer(100)},
		"three loops, small": {Loops(3), Buffer(7), Segment(2)},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEcho()
			p, _ := serve(t, e, opts...)
			var wg sync.WaitGroup
			for range 4 {
				c := connect(t, p)
				wg.Go(func() {
					for _, n := range []int{0, 1, 125, 126, 5000} {
						sent := bytes.Repeat([]byte("é"), n)
						if err := c.WriteMessage(websocket.TextMessage, sent); err != nil {
							t.Error(err)
							return
						}
						kind, got, err := c.ReadMessage()
						if err != nil || kind != websocket.TextMessage || !bytes.Equal(got, sent) {
							t.Errorf("%d bytes came back as %d of kind %d: %v", len(sent), len(got), kind, err)
							return
						}
					}
					_ = c.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(1000, "done"))
					if _, _, err := c.ReadMessage(); !websocket.IsCloseError(err, 1000) {
						t.Errorf("the answer to a close: %v", err)
					}
				})
			}
			wg.Wait()
			for range 4 {
				if cause := <-e.causes; cause != (transport.CloseCause{Code: 1000, Reason: "done", Remote: true}) {
					t.Errorf("cause %+v", cause)
				}
			}
		})
	}
}

func TestConnDeadlines(t *testing.T) {
	e := newEcho()
	p, _ := serve(t, e, Buffer(10))
	past, future := time.Now().Add(-time.Second), time.Now().Add(time.Hour)
	soon := func() time.Time { return time.Now().Add(5 * time.Millisecond).Round(0) } // without a monotonic reading
	timeout := func(what string, err error) {
		t.Helper()
		var ne net.Error
		if !errors.As(err, &ne) || !ne.Timeout() {
			t.Errorf("%s: %v", what, err)
		}
	}
	b := make([]byte, 100)
	c := dial(t, p)
	_ = c.SetReadDeadline(past)
	_, err := c.Read(b)
	timeout("a read after its deadline", err)
	_ = c.SetReadDeadline(soon())
	_, err = c.Read(b)
	timeout("a read that waits for its deadline", err)
	_, err = c.Read(nil)
	timeout("an empty read after the deadline", err)
	_ = c.SetReadDeadline(time.Time{})
	if n, err := c.Read(nil); n != 0 || err != nil {
		t.Errorf("an empty read: %d, %v", n, err)
	}

	// A deadline that is moved while a read waits counts.
	read := make(chan error)
	_ = c.SetReadDeadline(future)
	go func() { _, err := c.Read(b); read <- err }()
	_ = c.SetReadDeadline(past)
	timeout("a read whose deadline was moved", <-read)

	// Writes: the gateway takes what fits a request head, so that only a
	// stalled one waits.
	_ = c.SetDeadline(past)
	n, err := c.Write(b)
	timeout("a write after its deadline", err)
	if n != 0 {
		t.Errorf("%d bytes written after the deadline", n)
	}
	_ = c.SetDeadline(time.Time{})
	if _, err := c.Write([]byte("GET / HTTP/1.1\r\n\r\n")); err != nil {
		t.Error(err)
	}
	if n, err := c.Read(b); n == 0 || err != nil {
		t.Errorf("read %d: %v", n, err)
	}
	// What is there does not excuse a deadline that has passed.
	_ = c.SetReadDeadline(past)
	_, err = c.Read(b)
	timeout("a read of what is there after the deadline", err)
}

func TestConnWriteWaitsForRoom(t *testing.T) {
	e := newEcho()
	block := make(chan struct{})
	p, _ := serve(t, &blocking{echo: e, until: block}, Buffer(1000), Segment(1000))
	c := connect(t, p)
	<-e.opened
	// The loop is held, so only a buffer's worth goes out.
	raw := c.NetConn()
	_ = c.WriteMessage(websocket.TextMessage, []byte("hold"))
	<-e.opened
	_ = raw.SetWriteDeadline(time.Now().Add(5 * time.Millisecond))
	n, err := raw.Write(make([]byte, 1500))
	if n != 1000 || err == nil {
		t.Errorf("wrote %d of 1,500 bytes into a buffer of 1,000: %v", n, err)
	}
	written := make(chan error)
	_ = raw.SetWriteDeadline(time.Time{})
	go func() { _, err := raw.Write([]byte("x")); written <- err }()
	_ = raw.Close()
	if err := <-written; !errors.Is(err, net.ErrClosed) {
		t.Errorf("a write that waited when the connection was closed: %v", err)
	}
	close(block)
	<-e.closed
}

// blocking holds its loop at a message, which no real handler may.
type blocking struct {
	*echo
	until chan struct{}
}

func (b *blocking) Message(c transport.Conn, _ []byte, _ bool) {
	b.opened <- c
	<-b.until
}

func TestConnClose(t *testing.T) {
	e := newEcho()
	p, _ := serve(t, e)
	c := dial(t, p)
	read := make(chan error)
	go func() { _, err := c.Read(make([]byte, 1)); read <- err }()
	for range 2 {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := <-read; !errors.Is(err, net.ErrClosed) {
		t.Errorf("a read that waited: %v", err)
	}
	for what, f := range map[string]func() error{
		"read":     func() error { _, err := c.Read(make([]byte, 1)); return err },
		"write":    func() error { _, err := c.Write([]byte("x")); return err },
		"deadline": func() error { return c.SetDeadline(time.Now()) },
	} {
		if err := f(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s after Close: %v", what, err)
		}
	}

	// One that leaves in the middle of a conversation.
	ws := connect(t, p)
	<-e.opened
	_ = ws.NetConn().Close()
	if cause := <-e.causes; cause != (transport.CloseCause{Code: 1006, Remote: true}) {
		t.Errorf("cause %+v", cause)
	}
	// What it sent before is read.
	ws = connect(t, p)
	<-e.opened
	_ = ws.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(4000, "bye"))
	_ = ws.NetConn().Close()
	if cause := <-e.causes; cause.Code != 4000 {
		t.Errorf("cause %+v", cause)
	}
}

func TestAddresses(t *testing.T) {
	p, _ := serve(t, newEcho())
	a, b := dial(t, p), dial(t, p)
	if a.LocalAddr().String() == b.LocalAddr().String() {
		t.Errorf("two clients at %v", a.LocalAddr())
	}
	if a.RemoteAddr().String() != b.RemoteAddr().String() {
		t.Error("two gateways")
	}
}

func TestAdvance(t *testing.T) {
	e := newEcho()
	p, _ := serve(t, e, Loops(3))
	var all []*websocket.Conn
	for range 30 {
		all = append(all, connect(t, p))
	}
	p.Advance(time.Minute - time.Millisecond)
	if n := len(e.closed); n != 0 {
		t.Fatalf("%d closed before their time", n)
	}
	p.Advance(time.Millisecond)
	if n := len(e.closed); n != len(all) {
		t.Errorf("%d of %d closed when Advance returned", n, len(all))
	}
	for _, c := range all {
		if _, _, err := c.ReadMessage(); !websocket.IsCloseError(err, 1001) {
			t.Errorf("the client saw %v", err)
		}
	}
}

func TestHandshakeTimeout(t *testing.T) {
	p, _ := serve(t, newEcho())
	c := dial(t, p)
	_, _ = c.Write([]byte("GET /ws"))
	p.Advance(10 * time.Second)
	got := make([]byte, 12)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "HTTP/1.1 408" {
		t.Errorf("read %q, %v", got, err)
	}
	p.Advance(5 * time.Second)
	if _, err := io.Copy(io.Discard, c); err != nil {
		t.Errorf("to the end: %v", err)
	}
}

func TestAdvanceWithoutServe(t *testing.T) {
	p := New()
	p.Advance(time.Hour)
	if _, err := p.Dial(t.Context()); !errors.Is(err, ErrNotServing) {
		t.Errorf("Dial before Serve: %v", err)
	}
	e := newEcho()
	p, stop := serve(t, e)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Dial(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Dial with an ended context: %v", err)
	}
	stop()
	p.Advance(time.Hour)
	if _, err := p.Dial(t.Context()); !errors.Is(err, ErrNotServing) {
		t.Errorf("Dial after Serve: %v", err)
	}
	if err := p.Serve(t.Context(), transport.Options{}, e); err == nil {
		t.Error("a second Serve")
	}
}

func TestShutdown(t *testing.T) {
	e := newEcho()
	p, stop := serve(t, e, Loops(2))
	const clients = 50
	var all []*websocket.Conn
	for range clients {
		all = append(all, connect(t, p))
	}
	half := dial(t, p)
	_, _ = half.Write([]byte("GET /ws HTTP"))
	stop()
	if n := len(e.closed); n != clients {
		t.Errorf("%d of %d Close events when Serve returned", n, clients)
	}
	for _, c := range all {
		if _, _, err := c.ReadMessage(); !websocket.IsCloseError(err, 1001) {
			t.Errorf("the client saw %v", err)
		}
	}
	if _, err := half.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the one without a head saw %v", err)
	}
}

// Neither callers that never tire of posting, nor clients that come, write and
// leave all the time, keep Serve from returning.
func TestShutdownUnderLoad(t *testing.T) {
	e := newEcho()
	p, stop := serve(t, e, Loops(2), Buffer(50))
	over := make(chan struct{})
	var busy sync.WaitGroup
	connect(t, p)
	l := (<-e.opened).Loop()
	for range 4 {
		busy.Go(func() {
			for !errors.Is(l.Post(nothing{}), transport.ErrStopped) {
				_ = l.Wait(t.Context())
			}
		})
		busy.Go(func() {
			for {
				select {
				case <-over:
					return
				case <-e.opened:
				case <-e.closed:
				case <-e.causes:
				}
			}
		})
		busy.Go(func() {
			for {
				c, err := p.Dial(context.Background())
				if err != nil {
					return
				}
				r, _ := http.NewRequest(http.MethodGet, "http://pipe/ws", nil)
				r.Header = http.Header{
					"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
					"Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
				}
				_ = c.SetDeadline(time.Now().Add(10 * time.Millisecond))
				_ = r.Write(c)
				_, _ = c.Read(make([]byte, 10))
				_ = c.Close()
			}
		})
	}
	for range 20 {
		p.Advance(time.Second)
	}
	stop()
	close(over)
	busy.Wait()
}

type nothing struct{}

func (nothing) Run(int) (int, bool) { return 1, true }
func (nothing) Weight() (int, int)  { return 1, 1 }
func (nothing) Drop()               {}

// A client that does not read is stalled after its buffer is full, and gets
// everything when it reads again.
func TestStalledClient(t *testing.T) {
	e := newEcho()
	p, stop := serve(t, e, Buffer(100))
	c := connect(t, p)
	const messages = 200
	go func() {
		for range messages {
			_ = c.WriteMessage(websocket.TextMessage, []byte(strings.Repeat("x", 100)))
		}
	}()
	for i := range messages {
		if _, got, err := c.ReadMessage(); err != nil || len(got) != 100 {
			t.Fatalf("message %d: %d bytes, %v", i, len(got), err)
		}
	}
	stop()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.written+e.dropped != messages || e.dropped != 0 {
		t.Errorf("%d written and %d dropped of %d", e.written, e.dropped, messages)
	}
}

//go:build unix

package enginetest

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

	"github.com/sluicegate/sluice/transport"
	codec "github.com/sluicegate/sluice/transport/websocket"
)

// Echo is a Handler that sends messages back. Its hooks run first.
type Echo struct {
	OnHandshake func(transport.Handshake) (decided bool)
	OnOpen      func(transport.Conn)
	OnMessage   func(c transport.Conn, s string)
	OnPing      func(transport.Conn)
	OnClose     func(transport.Conn, transport.CloseCause)
	OnAbort     func()

	// Mu guards what follows.
	Mu                          sync.Mutex
	Opened, Closed, Aborted     int   // events
	Sent                        int64 // messages
	written, dropped, sentBytes int64
	accountedBytes              int64
}

// Handshake implements transport.Handler.
func (e *Echo) Handshake(hs transport.Handshake) {
	if e.OnHandshake == nil || !e.OnHandshake(hs) {
		hs.Accept(nil, nil)
	}
}

// Open implements transport.Handler.
func (e *Echo) Open(c transport.Conn) {
	e.count(&e.Opened)
	if e.OnOpen != nil {
		e.OnOpen(c)
	}
}

// Message implements transport.Handler.
func (e *Echo) Message(c transport.Conn, data []byte, binary bool) {
	if e.OnMessage != nil {
		e.OnMessage(c, string(data))
	}
	e.Send(c, string(data))
}

// Send sends s to c, and counts it.
func (e *Echo) Send(c transport.Conn, s string) {
	f := &transport.Frame{Plain: codec.AppendFrame(nil, codec.OpText, false, []byte(s)), Messages: 1}
	e.Mu.Lock()
	e.Sent++
	e.sentBytes += int64(len(f.Plain))
	e.Mu.Unlock()
	c.Send(f)
}

// Ping implements transport.Handler.
func (e *Echo) Ping(c transport.Conn) {
	if e.OnPing != nil {
		e.OnPing(c)
	}
}

// Close implements transport.Handler.
func (e *Echo) Close(c transport.Conn, cause transport.CloseCause) {
	e.count(&e.Closed)
	if e.OnClose != nil {
		e.OnClose(c, cause)
	}
}

// Abort implements transport.Handler.
func (e *Echo) Abort(any) {
	e.count(&e.Aborted)
	if e.OnAbort != nil {
		e.OnAbort()
	}
}

// Written implements transport.Handler.
func (e *Echo) Written(n, bytes int64) {
	e.Mu.Lock()
	defer e.Mu.Unlock()
	e.written += n
	e.accountedBytes += bytes
}

// Dropped implements transport.Handler.
func (e *Echo) Dropped(_ transport.Conn, _ transport.DropReason, n, bytes int64) {
	e.Mu.Lock()
	defer e.Mu.Unlock()
	e.dropped += n
	e.accountedBytes += bytes
}

func (e *Echo) count(n *int) {
	e.Mu.Lock()
	defer e.Mu.Unlock()
	*n++
}

// check is for after Serve.
func (e *Echo) check(t testing.TB) {
	t.Helper()
	e.Mu.Lock()
	defer e.Mu.Unlock()
	if e.Opened != e.Closed {
		t.Errorf("%d Open and %d Close events", e.Opened, e.Closed)
	}
	if e.written+e.dropped != e.Sent || e.accountedBytes != e.sentBytes {
		t.Errorf("%d messages sent, %d written and %d dropped; %d bytes of %d",
			e.Sent, e.written, e.dropped, e.accountedBytes, e.sentBytes)
	}
}

// Options are what the tests serve with.
func Options() transport.Options {
	return transport.Options{
		Path: "/ws", MaxHeader: 4096, MaxMessage: 1 << 20, WriteLimit: 1 << 20, MailboxLimit: 1 << 20,
		HandshakeTimeout: 5 * time.Second, IdleTimeout: time.Minute, CloseTimeout: 300 * time.Millisecond,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Ready:  func(net.Addr) {},
	}
}

// Server is a transport that serves.
type Server struct {
	T         testing.TB
	Handler   *Echo
	Addr      string
	Transport transport.Transport
	Done      chan error  // what Serve returns
	Clients   []io.Closer // ended with the test

	most time.Duration // that Serve may take to return
	end  context.CancelFunc
	once sync.Once
}

// HangUp ends the clients.
func (s *Server) HangUp() {
	for _, c := range s.Clients {
		_ = c.Close()
	}
	s.Clients = nil
}

// Start serves at a port of its own, with so many loops.
func (k Engine) Start(t testing.TB, e *Echo, o transport.Options, loops int) *Server {
	t.Helper()
	return Start(t, e, o, k.Listen("127.0.0.1:0", loops))
}

// Start serves by tr for the length of the test.
func Start(t testing.TB, e *Echo, o transport.Options, tr transport.Transport) *Server {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s := &Server{T: t, Handler: e, Transport: tr, end: cancel, Done: make(chan error, 1), most: o.CloseTimeout + time.Second}
	ready := make(chan net.Addr, 1)
	o.Ready = func(a net.Addr) { ready <- a }
	go func() { s.Done <- tr.Serve(ctx, o, e) }()
	select {
	case a := <-ready:
		s.Addr = a.String()
	case err := <-s.Done:
		cancel()
		t.Fatalf("Serve: %v", err)
	}
	t.Cleanup(func() { s.Stop(); s.HangUp() })
	return s
}

// Stop ends Serve, which must return within the time that it may take, and
// checks that nothing is left.
func (s *Server) Stop() {
	s.once.Do(func() {
		s.T.Helper()
		begun := time.Now()
		s.end()
		select {
		case err := <-s.Done:
			if err != nil {
				s.T.Errorf("Serve: %v", err)
			}
		case <-time.After(20 * time.Second):
			s.T.Fatal("Serve does not return")
		}
		// The engine's own end comes on top of the peers' time; a machine
		// that is busy adds to it.
		if took := time.Since(begun); took > s.most {
			s.T.Errorf("Serve took %v to return, more than %v", took, s.most)
		}
		s.Handler.check(s.T)
	})
}

// Dial connects a client, until the test ends.
func (s *Server) Dial() *websocket.Conn {
	s.T.Helper()
	c, err := DialWS(s.Addr)
	if err != nil {
		s.T.Fatal(err)
	}
	s.Clients = append(s.Clients, c)
	return c
}

// DialWS connects a client to addr.
func DialWS(addr string) (*websocket.Conn, error) {
	d := websocket.Dialer{HandshakeTimeout: 5 * time.Second}
	c, _, err := d.Dial("ws://"+addr+"/ws", nil) //nolint:bodyclose // the connection is its body
	if err == nil {
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
	}
	return c, err
}

// Raw is a connection that has sent nothing.
func (s *Server) Raw() *net.TCPConn {
	s.T.Helper()
	c, err := net.Dial("tcp", s.Addr)
	if err != nil {
		s.T.Fatal(err)
	}
	s.Clients = append(s.Clients, c)
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c.(*net.TCPConn)
}

// RoundTrip sends s and awaits it.
func RoundTrip(c *websocket.Conn, s string) error {
	if err := c.WriteMessage(websocket.TextMessage, []byte(s)); err != nil {
		return err
	}
	_, got, err := c.ReadMessage()
	if err == nil && !bytes.Equal(got, []byte(s)) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// Eventually waits for what no event tells of.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within ten seconds: %s", what)
		}
	}
}

// Descriptors are what the process has open.
func Descriptors(t testing.TB) map[string]string {
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

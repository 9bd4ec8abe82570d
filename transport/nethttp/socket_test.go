package nethttp_test

import (
	"io"
	"net"
	"sync"
	"testing"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/gateway/gatewaytest"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/nethttp"
	"github.com/sluicegate/sluice/transport/websocket"
)

func masked(op websocket.Opcode, s string) []byte {
	return websocket.AppendMaskedFrame(nil, true, false, op, [4]byte{1, 2, 3, 4}, []byte(s))
}

// A client may end its side as soon as it has said goodbye: the answer reaches
// it all the same.
func TestHalfClosed(t *testing.T) {
	onBoth(t, func(t *testing.T, w way) {
		m := w.start(t, gateway.Config{Router: echo()}, nil)
		for range 20 {
			conn := m.Connect("/").Hijack().(*net.TCPConn)
			_, err := conn.Write(masked(websocket.OpClose, "\x03\xe8bye"))
			must(t, err)
			must(t, conn.CloseWrite())
			got, err := io.ReadAll(conn)
			if want := websocket.AppendClose(nil, 1000, "bye"); string(got) != string(want) {
				t.Fatalf("answered %q, %v, want %q", got, err, want)
			}
		}
	})
}

// A slowpoke is a listener whose connections, once told so, return from a write
// only when they have nothing more to read.
type slowpoke struct {
	net.Listener
	slow chan struct{} // closed from when on
	end  chan struct{} // closed when the peer has ended
	once sync.Once
}

func (l *slowpoke) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return slowpoked{c, l}, err
}

type slowpoked struct {
	net.Conn
	l *slowpoke
}

func (c slowpoked) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err == io.EOF {
		c.l.once.Do(func() { close(c.l.end) })
	}
	return n, err
}

func (c slowpoked) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	select {
	case <-c.l.slow:
		<-c.l.end
	default:
	}
	return n, err
}

// What a client has got counts as written, however soon it leaves.
func TestWrittenAtTheEnd(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	l := &slowpoke{Listener: ln, slow: make(chan struct{}), end: make(chan struct{})}
	m := &mount{Transport: nethttp.New()}
	m.serve(t, nil, l)
	m.Gateway = gatewaytest.New(t, gateway.Config{Transports: []transport.Transport{m.Transport}, Router: echo()}, gatewaytest.WithDial(m.dial))
	c := m.Connect("/")
	c.ID() // it is open
	close(l.slow)
	c.Send("x")
	c.Expect("x")
	c.Cut()
	m.Eventually("the client is gone", func() bool { return m.Stats().Clients == 0 })
	if s := m.Stats(); s.MessagesOut != 1 {
		t.Errorf("%d messages count as written, want 1; dropped %v", s.MessagesOut, s.Drops)
	}
}

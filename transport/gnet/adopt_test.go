package gnet

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/internal/enginetest"
	codec "github.com/sluicegate/sluice/transport/websocket"
)

// startDeaf starts a transport without a listener.
func startDeaf(t testing.TB, e *enginetest.Echo, o transport.Options) *enginetest.Server {
	t.Helper()
	return enginetest.Start(t, e, o, WithoutListener(Loops(2)))
}

// transportOf is the transport that s serves by.
func transportOf(s *enginetest.Server) *Transport { return s.Transport.(*Transport) }

// pair returns two ends of a TCP connection.
func pair(t testing.TB) (client, conn net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err = net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn, err = ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_ = client.SetDeadline(time.Now().Add(20 * time.Second))
	t.Cleanup(func() { _ = client.Close() })
	return client, conn
}

func frame(op codec.Opcode, s string) []byte {
	return codec.AppendMaskedFrame(nil, true, false, op, [4]byte{1, 2, 3, 4}, []byte(s))
}

func expect(t testing.TB, c net.Conn, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != string(want) {
		t.Fatalf("got %q, %v, want %q", got, err, want)
	}
}

// kinds are the transports that adopt: with a listener of their own and without.
func kinds(t *testing.T, f func(t *testing.T, start func(*enginetest.Echo) *enginetest.Server)) {
	t.Run("with a listener", func(t *testing.T) {
		f(t, func(e *enginetest.Echo) *enginetest.Server {
			return this().Start(t, e, enginetest.Options(), 2)
		})
	})
	t.Run("without", func(t *testing.T) {
		f(t, func(e *enginetest.Echo) *enginetest.Server { return startDeaf(t, e, enginetest.Options()) })
	})
}

func TestAdopt(t *testing.T) {
	kinds(t, func(t *testing.T, start func(*enginetest.Echo) *enginetest.Server) {
		e := &enginetest.Echo{}
		s := start(e)
		client, conn := pair(t)
		if err := transportOf(s).Adopt(conn, transport.Upgrade{Handler: e, Received: frame(codec.OpText, "first")}); err != nil {
			t.Fatal(err)
		}
		expect(t, client, codec.AppendFrame(nil, codec.OpText, false, []byte("first")))
		_, _ = client.Write(frame(codec.OpText, "second"))
		expect(t, client, codec.AppendFrame(nil, codec.OpText, false, []byte("second")))
		if _, err := conn.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("the caller's connection is still open: %v", err)
		}
		transportOf(s).CloseAdopted(codec.CloseGoingAway, "away")
		expect(t, client, codec.AppendClose(nil, codec.CloseGoingAway, "away"))
		_, _ = client.Write(frame(codec.OpClose, "\x03\xe9"))
		if _, err := client.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("after the close: %v", err)
		}
	})
}

// The address that the HTTP server knows goes before the connection's own, to
// the last call.
func TestAdoptedAddress(t *testing.T) {
	kinds(t, func(t *testing.T, start func(*enginetest.Echo) *enginetest.Server) {
		addrs := make(chan string, 2)
		e := &enginetest.Echo{
			OnOpen:  func(c transport.Conn) { addrs <- c.RemoteAddr().String() },
			OnClose: func(c transport.Conn, _ transport.CloseCause) { addrs <- c.RemoteAddr().String() },
		}
		s := start(e)
		client, conn := pair(t)
		addr := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 7}
		if err := transportOf(s).Adopt(conn, transport.Upgrade{Handler: e, RemoteAddr: addr}); err != nil {
			t.Fatal(err)
		}
		_, _ = client.Write(frame(codec.OpClose, ""))
		expect(t, client, codec.AppendClose(nil, codec.CloseNoStatus, ""))
		for range 2 {
			if got := <-addrs; got != addr.String() {
				t.Errorf("address %s, want %s", got, addr)
			}
		}
		if _, err := client.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("after the close: %v", err)
		}
	})
}

// What cannot be adopted is the caller's still.
func TestNotAdopted(t *testing.T) {
	e := &enginetest.Echo{}
	s := startDeaf(t, e, enginetest.Options())
	_, plain := pair(t)
	defer plain.Close()
	p1, p2 := net.Pipe()
	defer p1.Close()
	defer p2.Close()
	for _, c := range []struct {
		name string
		tr   *Transport
		conn net.Conn
		h    transport.Handler
	}{
		{"another kind of connection", transportOf(s), p1, e},
		{"another gateway's", transportOf(s), plain, &enginetest.Echo{}},
		{"a handler that cannot be compared", transportOf(s), plain, uncomparable{nil, e}},
		{"a transport that does not serve", WithoutListener(), plain, e},
	} {
		if err := c.tr.Adopt(c.conn, transport.Upgrade{Handler: c.h}); !errors.Is(err, transport.ErrNotAdopted) {
			t.Errorf("%s: %v, want ErrNotAdopted", c.name, err)
		}
	}
	if _, err := plain.Write([]byte("x")); err != nil {
		t.Errorf("the connection was touched: %v", err)
	}
	s.Stop()
	if err := transportOf(s).Adopt(plain, transport.Upgrade{Handler: e}); !errors.Is(err, transport.ErrNotAdopted) {
		t.Errorf("after the end: %v, want ErrNotAdopted", err)
	}
}

type uncomparable struct {
	_ []int
	transport.Handler
}

// A connection with a zone in its address would have the engine write into
// memory of package net when it ends.
func TestZones(t *testing.T) {
	zoned := &net.TCPAddr{IP: net.ParseIP("fe80::1"), Port: 1, Zone: "eth0"}
	if err := adoptable(&net.TCPConn{}); err == nil {
		t.Error("a connection without addresses was adoptable")
	}
	_, conn := pair(t)
	defer conn.Close()
	if err := adoptable(conn); err != nil {
		t.Errorf("a plain connection: %v", err)
	}
	*conn.RemoteAddr().(*net.TCPAddr) = *zoned
	if err := adoptable(conn); !errors.Is(err, transport.ErrNotAdopted) {
		t.Errorf("with a zone: %v", err)
	}
}

// A handler that panics over a connection for which there is no descriptor costs
// that connection.
func TestAbortPanics(t *testing.T) {
	kinds(t, func(t *testing.T, start func(*enginetest.Echo) *enginetest.Server) {
		e := &enginetest.Echo{OnAbort: func() { panic("abort") }}
		s := start(e)
		client, conn := pair(t)
		all := transportOf(s).cap
		transportOf(s).cap = 0
		if err := transportOf(s).Adopt(conn, transport.Upgrade{Handler: e}); err != nil {
			t.Fatal(err)
		}
		expect(t, client, codec.AppendClose(nil, codec.CloseTryAgainLater, "no descriptors left"))
		transportOf(s).cap = all
		client, conn = pair(t)
		if err := transportOf(s).Adopt(conn, transport.Upgrade{Handler: e, Received: frame(codec.OpText, "x")}); err != nil {
			t.Fatal(err)
		}
		expect(t, client, codec.AppendFrame(nil, codec.OpText, false, []byte("x")))
		if e.Aborted != 1 {
			t.Errorf("aborted %d times, want once", e.Aborted)
		}
	})
}

// Connections that come while the transport stops are opened and closed, or
// aborted, or left to the caller; nothing is forgotten and nothing left open.
func TestAdoptInAStorm(t *testing.T) {
	kinds(t, func(t *testing.T, start func(*enginetest.Echo) *enginetest.Server) {
		before := enginetest.Descriptors(t)
		e := &enginetest.Echo{}
		s := start(e)
		var adopting sync.WaitGroup
		var mu sync.Mutex
		taken, begun := 0, make(chan struct{})
		for i := range 8 {
			adopting.Go(func() {
				for j := range 50 {
					if i == 0 && j == 10 {
						close(begun)
					}
					client, conn := pair(t)
					err := transportOf(s).Adopt(conn, transport.Upgrade{Handler: e, Value: fmt.Sprint(i, j)})
					mu.Lock()
					if err == nil {
						taken++
					} else {
						_ = conn.Close()
					}
					mu.Unlock()
					_ = client.Close()
				}
			})
		}
		<-begun
		s.Stop()
		adopting.Wait()
		e.Mu.Lock()
		defer e.Mu.Unlock()
		if e.Opened != e.Closed || e.Opened+e.Aborted != taken {
			t.Errorf("%d taken over: %d opened, %d closed, %d aborted", taken, e.Opened, e.Closed, e.Aborted)
		}
		enginetest.Eventually(t, "descriptors are closed", func() bool { return len(enginetest.Descriptors(t)) <= len(before) })
	})
}

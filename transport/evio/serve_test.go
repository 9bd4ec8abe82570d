//go:build darwin || freebsd || linux

package evio_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/evio"
)

func TestPortZero(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "localhost:0", ":0"} {
		ctx, cancel := context.WithCancel(t.Context())
		o := options()
		var seen []string
		o.Ready = func(a net.Addr) {
			seen = append(seen, a.String())
			go func() {
				defer cancel()
				_, port, _ := net.SplitHostPort(a.String())
				c, err := dialWS("127.0.0.1:" + port)
				if err != nil {
					t.Errorf("%s, told to be at %s: %v", addr, a, err)
					return
				}
				if err := roundTrip(c, "hello"); err != nil {
					t.Error(err)
				}
				_ = c.Close()
			}()
		}
		if err := evio.Listen(addr, evio.Loops(2)).Serve(ctx, o, new(echo)); err != nil {
			t.Error(err)
		}
		if len(seen) != 1 || strings.HasSuffix(seen[0], ":0") {
			t.Errorf("ready at %v", seen)
		}
		cancel()
	}
}

// An address belongs to one, even if the other is willing to share.
func TestAddressInUse(t *testing.T) {
	reuse := net.ListenConfig{Control: func(_, _ string, rc syscall.RawConn) error {
		return rc.Control(func(fd uintptr) {
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		})
	}}
	ours := start(t, new(echo), options(), evio.Loops(1))
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	shared, err := reuse.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer shared.Close()
	for what, addr := range map[string]string{
		"one of ours": ours.addr, "a plain listener": plain.Addr().String(), "one that shares": shared.Addr().String(),
	} {
		err := evio.Listen(addr).Serve(t.Context(), options(), new(echo))
		if !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("%s has the address: %v", what, err)
		}
	}
	for _, addr := range []string{"127.0.0.1:notaport", "256.0.0.1:0", "nowhere", "192.0.2.1:80"} {
		if err := evio.Listen(addr).Serve(t.Context(), options(), new(echo)); err == nil {
			t.Errorf("%q is an address", addr)
		}
	}
}

func TestServeTwice(t *testing.T) {
	s := start(t, new(echo), options(), evio.Loops(1))
	if err := s.tr.Serve(t.Context(), options(), new(echo)); err == nil {
		t.Error("a second Serve")
	}
	if err := roundTrip(s.dial(), "still here"); err != nil {
		t.Error(err)
	}
}

// Serve may be ended at any moment of its beginning.
func TestServeEndedEarly(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, addr := range []string{"127.0.0.1:0", "localhost:0"} { // one has to be looked up
		if err := evio.Listen(addr).Serve(ended, options(), new(echo)); err != nil {
			t.Errorf("ended before it began: %v", err)
		}
	}
	for i := range 30 {
		ctx, cancel := context.WithCancel(t.Context())
		var when sync.WaitGroup
		o := options()
		if i%2 == 0 {
			o.Ready = func(net.Addr) { cancel() }
		} else {
			when.Go(func() {
				time.Sleep(time.Duration(i) * 20 * time.Microsecond)
				cancel()
			})
		}
		if err := evio.Listen("127.0.0.1:0", evio.Loops(2)).Serve(ctx, o, new(echo)); err != nil {
			t.Errorf("ended while it began: %v", err)
		}
		when.Wait()
	}
}

// Whatever clients do when Serve ends, it returns in time and leaves nothing.
func TestShutdown(t *testing.T) {
	answering := func(s *server) {
		c := s.dial()
		go func() { _, _, _ = c.ReadMessage() }() // answers a close
	}
	silent := func(s *server) { s.dial() }
	for name, c := range map[string]struct {
		clients func(s *server)
		hold    bool // handshakes
		most    time.Duration
	}{
		"no clients":                 {func(*server) {}, false, time.Second},
		"clients that answer":        {func(s *server) { answering(s); answering(s) }, false, time.Second},
		"clients that never answer":  {func(s *server) { silent(s); silent(s) }, false, 0},
		"a client without a request": {func(s *server) { s.raw() }, false, time.Second},
		"half a request":             {func(s *server) { _, _ = s.raw().Write([]byte("GET /ws HTTP/1.1\r\n")) }, false, time.Second},
		"a refused client": {func(s *server) {
			c := s.raw()
			_, _ = c.Write([]byte("GET /no HTTP/1.1\r\nHost: a\r\n\r\n"))
			_, _ = c.Read(make([]byte, 10))
		}, false, time.Second},
		"an undecided handshake": {func(s *server) {
			_, _ = s.raw().Write([]byte("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
				"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"))
		}, true, time.Second},
		"a stalled client": {func(s *server) {
			c := s.dial()
			c.NetConn().(*net.TCPConn).SetReadBuffer(4096)
			_ = c.WriteMessage(websocket.TextMessage, []byte("flood"))
			eventually(s.t, "more is sent than the client has room for", func() bool {
				s.e.mu.Lock()
				defer s.e.mu.Unlock()
				return s.e.sent > 400 // the echo comes last
			})
		}, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			before := descriptors(t)
			goroutines := goleak.IgnoreCurrent()
			var held transport.Handshake
			asked := make(chan struct{})
			e := &echo{}
			e.onHandshake = func(hs transport.Handshake) bool {
				if c.hold {
					held = hs
					close(asked)
				}
				return c.hold
			}
			e.onMessage = func(c transport.Conn, s string) {
				if s == "flood" {
					big := strings.Repeat("x", 64<<10)
					for range 400 {
						e.send(c, big)
					}
				}
			}
			o := options()
			o.WriteLimit = 64 << 20
			s := start(t, e, o, evio.Loops(2))
			c.clients(s)
			if c.hold {
				<-asked
			}
			begun := time.Now()
			s.stop()
			if took := time.Since(begun); c.most > 0 && took > c.most {
				t.Errorf("took %v", took)
			}
			if c.hold {
				held.Accept("late", nil)
				if e.aborted != 1 {
					t.Error("an Accept after the end was not answered by Abort")
				}
			}
			s.hangUp()
			goleak.VerifyNone(t, goroutines)
			leaked(t, before)
		})
	}
}

// leaked reports descriptors that are open and were not before.
func leaked(t *testing.T, before map[string]string) {
	t.Helper()
	for fd, to := range descriptors(t) {
		if _, ok := before[fd]; !ok && !strings.Contains(to, "/proc/") {
			t.Errorf("descriptor %s is still open: %s", fd, to)
		}
	}
}

// Clients that come, talk and go while Serve ends.
func TestShutdownInAStorm(t *testing.T) {
	before := descriptors(t)
	for range 3 {
		s := start(t, new(echo), options(), evio.Loops(2))
		var storm sync.WaitGroup
		first := make(chan struct{}, 100)
		for range 8 {
			storm.Go(func() {
				for {
					c, err := dialWS(s.addr)
					if err != nil {
						return
					}
					_ = roundTrip(c, "hello")
					_ = c.Close()
					select {
					case first <- struct{}{}:
					default:
					}
				}
			})
		}
		for range 50 {
			<-first
		}
		s.stop()
		storm.Wait()
	}
	leaked(t, before)
}

//go:build unix

package enginetest

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
)

func (k Engine) testPortZero(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "localhost:0", ":0"} {
		ctx, cancel := context.WithCancel(t.Context())
		o := Options()
		var seen []string
		o.Ready = func(a net.Addr) {
			seen = append(seen, a.String())
			go func() {
				defer cancel()
				_, port, _ := net.SplitHostPort(a.String())
				c, err := DialWS("127.0.0.1:" + port)
				if err != nil {
					t.Errorf("%s, told to be at %s: %v", addr, a, err)
					return
				}
				if err := RoundTrip(c, "hello"); err != nil {
					t.Error(err)
				}
				_ = c.Close()
			}()
		}
		if err := k.Listen(addr, 2).Serve(ctx, o, new(Echo)); err != nil {
			t.Error(err)
		}
		if len(seen) != 1 || strings.HasSuffix(seen[0], ":0") {
			t.Errorf("ready at %v", seen)
		}
		cancel()
	}
}

// An address belongs to one, even if the other is willing to share.
func (k Engine) testAddressInUse(t *testing.T) {
	reuse := net.ListenConfig{Control: func(_, _ string, rc syscall.RawConn) error {
		return rc.Control(func(fd uintptr) {
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		})
	}}
	ours := k.Start(t, new(Echo), Options(), 1)
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
		"one of ours": ours.Addr, "a plain listener": plain.Addr().String(), "one that shares": shared.Addr().String(),
	} {
		err := k.Listen(addr, 0).Serve(t.Context(), Options(), new(Echo))
		if !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("%s has the address: %v", what, err)
		}
	}
	for _, addr := range []string{"127.0.0.1:notaport", "256.0.0.1:0", "nowhere", "192.0.2.1:80"} {
		if err := k.Listen(addr, 0).Serve(t.Context(), Options(), new(Echo)); err == nil {
			t.Errorf("%q is an address", addr)
		}
	}
}

func (k Engine) testServeTwice(t *testing.T) {
	s := k.Start(t, new(Echo), Options(), 1)
	if err := s.Transport.Serve(t.Context(), Options(), new(Echo)); err == nil {
		t.Error("a second Serve")
	}
	if err := RoundTrip(s.Dial(), "still here"); err != nil {
		t.Error(err)
	}
}

// Serve may be ended at any moment of its beginning.
func (k Engine) testServeEndedEarly(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, addr := range []string{"127.0.0.1:0", "localhost:0"} { // one has to be looked up
		if err := k.Listen(addr, 0).Serve(ended, Options(), new(Echo)); err != nil {
			t.Errorf("ended before it began: %v", err)
		}
	}
	for i := range 30 {
		ctx, cancel := context.WithCancel(t.Context())
		var when sync.WaitGroup
		o := Options()
		if i%2 == 0 {
			o.Ready = func(net.Addr) { cancel() }
		} else {
			when.Go(func() {
				time.Sleep(time.Duration(i) * 20 * time.Microsecond)
				cancel()
			})
		}
		if err := k.Listen("127.0.0.1:0", 2).Serve(ctx, o, new(Echo)); err != nil {
			t.Errorf("ended while it began: %v", err)
		}
		when.Wait()
	}
}

// Whatever clients do when Serve ends, it returns in time and leaves nothing.
func (k Engine) testShutdown(t *testing.T) {
	answering := func(s *Server) {
		c := s.Dial()
		go func() { _, _, _ = c.ReadMessage() }() // answers a close
	}
	silent := func(s *Server) { s.Dial() }
	for name, c := range map[string]struct {
		clients func(s *Server)
		hold    bool // handshakes
		most    time.Duration
	}{
		"no clients":                 {func(*Server) {}, false, time.Second},
		"clients that answer":        {func(s *Server) { answering(s); answering(s) }, false, time.Second},
		"clients that never answer":  {func(s *Server) { silent(s); silent(s) }, false, 0},
		"a client without a request": {func(s *Server) { s.Raw() }, false, time.Second},
		"half a request":             {func(s *Server) { _, _ = s.Raw().Write([]byte("GET /ws HTTP/1.1\r\n")) }, false, time.Second},
		"a refused client": {func(s *Server) {
			c := s.Raw()
			_, _ = c.Write([]byte("GET /no HTTP/1.1\r\nHost: a\r\n\r\n"))
			_, _ = c.Read(make([]byte, 10))
		}, false, time.Second},
		"an undecided handshake": {func(s *Server) {
			_, _ = s.Raw().Write([]byte("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
				"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"))
		}, true, time.Second},
		"a stalled client": {func(s *Server) {
			c := s.Dial()
			_ = c.NetConn().(*net.TCPConn).SetReadBuffer(4096)
			_ = c.WriteMessage(websocket.TextMessage, []byte("flood"))
			Eventually(s.T, "more is sent than the client has room for", func() bool {
				s.Handler.Mu.Lock()
				defer s.Handler.Mu.Unlock()
				return s.Handler.Sent > 400 // the echo comes last
			})
		}, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			before := Descriptors(t)
			goroutines := goleak.IgnoreCurrent()
			var held transport.Handshake
			asked := make(chan struct{})
			e := &Echo{}
			e.OnHandshake = func(hs transport.Handshake) bool {
				if c.hold {
					held = hs
					close(asked)
				}
				return c.hold
			}
			e.OnMessage = func(c transport.Conn, s string) {
				if s == "flood" {
					big := strings.Repeat("x", 64<<10)
					for range 400 {
						e.Send(c, big)
					}
				}
			}
			o := Options()
			o.WriteLimit = 64 << 20
			s := k.Start(t, e, o, 2)
			c.clients(s)
			if c.hold {
				<-asked
			}
			begun := time.Now()
			s.Stop()
			if took := time.Since(begun); c.most > 0 && took > c.most {
				t.Errorf("took %v", took)
			}
			if c.hold {
				held.Accept("late", nil)
				if e.Aborted != 1 {
					t.Error("an Accept after the end was not answered by Abort")
				}
			}
			s.HangUp()
			goleak.VerifyNone(t, goroutines)
			leaked(t, before)
		})
	}
}

// leaked reports descriptors that are open and were not before.
func leaked(t *testing.T, before map[string]string) {
	t.Helper()
	for fd, to := range Descriptors(t) {
		if _, ok := before[fd]; !ok && !strings.Contains(to, "/proc/") {
			t.Errorf("descriptor %s is still open: %s", fd, to)
		}
	}
}

// Clients that come, talk and go while Serve ends.
func (k Engine) testShutdownInAStorm(t *testing.T) {
	before := Descriptors(t)
	for range 3 {
		s := k.Start(t, new(Echo), Options(), 2)
		var storm sync.WaitGroup
		first := make(chan struct{}, 100)
		for range 8 {
			storm.Go(func() {
				for {
					c, err := DialWS(s.Addr)
					if err != nil {
						return
					}
					_ = RoundTrip(c, "hello")
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
		s.Stop()
		storm.Wait()
	}
	leaked(t, before)
}

package loop

import (
	"bytes"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/websocket"
)

const (
	signature  = "\r\n\r\n\x00\r\nQUIT\n"
	forSeven   = signature + "\x21\x11\x00\x0c" + "\xcb\x00\x71\x07" + "\x0a\x00\x00\x01" + "\x04\xd2\x00\x50" // 203.0.113.7:1234
	forItself  = signature + "\x20\x00\x00\x00"
	socketAddr = "192.0.2.1:1234" // of every fakeSocket
)

// behindProxy has the peer of every fakeSocket be a proxy.
func behindProxy(o *transport.Options) {
	o.ProxyProtocol = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.0/24")}
}

// The address of a PROXY header is the connection's to its end, and what comes
// behind the header is not lost, in whatever pieces it comes.
func TestProxyHeader(t *testing.T) {
	elsewhere := func(o *transport.Options) { o.ProxyProtocol = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} }
	for _, tt := range []struct {
		name, send, addr, status string
		change                   func(*transport.Options)
	}{
		{"for a client", forSeven, "203.0.113.7:1234", "101", behindProxy},
		{"for itself", forItself, socketAddr, "101", behindProxy},
		{"none", "", "", "", behindProxy},
		{"one and a second", forSeven + forSeven, "", "400", behindProxy},
		{"from elsewhere", forSeven, "", "400", elsewhere},
		{"none, from elsewhere", "", socketAddr, "101", elsewhere},
		{"from anybody", forSeven, "", "400", func(*transport.Options) {}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, piece := range []int{1 << 20, 1, 7} {
				k := newKit(t, tt.change)
				s := k.attach()
				var atOpen, atClose string
				k.h.onOpen = func(c *Conn) { atOpen = c.RemoteAddr().String() }
				k.h.onClose = func(c *Conn) { atClose = c.RemoteAddr().String() }
				send := tt.send + request("/ws") + string(clientFrame(websocket.OpText, "glued")) + string(clientClose(1000, ""))
				for len(send) > 0 && !s.closed {
					n := min(piece, len(send))
					s.conn.Input([]byte(send[:n]))
					send = send[n:]
				}
				k.settle()
				want(t, "status", status(s), tt.status)
				want(t, "handshakes", len(k.h.handshakes), map[bool]int{true: 1}[tt.addr != ""])
				want(t, "closed", s.closed, tt.status != "400") // who is refused may finish
				want(t, "address at Open", atOpen, tt.addr)
				want(t, "address at Close", atClose, tt.addr)
				if tt.addr == "" {
					continue
				}
				hs := k.h.handshakes[0]
				want(t, "address of the handshake", hs.RemoteAddr().String(), tt.addr)
				want(t, "address of the request", hs.Request().RemoteAddr, tt.addr)
				want(t, "messages", strings.Join(k.h.of(1).messages, ","), "glued")
			}
		})
	}
}

// A header that does not come to its end costs its connection, in
// HandshakeTimeout and without an answer, and holds little until then.
func TestProxyHeaderTimesOut(t *testing.T) {
	long := signature + "\x21\x11\x08\x00" + strings.Repeat("x", 2000)
	for name, send := range map[string]string{"nothing": "", "a part": forSeven[:20], "a long one": long} {
		t.Run(name, func(t *testing.T) {
			k := newKit(t, behindProxy)
			s := k.attach()
			for i := range len(send) {
				s.conn.Input([]byte(send[i : i+1]))
			}
			want(t, "bytes held for the head", cap(s.conn.head0()), 0)
			k.advance(k.opts.HandshakeTimeout - tick)
			want(t, "closed before its time", s.closed, false)
			k.advance(2 * tick)
			want(t, "closed", s.closed, true)
			want(t, "bytes answered", len(s.got), 0)
		})
	}
}

// Whoever comes behind a header has no more time than anybody.
func TestProxyHeaderTakesOfTheTime(t *testing.T) {
	k := newKit(t, behindProxy)
	s := k.attach()
	k.advance(k.opts.HandshakeTimeout - tick)
	s.conn.Input([]byte(forSeven))
	k.advance(2 * tick)
	want(t, "status", status(s), "408")
}

// Connections that are adopted have their address from whoever read the header.
func TestAdoptedBehindProxy(t *testing.T) {
	k := newKit(t, behindProxy)
	s := k.adopt("her", string(clientFrame(websocket.OpText, "hello")))
	want(t, "messages", len(k.h.of("her").messages), 1)
	want(t, "address", s.conn.RemoteAddr().String(), socketAddr)
}

// A proxy that is not set up for the header makes its mistake with every
// connection; the log must not be full of it.
func TestProxyComplaints(t *testing.T) {
	var log bytes.Buffer
	k := newKit(t, behindProxy, func(o *transport.Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	cut := func(n int) {
		for range n {
			s := k.attach()
			s.conn.Input([]byte("GET"))
			want(t, "closed", s.closed, true)
		}
	}
	cut(100)
	want(t, "lines in the first minute", strings.Count(log.String(), "\n"), 1)
	if !strings.Contains(log.String(), socketAddr) {
		t.Errorf("the log does not say who: %s", log.String())
	}
	k.advance(time.Minute)
	cut(100)
	want(t, "lines in two minutes", strings.Count(log.String(), "\n"), 2)
}

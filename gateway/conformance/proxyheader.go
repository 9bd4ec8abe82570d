package conformance

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/internal/wsclient"
	"github.com/sluicegate/sluice/transport/websocket"
)

// proxyHeader is a header of the PROXY protocol, version 2 (proxy-protocol.txt,
// section 2.2), with whatever in it.
func proxyHeader(verCmd, family byte, body string) string {
	head := append([]byte("\r\n\r\n\x00\r\nQUIT\n"), verCmd, family)
	return string(append(head, byte(len(body)>>8), byte(len(body)))) + body
}

// forClient is the header of a connection on behalf of ip.
func forClient(ip string, tlvs string) string {
	family, source := byte(0x11), netip.MustParseAddr(ip).AsSlice()
	if len(source) == 16 {
		family = 0x21
	}
	body := slices.Concat(source, make([]byte, len(source)), []byte{0x04, 0xd2, 0x00, 0x50}, []byte(tlvs))
	return proxyHeader(0x21, family, string(body))
}

// proxyHeaders: a proxy that is known to begin with a PROXY header must, and what
// it says is the connection's address; from all others it is no header at all.
func proxyHeaders(t *testing.T, mk maker) {
	if mk(t).Mounted {
		t.Run("mounted", func(t *testing.T) { proxyHeadersMounted(t, mk) })
		return
	}
	t.Run("right ones", func(t *testing.T) { rightProxyHeaders(t, mk) })
	t.Run("wrong ones", func(t *testing.T) { wrongProxyHeaders(t, mk) })
	t.Run("unfinished ones", func(t *testing.T) { unfinishedProxyHeaders(t, mk) })
	t.Run("from anybody else", func(t *testing.T) { strangersProxyHeaders(t, mk) })
}

// A host's server reads its connections. A gateway that relied on it would take
// the proxy for the client.
func proxyHeadersMounted(t *testing.T, mk maker) {
	gw, err := gateway.New(gateway.Config{Transports: mk(t).Transports, ProxyProtocol: loopback()})
	must(t, err)
	if err := gw.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "ProxyProtocol") {
		t.Errorf("Run: %v, want an error that says that ProxyProtocol cannot be had", err)
	}
}

func rightProxyHeaders(t *testing.T, mk maker) {
	auth := &addressee{seen: make(map[string]string)}
	s := start(t, mk, gateway.Config{
		// In IPv6's form, the networks are the same.
		ProxyProtocol:  []netip.Prefix{netip.MustParsePrefix("::ffff:127.0.0.0/104"), netip.MustParsePrefix("::1/128")},
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Hooks: []any{auth},
	})
	frames := wsclient.AppendFrame(nil, wsclient.Frame{Fin: true, Op: websocket.OpText, Data: []byte("glued")}, [4]byte{1, 2, 3, 4})
	for _, tc := range []struct{ name, header, addr string }{
		{"IPv4", forClient("203.0.113.7", ""), "203.0.113.7"},
		{"IPv6", forClient("2001:db8::7", ""), "2001:db8::7"},
		{"with TLVs", forClient("203.0.113.7", strings.Repeat("\x04\x00\x05hello", 200)), "203.0.113.7"},
		{"for itself", proxyHeader(0x20, 0x00, ""), own},
		{"for itself, with addresses", "\r\n\r\n\x00\r\nQUIT\n\x20" + forClient("203.0.113.7", "")[13:], own},
		{"of no family", proxyHeader(0x21, 0x00, ""), own},
		{"of a trusted HTTP proxy", forClient("10.0.0.1", ""), "203.0.113.9"},
	} {
		// A piece is what is written at a time. All is one with the request and a
		// first frame, as a proxy that has them already writes it.
		for name, piece := range map[string]int{"": 1 << 20, ", byte by byte": 1, ", in pieces": 11} {
			t.Run(tc.name+name, func(t *testing.T) {
				s := s.on(t)
				conn := s.dial()
				query := "case=" + strings.ReplaceAll(tc.name+name, " ", "+")
				head := wsclient.Request{Target: path + "?" + query, Header: http.Header{"X-Forwarded-For": {"203.0.113.9"}}}
				all := slices.Concat([]byte(tc.header), head.Append(nil, exampleKey), frames)
				for part := range slices.Chunk(all, piece) {
					_, err := conn.Write(part)
					must(t, err)
				}
				c, err := wsclient.ReadAnswer(conn, exampleKey, false)
				must(t, err)
				p := &peer{Conn: c, t: t, id: s.idOf(query)}
				if got := s.book.event(p.id).RemoteAddr; !addressIs(got, tc.addr) || auth.of(query) != got {
					t.Errorf("the Router was told of %s and the Authenticator of %s, want %s", got, auth.of(query), tc.addr)
				}
				p.expect("glued")
				p.echoes("hello")
				must(t, p.WriteClose(websocket.CloseNormal, ""))
				p.expectClose(websocket.CloseNormal, "")
				if _, ok := ended(conn); !ok {
					t.Error("the connection does not end")
				}
			})
		}
	}
	s.settle() // which judges what the Limiter heard
}

func wrongProxyHeaders(t *testing.T, mk maker) {
	s := start(t, mk, gateway.Config{ProxyProtocol: loopback()})
	right := forClient("203.0.113.7", "")
	for _, tc := range []struct{ name, sent string }{
		{"missing", ""},
		{"version 1", "PROXY TCP4 203.0.113.7 127.0.0.1 1234 80\r\n"},
		{"version 3", right[:12] + "\x31" + right[13:]},
		{"an unknown command", right[:12] + "\x22" + right[13:]},
		{"an unknown family", right[:13] + "\x51" + right[14:]},
		{"too short for its addresses", proxyHeader(0x21, 0x21, right[16:])},
		{"too long", proxyHeader(0x21, 0x11, right[16:]+strings.Repeat("x", 2048))},
		{"endless", proxyHeader(0x20, 0x00, strings.Repeat("x", 65535))},
		{"a byte before it", "\n" + right},
		{"a second one", right + right},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := s.on(t)
			_, conn, err := s.shake(tc.sent + exampleHead + "\r\n")
			refused := (*wsclient.RefusedError)(nil)
			switch answered := errors.As(err, &refused); {
			case err == nil:
				t.Fatal("it was upgraded")
			case tc.name == "a second one":
				if !answered || refused.Response.StatusCode != http.StatusBadRequest {
					t.Errorf("%v, want 400: it is a request that is none", err)
				}
			case answered:
				t.Errorf("status %s, want the end without an answer", refused.Response.Status)
			default:
				if _, ok := ended(conn); !ok {
					t.Error("the connection does not end")
				}
			}
		})
	}
	s.settle()
	if admitted, _ := s.book.limits(); admitted != 0 || s.book.opens() != 0 {
		t.Errorf("the Limiter was asked %d times and %d clients opened, want none", admitted, s.book.opens())
	}
}

// Who does not finish its header is cut when the handshake's time is up, and
// whoever comes behind it has what is left of that.
func unfinishedProxyHeaders(t *testing.T, mk maker) {
	setup := mk(t)
	limit := setup.span(10*time.Second, 400*time.Millisecond)
	s := startOn(t, setup, gateway.Config{ProxyProtocol: loopback(), HandshakeTimeout: limit})
	right := forClient("203.0.113.7", strings.Repeat("x", 1000))
	trickle := s.dial()
	waiting := map[string]net.Conn{"one that trickles in": trickle}
	for name, sent := range map[string]string{"nothing": "", "a part of it": right[:20], "all but its end": right[:len(right)-1]} {
		conn := s.dial()
		_, err := conn.Write([]byte(sent))
		must(t, err)
		waiting[name] = conn
	}
	for i := range 13 {
		_, _ = trickle.Write([]byte{right[i]})
		s.await(limit / 10)
	}
	for name, conn := range waiting {
		if rest, ok := ended(conn); !ok || len(rest) > 0 {
			t.Errorf("%s: the connection has not ended (%v), %q came", name, !ok, rest)
		}
	}
	s.settle()
	if admitted, _ := s.book.limits(); admitted != 0 {
		t.Errorf("the Limiter was asked %d times for no handshake", admitted)
	}
}

func strangersProxyHeaders(t *testing.T, mk maker) {
	for name, from := range map[string][]netip.Prefix{"others are listed": elsewhere(), "nobody is listed": nil} {
		t.Run(name, func(t *testing.T) {
			s := start(t, mk, gateway.Config{ProxyProtocol: from})
			_, conn, err := s.shake(forClient("203.0.113.7", "") + exampleHead + "\r\n")
			refused := (*wsclient.RefusedError)(nil)
			if !errors.As(err, &refused) || refused.Response.StatusCode != http.StatusBadRequest {
				t.Fatalf("%v, want 400", err)
			}
			s.staysRefused(conn)
			p := s.join()
			if got := s.book.event(p.id).RemoteAddr; !addressIs(got, own) {
				t.Errorf("address %s, want the client's own", got)
			}
			p.leave()
			s.settle()
		})
	}
}

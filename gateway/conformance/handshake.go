package conformance

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/internal/wsclient"
	"github.com/sluicegate/sluice/transport/websocket"
)

// testHandshakes covers RFC 6455 4.1, 4.2 and 10.2, and what hooks do to a
// handshake.
func testHandshakes(t *testing.T, mk maker) {
	group(t, "handshake", func(t *testing.T) {
		for _, g := range slices.Concat(acceptedHeads(), originHeads(), refusedHeads()) {
			t.Run(g.name, func(t *testing.T) { g.run(t, mk) })
		}
		t.Run("origins that change", func(t *testing.T) { changedOrigins(t, mk) })
		t.Run("accept values", func(t *testing.T) { acceptValues(t, mk) })
		t.Run("long heads", func(t *testing.T) { longHeads(t, mk) })
		t.Run("data behind the head", func(t *testing.T) { dataBehindHead(t, mk) })
		t.Run("much data behind the head", func(t *testing.T) { muchBehindHead(t, mk) })
		t.Run("authenticator", func(t *testing.T) { authenticators(t, mk) })
		t.Run("authenticator times out", func(t *testing.T) { authenticatorTimesOut(t, mk) })
		t.Run("limiter", func(t *testing.T) { limiters(t, mk) })
		t.Run("forwarded addresses", func(t *testing.T) { forwardedAddresses(t, mk) })
		t.Run("proxy headers", func(t *testing.T) { proxyHeaders(t, mk) })
		t.Run("shaper", func(t *testing.T) { shapers(t, mk) })
		t.Run("time-outs", func(t *testing.T) { handshakeTimeouts(t, mk) })
	})
}

// The example of RFC 6455 1.3.
const (
	exampleKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	exampleAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

// exampleHead is a handshake with nothing but what it must have, less its blank
// line.
const exampleHead = "GET " + path + " HTTP/1.1\r\nHost: gateway.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Key: " + exampleKey + "\r\nSec-WebSocket-Version: 13\r\n"

// A headGroup is heads that go to one gateway.
type headGroup struct {
	name string
	cfg  gateway.Config
	rows []headRow
}

// A headRow is a request and what it must be answered with.
type headRow struct {
	name string
	// edit is pairs: what of the example is replaced, and by what.
	edit []string
	// behind follows the blank line.
	behind string
	// status is what may be answered; none means 101.
	status []int
	// header is what the answer must have; "" means that it must not.
	header map[string]string
	// query is what the host must hear.
	query string
	// unread says that net/http refuses the head by itself where it reads it.
	unread bool
	// unmounted says that the host's mux decides about the row.
	unmounted bool
}

// add is an edit that adds fields.
func add(fields ...string) []string {
	return []string{"Upgrade: websocket\r\n", "Upgrade: websocket\r\n" + strings.Join(fields, "\r\n") + "\r\n"}
}

func (r *headRow) head(t *testing.T) string {
	t.Helper()
	head := exampleHead
	for i := 0; i < len(r.edit); i += 2 {
		if !strings.Contains(head, r.edit[i]) {
			t.Fatalf("the edit of %q changes nothing", r.edit[i])
		}
		head = strings.Replace(head, r.edit[i], r.edit[i+1], 1)
	}
	return head + "\r\n" + r.behind
}

func (g *headGroup) run(t *testing.T, mk maker) {
	s := start(t, mk, g.cfg)
	accepted := 0
	for _, r := range g.rows {
		if r.unmounted && s.setup.Mounted {
			continue
		}
		began := time.Now()
		ok := t.Run(r.name, func(t *testing.T) {
			if s.on(t).tryHead(&r) {
				accepted++
			}
		})
		if !ok && time.Since(began) >= patience/2 {
			t.Fatal("the rest would take as long")
		}
	}
	s.settle()
	if n := s.book.opens(); n != accepted {
		t.Errorf("the Router was told of %d clients, want the %d that got a 101", n, accepted)
	}
}

// tryHead sends a head and judges the answer. An accepted client must be
// served, and a refused one never is.
func (s *scene) tryHead(r *headRow) (accepted bool) {
	s.t.Helper()
	p, conn, err := s.shake(r.head(s.t))
	if err == nil {
		if r.status != nil && !slices.Contains(r.status, http.StatusSwitchingProtocols) {
			s.t.Fatalf("it was upgraded, want %v", r.status)
		}
		s.checkHeader(r, p.Response)
		p.echoes("hello")
		if r.query != "" && s.book.find(r.query) == "" {
			s.t.Errorf("the host did not hear of the query %q", r.query)
		}
		p.leave()
		return true
	}
	refused := (*wsclient.RefusedError)(nil)
	isAnswer := errors.As(err, &refused)
	switch {
	case isAnswer && refused.Why != "status":
		s.t.Fatalf("a 101 that is none: %s", refused.Why)
	case s.setup.Mounted && r.unread:
		if isAnswer && refused.Response.StatusCode < 400 || errors.Is(err, os.ErrDeadlineExceeded) {
			s.t.Errorf("%v, want a 4xx, a 5xx or the end", err)
		}
		return false
	case !isAnswer:
		s.t.Fatalf("%v, want an answer", err)
	case !slices.Contains(r.status, refused.Response.StatusCode):
		s.t.Errorf("status %s, want %v", refused.Response.Status, r.statuses())
	default:
		s.checkHeader(r, refused.Response)
	}
	s.staysRefused(conn)
	return false
}

func (r *headRow) statuses() []int {
	if r.status == nil {
		return []int{http.StatusSwitchingProtocols}
	}
	return r.status
}

func (s *scene) checkHeader(r *headRow, resp *http.Response) {
	s.t.Helper()
	for name, want := range r.header {
		if got := resp.Header.Get(name); got != want || len(resp.Header.Values(name)) > 1 {
			s.t.Errorf("%s: %q, want %q", name, resp.Header.Values(name), want)
		}
	}
}

// shake sends head, which may be more than the gateway wants to read, and reads
// the answer.
func (s *scene) shake(head string) (*peer, net.Conn, error) {
	s.t.Helper()
	conn := s.dial()
	var writing sync.WaitGroup
	writing.Go(func() { _, _ = io.WriteString(conn, head) })
	s.t.Cleanup(func() {
		_ = conn.Close()
		writing.Wait()
	})
	c, err := wsclient.ReadAnswer(conn, exampleKey, false)
	if err != nil {
		return nil, conn, err
	}
	return &peer{Conn: c, t: s.t}, conn, nil
}

// staysRefused checks that a refused connection is of no use: what is sent on it
// does not come back as a message, and it ends once the client has nothing more
// to say, or its time is up.
func (s *scene) staysRefused(conn net.Conn) {
	s.t.Helper()
	frame := wsclient.AppendFrame(nil, wsclient.Frame{Fin: true, Op: websocket.OpText, Data: []byte("too late")}, [4]byte{1, 2, 3, 4})
	_, _ = conn.Write(frame)
	if !halfClose(conn) {
		if s.setup.Advance == nil {
			return // it ends some time
		}
		s.pass(closedFor)
	}
	rest, ok := ended(conn)
	if !ok {
		s.t.Error("a refused connection does not end")
	}
	if text := string(rest); strings.Contains(text, "too late") || strings.Contains(text, " 101 ") {
		s.t.Errorf("after the refusal: %.200q", text)
	}
}

// The accept value is a function of the key (RFC 6455 4.2.2), and of nothing
// else.
func acceptValues(t *testing.T, mk maker) {
	s := start(t, mk, gateway.Config{})
	p, _, err := s.shake(exampleHead + "\r\n")
	must(t, err)
	if got := p.Response.Header.Get("Sec-Websocket-Accept"); got != exampleAccept {
		t.Errorf("the RFC's example: %q, want %q", got, exampleAccept)
	}
	for range 20 {
		s.open(wsclient.Request{}).leave() // which judges the value for a key of its own
	}
}

func acceptedHeads() []headGroup {
	none := map[string]string{"Sec-WebSocket-Protocol": ""}
	return []headGroup{
		{"heads that are accepted", gateway.Config{}, []headRow{
			{name: "nothing but what is needed", header: map[string]string{
				"Sec-WebSocket-Protocol": "", "Sec-WebSocket-Extensions": "",
				"Content-Length": "", "Transfer-Encoding": "", "Sec-WebSocket-Accept": exampleAccept,
			}},
			{name: "names in lower case", edit: []string{
				"Host", "host", "Upgrade:", "upgrade:", "Connection", "connection",
				"Sec-WebSocket-Key", "sec-websocket-key", "Sec-WebSocket-Version", "sec-websocket-version",
			}},
			{name: "names in upper case", edit: []string{
				"Host", "HOST", "Upgrade:", "UPGRADE:", "Connection", "CONNECTION",
				"Sec-WebSocket-Key", "SEC-WEBSOCKET-KEY", "Sec-WebSocket-Version", "SEC-WEBSOCKET-VERSION",
			}},
			{name: "tokens in other case", edit: []string{"websocket", "WebSocket", "Connection: Upgrade", "Connection: upGRADE"}},
			{name: "several tokens in Connection", edit: []string{"Connection: Upgrade", "Connection: keep-alive, Upgrade"}},
			{name: "empty list elements", edit: []string{"Connection: Upgrade", "Connection: , keep-alive,,\tupgrade ,"}},
			{name: "Connection on two lines", edit: []string{"Connection: Upgrade", "Connection: keep-alive\r\nConnection: Upgrade"}},
			{name: "several protocols in Upgrade", edit: []string{"Upgrade: websocket", "Upgrade: example/2, websocket"}},
			{name: "Upgrade on two lines", edit: []string{"Upgrade: websocket", "Upgrade: example/2\r\nUpgrade: websocket"}},
			{name: "no space behind the colons", edit: []string{"Upgrade: w", "Upgrade:w", "Connection: U", "Connection:U", "Key: ", "Key:"}},
			{name: "spaces around the key", edit: []string{"Key: " + exampleKey, "Key: \t " + exampleKey + " \t"},
				header: map[string]string{"Sec-WebSocket-Accept": exampleAccept}},
			{name: "spaces around the version", edit: []string{"Version: 13", "Version:  13\t"}},
			{name: "fields that mean nothing here", edit: add(
				"User-Agent: x", "Cookie: a=b; c=d", "Authorization: Bearer x", "Pragma: no-cache", "X-Empty:", "Accept-Language: de, en;q=0.5")},
			{name: "an unknown extension is declined", edit: add("Sec-WebSocket-Extensions: x-unknown; a=1"),
				header: map[string]string{"Sec-WebSocket-Extensions": ""}},
			{name: "a body of no bytes", edit: add("Content-Length: 0")},
			{name: "a later minor version of HTTP", edit: []string{"HTTP/1.1", "HTTP/1.2"}},
			{name: "a whole URL as target", edit: []string{"GET " + path, "GET http://gateway.test" + path + "?whole=1"}, query: "whole=1"},
			{name: "a query", edit: []string{"GET " + path, "GET " + path + "?a=1&b=%20%2f&a=2"}, query: "a=1&b=%20%2f&a=2"},
			{name: "a host with a port", edit: []string{"gateway.test", "gateway.test:8080"}},
			{name: "a subprotocol where none is spoken", edit: add("Sec-WebSocket-Protocol: chat"), header: none},
		}},
		{"subprotocols", gateway.Config{Subprotocols: []string{"v2.chat", "chat"}}, []headRow{
			{name: "none offered", header: none},
			{name: "one", edit: add("Sec-WebSocket-Protocol: chat"), header: map[string]string{"Sec-WebSocket-Protocol": "chat"}},
			{name: "the server's preference", edit: add("Sec-WebSocket-Protocol: chat, v2.chat"), header: map[string]string{"Sec-WebSocket-Protocol": "v2.chat"}},
			{name: "on several lines", edit: add("Sec-WebSocket-Protocol: other", "Sec-WebSocket-Protocol: chat ,v2.chat"),
				header: map[string]string{"Sec-WebSocket-Protocol": "v2.chat"}},
			{name: "none in common", edit: add("Sec-WebSocket-Protocol: other, v3.chat"), header: none},
			{name: "in another case", edit: add("Sec-WebSocket-Protocol: CHAT"), header: none},
		}},
	}
}

// originHeads: RFC 6455 10.2, and 403 as 4.2.2 says.
func originHeads() []headGroup {
	forbidden := []int{http.StatusForbidden}
	origin := func(v string) []string { return add("Origin: " + v) }
	twice := add("Origin: https://a.example", "Origin: https://b.example")
	return []headGroup{
		{"own origin only", gateway.Config{}, []headRow{
			{name: "none"},
			{name: "own", edit: origin("http://gateway.test")},
			{name: "own, by TLS", edit: origin("https://gateway.test")},
			{name: "own, in another case", edit: origin("http://Gateway.TEST")},
			{name: "own, with its port", edit: append(origin("http://gateway.test:8080"), "Host: gateway.test", "Host: gateway.test:8080")},
			{name: "another", edit: origin("https://evil.test"), status: forbidden},
			{name: "one that begins like it", edit: origin("https://gateway.test.evil.test"), status: forbidden},
			{name: "one that ends like it", edit: origin("https://evil-gateway.test"), status: forbidden},
			{name: "another port", edit: origin("http://gateway.test:8080"), status: forbidden},
			{name: "another scheme", edit: origin("ftp://gateway.test"), status: forbidden},
			{name: "with a user in it", edit: origin("http://gateway.test@evil.test"), status: forbidden},
			{name: "null", edit: origin("null"), status: forbidden},
			{name: "empty", edit: origin(""), status: forbidden},
			{name: "no URL", edit: origin("gateway.test"), status: forbidden},
			{name: "two", edit: add("Origin: http://gateway.test", "Origin: http://gateway.test"), status: forbidden},
		}},
		{"listed origins", gateway.Config{Origins: []string{"https://a.example", "https://b.example"}}, []headRow{
			{name: "none"},
			{name: "the first", edit: origin("https://a.example")},
			{name: "the second", edit: origin("https://b.example")},
			{name: "another", edit: origin("https://c.example"), status: forbidden},
			{name: "own, not listed", edit: origin("http://gateway.test"), status: forbidden},
			{name: "another scheme", edit: origin("http://a.example"), status: forbidden},
			{name: "another port", edit: origin("https://a.example:8443"), status: forbidden},
			{name: "one that begins like it", edit: origin("https://a.example.evil.test"), status: forbidden},
			{name: "null", edit: origin("null"), status: forbidden},
			{name: "two, both listed", edit: twice, status: forbidden},
		}},
		{"any origin", gateway.Config{Origins: []string{"*"}}, []headRow{
			{name: "none"},
			{name: "another", edit: origin("https://evil.test")},
			{name: "null", edit: origin("null")},
			{name: "two", edit: twice, status: forbidden},
		}},
	}
}

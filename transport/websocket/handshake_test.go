package websocket

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// The request of RFC 6455, section 1.2, as pairs so that tests can vary it.
var sampleFields = []string{
	"Host: server.example.com",
	"Upgrade: websocket",
	"Connection: Upgrade",
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
	"Sec-WebSocket-Version: 13",
}

// request builds a head. An edit "Name: value" replaces the sample's field, "-Name"
// removes it, "+Name: value" adds a line, and "GET /..." is the request line.
func request(edits ...string) string {
	line, fields := "GET /chat?room=1 HTTP/1.1", slices.Clone(sampleFields)
	index := func(edit string) int {
		name, _, _ := strings.Cut(edit, ":")
		return slices.IndexFunc(fields, func(f string) bool { return strings.HasPrefix(f, name+":") })
	}
	for _, e := range edits {
		switch name, isLine := strings.CutSuffix(e, " HTTP/1.1"); {
		case isLine || strings.Contains(name, " HTTP/"):
			line = e
		case e[0] == '-':
			i := index(e[1:])
			fields = slices.Delete(fields, i, i+1)
		case e[0] == '+':
			fields = append(fields, e[1:])
		default:
			fields[index(e)] = e
		}
	}
	return line + "\r\n" + strings.Join(fields, "\r\n") + "\r\n\r\n"
}

// shake parses and negotiates.
func shake(head string, o *HandshakeOptions) (*Handshake, error) {
	r, err := ParseRequest([]byte(head))
	if err != nil {
		return nil, err
	}
	return Negotiate(r, o)
}

func TestHandshakeSample(t *testing.T) {
	h, err := shake(request(), nil)
	if err != nil {
		t.Fatal(err)
	}
	const want = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
	if got := string(h.AppendResponse([]byte("dst"), nil)); got != "dst"+want {
		t.Errorf("got %q", got)
	}
}

func TestHandshakeAccepted(t *testing.T) {
	tests := []struct {
		name string
		head string
	}{
		{"Connection as Firefox sends it", request("Connection: keep-alive, Upgrade")},
		{"Connection in lower case", request("Connection: upgrade")},
		{"Connection in upper case", request("Connection: UPGRADE")},
		{"Connection without spaces", request("Connection: keep-alive,upgrade,x")},
		{"Connection with empty elements", request("Connection: ,, \t Upgrade\t ,")},
		{"Connection on two lines", request("Connection: keep-alive", "+Connection: Upgrade")},
		{"Upgrade in any case", request("Upgrade: WebSocket")},
		{"Upgrade list", request("Upgrade: h2c, websocket")},
		{"Upgrade on two lines", request("Upgrade: foo", "+upgrade: websocket")},
		{"field names in any case", strings.ToLower(request("-Sec-WebSocket-Key"))[:0] + request("-Sec-WebSocket-Key", "+SEC-websocket-KEY: dGhlIHNhbXBsZSBub25jZQ==")},
		{"Content-Length 0", request("+Content-Length: 0")},
		{"lines that end in LF", strings.ReplaceAll(request(), "\r\n", "\n")},
		{"no query", request("GET /ws HTTP/1.1")},
		{"absolute target", request("GET http://server.example.com/ws HTTP/1.1")},
		{"version with space", request("Sec-WebSocket-Version:  13 ")},
		{"no Origin", request()},
		{"own Origin", request("+Origin: http://server.example.com")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := shake(tt.head, &HandshakeOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestHandshakeRefused(t *testing.T) {
	tests := []struct {
		name   string
		head   string
		status int
	}{
		{"POST", request("POST /chat HTTP/1.1"), 405},
		{"HEAD", request("HEAD /chat HTTP/1.1"), 405},
		{"method in lower case", request("get /chat HTTP/1.1"), 405},
		{"CONNECT", request("CONNECT server.example.com:80 HTTP/1.1"), 405},
		{"HTTP/1.0", request("GET /chat HTTP/1.0"), 400},
		{"HTTP/0.9", request("GET /chat HTTP/0.9"), 400},
		{"HTTP/2.0", request("GET /chat HTTP/2.0"), 400},
		{"no HTTP version", request("GET /chat HTTP/"), 400},
		{"no Host", request("-Host"), 400},
		{"empty Host", request("Host:"), 400},
		{"two Hosts", request("+Host: evil.example"), 400},
		{"two Hosts, other case", request("+hOST: evil.example"), 400},
		{"no Upgrade", request("-Upgrade"), 400},
		{"Upgrade to something else", request("Upgrade: h2c"), 400},
		{"Upgrade that only contains it", request("Upgrade: websocket2"), 400},
		{"no Connection", request("-Connection"), 400},
		{"Connection: close", request("Connection: close"), 400},
		{"Connection that only contains it", request("Connection: no-upgrade"), 400},
		{"plain GET", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		{"no version", request("-Sec-WebSocket-Version"), 426},
		{"version 8", request("Sec-WebSocket-Version: 8"), 426},
		{"version 14", request("Sec-WebSocket-Version: 14"), 426},
		{"version 013", request("Sec-WebSocket-Version: 013"), 426},
		{"version list", request("Sec-WebSocket-Version: 13, 8"), 426},
		{"two versions", request("+Sec-WebSocket-Version: 13"), 426},
		{"no key", request("-Sec-WebSocket-Key"), 400},
		{"empty key", request("Sec-WebSocket-Key:"), 400},
		{"two keys", request("+Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), 400},
		{"key of 15 bytes", request("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j"), 400},
		{"key of 17 bytes", request("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZXM="), 400},
		{"key of 18 bytes", request("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZXNz"), 400},
		{"key without padding", request("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ"), 400},
		{"key in URL base64", request("Sec-WebSocket-Key: -_hlIHNhbXBsZSBub25jZQ=="), 400},
		{"key not base64", request("Sec-WebSocket-Key: !!!!IHNhbXBsZSBub25jZQ=="), 400},
		{"two keys in one", request("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==, x"), 400},
		{"foreign Origin", request("+Origin: http://evil.example"), 403},
		{"two Origins", request("+Origin: http://server.example.com", "+Origin: http://server.example.com"), 403},
		{"Content-Length", request("+Content-Length: 5"), 400},
		{"negative Content-Length", request("+Content-Length: -5"), 400},
		{"chunked", request("+Transfer-Encoding: chunked"), 400},
		{"unknown Transfer-Encoding", request("+Transfer-Encoding: gzip"), 400},
		{"empty", "", 400},
		{"blank line first", "\r\n\r\n", 400},
		{"not HTTP", "hello\r\n\r\n", 400},
		{"a field without a colon", request("+nonsense"), 400},
		{"space before the colon", request("+Host : evil.example"), 400},
		{"control character in a value", request("+X: a\x00b"), 400},
		{"cut head", request()[:60], 400},
		{"bytes after the head", request() + "\x81", 400},
		{"a second head", request() + request(), 400},
		{"blank line of LF in a head of CRLF", strings.Replace(request(), "Upgrade: websocket\r\n", "Upgrade: websocket\r\n\n", 1), 400},
		{"bad target", request("GET ws HTTP/1.1"), 400},
		{"bad escape in the target", request("GET /%zz HTTP/1.1"), 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, err := shake(tt.head, &HandshakeOptions{Compression: true})
			var he *HandshakeError
			if h != nil || !errors.As(err, &he) || he.Status != tt.status {
				t.Fatalf("got %v, %v, want status %d", h, err, tt.status)
			}
			res, body := readResponse(t, he.AppendResponse(nil))
			if res.StatusCode != tt.status || !res.Close || body != he.Reason+"\n" {
				t.Errorf("response %v, body %q", res, body)
			}
			if tt.status == 426 && (res.Header.Get("Sec-WebSocket-Version") != "13" || he.Header.Get("Sec-WebSocket-Version") != "13") {
				t.Error("426 without the version")
			}
			if tt.status == 405 && res.Header.Get("Allow") != "GET" {
				t.Error("405 without Allow")
			}
		})
	}
}

func readResponse(t *testing.T, b []byte) (*http.Response, string) {
	t.Helper()
	br := bufio.NewReader(bytes.NewReader(b))
	res, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatalf("%v in %q", err, b)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil || br.Buffered() != 0 {
		t.Fatalf("%v, %d bytes after the response %q", err, br.Buffered(), b)
	}
	return res, string(body)
}

func TestHandshakeErrorResponse(t *testing.T) {
	e := &HandshakeError{Status: 426, Header: http.Header{"Sec-Websocket-Version": {"13"}, "Upgrade": {"websocket"}}, Reason: "no"}
	const want = "HTTP/1.1 426 Upgrade Required\r\nConnection: close, Upgrade\r\nContent-Type: text/plain; charset=utf-8\r\n" +
		"X-Content-Type-Options: nosniff\r\nContent-Length: 3\r\nSec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n\r\nno\n"
	if got := string(e.AppendResponse(nil)); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	// Whatever a host puts in, the response ends where it says.
	e = &HandshakeError{Status: 429, Reason: "slow down\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", Header: http.Header{
		"Retry-After": {"1\r\nX-Injected: 1"}, "Bad Name": {"x"}, "Bad:Name": {"x"}, "X\r\nY": {"x"}, "": {"x"},
		"Content-Length": {"0"}, "content-length": {"1"}, "Transfer-Encoding": {"chunked"}, "Connection": {"keep-alive"},
	}}
	res, body := readResponse(t, e.AppendResponse(nil))
	if body != e.Reason+"\n" || !res.Close || res.Header.Get("X-Injected") != "" || res.Header.Get("Retry-After") != "1  X-Injected: 1" {
		t.Errorf("%v %q", res.Header, body)
	}
	if len(res.Header) != 4 {
		t.Errorf("fields %v", res.Header)
	}
	for _, status := range []int{0, -1, 1000} {
		res, _ = readResponse(t, (&HandshakeError{Status: status}).AppendResponse(nil))
		if res.StatusCode != 400 {
			t.Errorf("status %d sent as %d", status, res.StatusCode)
		}
	}
	if res, _ = readResponse(t, (&HandshakeError{Status: 499}).AppendResponse(nil)); res.StatusCode != 499 {
		t.Error(res.Status)
	}
}

func TestHandshakeExtraHeader(t *testing.T) {
	h, err := shake(request("+Sec-WebSocket-Protocol: a"), &HandshakeOptions{Subprotocols: []string{"a"}})
	if err != nil {
		t.Fatal(err)
	}
	res, _ := readResponse(t, h.AppendResponse(nil, http.Header{
		"Set-Cookie":               {"a=1", "b=2"},
		"X-Split":                  {"a\r\nX-Injected: 1", "c\nX-Injected: 2", "\x00\x7f"},
		"X-Injected: 3\r\nX":       {"x"},
		"Sec-WebSocket-Accept":     {"forged"},
		"sec-websocket-protocol":   {"forged"},
		"Sec-Websocket-Extensions": {"forged"},
		"Connection":               {"close"},
		"upgrade":                  {"forged"},
		"Content-Length":           {"5"},
		"Transfer-Encoding":        {"chunked"},
		"Trailer":                  {"x"},
	}))
	want := http.Header{
		"Upgrade":                {"websocket"},
		"Connection":             {"Upgrade"},
		"Sec-Websocket-Accept":   {"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="},
		"Sec-Websocket-Protocol": {"a"},
		"Set-Cookie":             {"a=1", "b=2"},
		"X-Split":                {"a  X-Injected: 1", "c X-Injected: 2", ""},
	}
	if len(res.Header) != len(want) {
		t.Errorf("fields %v", res.Header)
	}
	for k, v := range want {
		if !slices.Equal(res.Header[k], v) {
			t.Errorf("%s: %q, want %q", k, res.Header[k], v)
		}
	}
}

// The Header of a Handshake is its response, field for field.
func TestHandshakeHeader(t *testing.T) {
	h, err := shake(request("+Sec-WebSocket-Protocol: x, b, a", "+Sec-WebSocket-Extensions: permessage-deflate"),
		&HandshakeOptions{Subprotocols: []string{"a", "b"}, Compression: true})
	if err != nil || h.Subprotocol != "a" || !h.Deflate {
		t.Fatal(h, err)
	}
	res, _ := readResponse(t, h.AppendResponse(nil, nil))
	got := h.Header()
	if len(got) != len(res.Header) || len(got) != 5 {
		t.Errorf("%v, response %v", got, res.Header)
	}
	for k := range res.Header {
		if got.Get(k) != res.Header.Get(k) {
			t.Errorf("%s: %q, in the response %q", k, got.Get(k), res.Header.Get(k))
		}
	}
}

func TestSubprotocols(t *testing.T) {
	tests := []struct {
		ours   []string
		offers []string
		want   string
	}{
		{nil, nil, ""},
		{[]string{"a"}, nil, ""},
		{nil, []string{"a"}, ""},
		{[]string{"a"}, []string{"b"}, ""},
		{[]string{"a", "b"}, []string{"b, a"}, "a"},
		{[]string{"b", "a"}, []string{"a,b"}, "b"},
		{[]string{"c", "b"}, []string{"a", "b", "d"}, "b"},
		{[]string{"A"}, []string{"a"}, ""},
		{[]string{""}, []string{","}, ""},
		{[]string{"a b"}, []string{"a b"}, ""},
	}
	for _, tt := range tests {
		head := request()
		for _, o := range tt.offers {
			head = strings.TrimSuffix(head, "\r\n") + "Sec-WebSocket-Protocol: " + o + "\r\n\r\n"
		}
		h, err := shake(head, &HandshakeOptions{Subprotocols: tt.ours})
		if err != nil || h.Subprotocol != tt.want {
			t.Errorf("%q offered %q: %v, %v, want %q", tt.ours, tt.offers, h, err, tt.want)
		}
	}
}

func TestParseRequestKeepsNothing(t *testing.T) {
	head := []byte(request("+Cookie: sid=abc", "+X-Real-Ip: 10.0.0.1"))
	r, err := ParseRequest(head)
	if err != nil {
		t.Fatal(err)
	}
	for i := range head {
		head[i] = 'x'
	}
	c, _ := r.Cookie("sid")
	if r.URL.RawQuery != "room=1" || r.URL.Path != "/chat" || r.Host != "server.example.com" || c == nil || c.Value != "abc" ||
		r.Header.Get("X-Real-IP") != "10.0.0.1" {
		t.Errorf("%v", r)
	}
	if b, err := io.ReadAll(r.Body); len(b) != 0 || err != nil {
		t.Error(b, err)
	}
	if _, err := ParseRequest([]byte(request("+X: " + strings.Repeat("long ", 5000)))); err != nil {
		t.Error(err)
	}
	if _, err := ParseRequest([]byte(request("+X: "+strings.Repeat("long ", 5000)) + "x")); err == nil {
		t.Error("bytes after a long head accepted")
	}
}

func TestHeaderEnd(t *testing.T) {
	tests := []struct {
		in   string
		want int
	}{
		{"", -1},
		{"\r\n", -1},
		{"GET / HTTP/1.1\r\n", -1},
		{"GET / HTTP/1.1\r\n\r", -1},
		{"a\r\n\r\n", 5},
		{"a\r\n\r\nmore\r\n\r\n", 5},
		{"a\n\n", 3},
		{"a\r\n\n", 4},
		{"a\n\r\n", 4},
		{"a\r\n\r\r\n\r\n", 8},
		{"a\r\nb\r\n\r\n\x81\x80", 8},
		{"a\n\r", -1},
		{"a\n\rb\n\n", 6},
	}
	for _, tt := range tests {
		in := []byte(tt.in)
		if got := HeaderEnd(in, 0); got != tt.want {
			t.Errorf("%q: %d, want %d", tt.in, got, tt.want)
		}
		// Trickled in, however it is cut.
		for step := 1; step <= 4; step++ {
			got, from := -1, 0
			for n := min(step, len(in)); ; n = min(n+step, len(in)) {
				if got = HeaderEnd(in[:n], from); got >= 0 || n == len(in) {
					break
				}
				from = n
			}
			if got != tt.want {
				t.Errorf("%q by %d: %d, want %d", tt.in, step, got, tt.want)
			}
		}
	}
	for _, from := range []int{-5, 100} {
		if got := HeaderEnd([]byte("ab"), from); got != -1 {
			t.Errorf("from %d: %d", from, got)
		}
	}
}

// A head is scanned once, not once for each byte that arrives: what lies before
// from is out of sight.
func TestHeaderEndDoesNotRescan(t *testing.T) {
	b := []byte("a\r\n\r\n" + strings.Repeat("x", 100))
	if got := HeaderEnd(b, len(b)); got != -1 {
		t.Errorf("found %d, all of it before from", got)
	}
}

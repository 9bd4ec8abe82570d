package websocket

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// What browsers and programs send, word for word but for keys and addresses.
var ordinaryHeads = map[string]string{
	"the sample": request(),
	"Chrome": "GET /ws?room=1&t=a%20b HTTP/1.1\r\nHost: server.example.com\r\nConnection: Upgrade\r\nPragma: no-cache\r\n" +
		"Cache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r\nUpgrade: websocket\r\n" +
		"Origin: http://server.example.com\r\nSec-WebSocket-Version: 13\r\nAccept-Encoding: gzip, deflate\r\n" +
		"Accept-Language: en-US,en;q=0.9\r\nCookie: sid=0123; theme=\"dark\"\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
		"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\nSec-WebSocket-Protocol: x, b, a\r\n\r\n",
	"Firefox": "GET /ws HTTP/1.1\r\nHost: server.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0)\r\n" +
		"Accept: */*\r\nSec-WebSocket-Version: 13\r\nOrigin: http://server.example.com\r\nSec-WebSocket-Extensions: permessage-deflate\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nConnection: keep-alive, Upgrade\r\nSec-Fetch-Dest: empty\r\n" +
		"Pragma: no-cache\r\nCache-Control: no-cache\r\nUpgrade: websocket\r\n\r\n",
	"behind proxies":    request("+X-Forwarded-For: 192.0.2.1", "+x-forwarded-for: 192.0.2.2", "+X-Real-Ip:192.0.2.1\t"),
	"names in any case": strings.ReplaceAll(strings.ReplaceAll(request(), "Sec-WebSocket", "sec-websocket"), "Host", "HOST"),
	"a path of signs":   request("GET /a-b._~!$&'()*+,;=:@/c?a?b/%zz HTTP/1.1"),
	"an empty query":    request("GET /? HTTP/1.1"),
	"an empty value":    request("+X-Empty:", "+X-Blank: \t "),
}

var headOptions = &HandshakeOptions{Subprotocols: []string{"b", "a"}, Compression: true}

// checkHead reports whether ReadHead takes a head, which must then be what it is
// to ParseRequest and Negotiate.
func checkHead(t failer, head string, o *HandshakeOptions) (taken bool) {
	t.Helper()
	h, answer, ok := ReadHead(head, o)
	if !ok {
		return false
	}
	r, err := ParseRequest([]byte(head))
	if err != nil {
		t.Fatalf("ParseRequest: %v\n%q", err, head)
	}
	n, err := Negotiate(r, o)
	if err != nil {
		t.Fatalf("Negotiate: %v\n%q", err, head)
	}
	if answer != *n {
		t.Fatalf("answer %+v, want %+v\n%q", answer, *n, head)
	}
	if h.Path != r.URL.Path || h.RawQuery != r.URL.RawQuery {
		t.Fatalf("target %q, %q, want %q, %q\n%q", h.Path, h.RawQuery, r.URL.Path, r.URL.RawQuery, head)
	}
	for _, name := range append(fieldNames(head), "Host", "Cache-Control", "X-Absent", "") {
		if got, want := h.Values(name), r.Header.Values(name); !slices.Equal(got, want) {
			t.Fatalf("%s: %q, want %q\n%q", name, got, want, head)
		}
	}
	return true
}

// fieldNames returns the names of a head's fields, as they are and as an
// http.Header has them.
func fieldNames(head string) (names []string) {
	for line := range strings.SplitSeq(head, "\r\n") {
		name, _, _ := strings.Cut(line, ":")
		names = append(names, name, http.CanonicalHeaderKey(name))
	}
	return names
}

func TestReadHeadTakes(t *testing.T) {
	for name, head := range ordinaryHeads {
		t.Run(name, func(t *testing.T) {
			if !checkHead(t, head, headOptions) || !checkHead(t, head, nil) {
				t.Errorf("declined: %q", head)
			}
		})
	}
}

// What is refused, and what is good but not ordinary.
func TestReadHeadDeclines(t *testing.T) {
	for name, head := range map[string]string{
		"nothing":                    "",
		"another method":             request("POST /ws HTTP/1.1"),
		"another version":            request("GET /ws HTTP/1.0"),
		"an absolute target":         request("GET http://server.example.com/ws HTTP/1.1"),
		"no target":                  request("GET  HTTP/1.1"),
		"an asterisk":                request("GET * HTTP/1.1"),
		"two slashes":                request("GET //evil.example/ws HTTP/1.1"),
		"an encoded path":            request("GET /w%73 HTTP/1.1"),
		"a fragment":                 request("GET /ws#a HTTP/1.1"),
		"a space in the target":      request("GET /w s HTTP/1.1"),
		"a letter beyond ASCII":      request("GET /wß HTTP/1.1"),
		"lines that end in LF":       strings.ReplaceAll(request(), "\r\n", "\n"),
		"one line that ends in LF":   strings.Replace(request(), "Upgrade: websocket\r\n", "Upgrade: websocket\n", 1),
		"a folded line":              request("+X: a\r\n b"),
		"no blank line":              strings.TrimSuffix(request(), "\r\n"),
		"half a blank line":          strings.TrimSuffix(request(), "\n"),
		"bytes behind":               request() + "x",
		"a second head":              request() + request(),
		"no colon":                   request("+nonsense"),
		"no name":                    request("+: x"),
		"a space before the colon":   request("+X : x"),
		"a control character":        request("+X: a\x01b"),
		"a carriage return":          request("+X: a\rb"),
		"a delete":                   request("+X: a\x7fb"),
		"a value beyond ASCII":       request("+X: ß"),
		"no Host":                    request("-Host"),
		"an empty Host":              request("Host:"),
		"two Hosts":                  request("+host: evil.example"),
		"two Origins":                request("+Origin: http://server.example.com", "+Origin: http://server.example.com"),
		"a foreign Origin":           request("+Origin: http://evil.example"),
		"two lines of Connection":    request("Connection: keep-alive", "+Connection: Upgrade"),
		"two keys":                   request("+Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
		"an empty key, then another": request("Sec-WebSocket-Key:", "+Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
		"a bad key":                  request("Sec-WebSocket-Key: x"),
		"version 8":                  request("Sec-WebSocket-Version: 8"),
		"bad extensions":             request("+Sec-WebSocket-Extensions: ;"),
		"a body":                     request("+Content-Length: 1"),
		"no body, said so":           request("+Content-Length: 0"),
		"chunks":                     request("+transfer-encoding: chunked"),
		"Trailer":                    request("+Trailer: X"),
		"Expect":                     request("+Expect: 100-continue"),
		"Pragma alone":               request("+Pragma: no-cache"),
	} {
		t.Run(name, func(t *testing.T) {
			if checkHead(t, head, headOptions) {
				t.Errorf("taken: %q", head)
			}
		})
	}
}

// Whatever ReadHead takes means the same to net/http and Negotiate. Heads are made
// of parts that are good, odd or bad, and now and then a byte is changed.
func TestReadHeadProperty(t *testing.T) {
	targets := []string{"/", "/ws", "/ws?a=b", "/?", "/??", "/ws?%41", "/w%41", "//a/b", "/a#b", "/a:b@c", "*", "http://h/ws", "/a;b?c#d", "/\xff"}
	names := []string{
		"Host", "Upgrade", "Connection", "Sec-WebSocket-Version", "Sec-WebSocket-Key", "Origin", "Sec-WebSocket-Protocol",
		"Sec-WebSocket-Extensions", "Pragma", "Cache-Control", "Content-Length", "Transfer-Encoding", "Trailer", "Expect", "Cookie",
		"X-Forwarded-For", "TE", "Keep-Alive", "X Y", "X-",
	}
	values := []string{
		"", "server.example.com", "websocket", "upgrade", "keep-alive, Upgrade", "close, upgrade", "13", "dGhlIHNhbXBsZSBub25jZQ==",
		"http://server.example.com", "http://evil.example", "a, b", "permessage-deflate; client_max_window_bits=10",
		`permessage-deflate; server_max_window_bits="15"`, "no-cache", "0", "chunked", " \tx\t ", "a:b", "\xc3\x9f", "a\r\n b",
	}
	taken := 0
	rapid.Check(t, func(t *rapid.T) {
		lines := slices.Clone(sampleFields)
		for range rapid.IntRange(0, 4).Draw(t, "more") {
			name := rapid.SampledFrom(names).Draw(t, "name")
			if rapid.Bool().Draw(t, "lower") {
				name = strings.ToLower(name)
			}
			line := name + rapid.SampledFrom([]string{": ", ":", ": ", " : "}).Draw(t, "colon") + rapid.SampledFrom(values).Draw(t, "value")
			at := rapid.IntRange(0, len(lines)).Draw(t, "at")
			replaced := rapid.IntRange(0, min(1, len(lines)-at)).Draw(t, "replaced")
			lines = slices.Replace(lines, at, at+replaced, line)
		}
		head := []byte("GET " + rapid.SampledFrom(targets).Draw(t, "target") + " HTTP/1.1\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n")
		for range rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(t, "spoilt") {
			head[rapid.IntRange(0, len(head)-1).Draw(t, "byte at")] = rapid.Byte().Draw(t, "byte")
		}
		if checkHead(t, string(head), headOptions) {
			taken++
		}
	})
	if taken == 0 {
		t.Error("no head was taken")
	}
}

// FuzzReadHead: what ReadHead takes means the same to net/http and Negotiate.
func FuzzReadHead(f *testing.F) {
	for _, head := range ordinaryHeads {
		f.Add(head)
	}
	f.Add(request("GET //a?b#c HTTP/1.1", "+Pragma: no-cache", "+Trailer: x"))
	f.Fuzz(func(t *testing.T, head string) {
		checkHead(t, head, headOptions)
		checkHead(t, head, nil)
	})
}

func TestReadHeadAllocatesNothing(t *testing.T) {
	for name, head := range ordinaryHeads {
		n := testing.AllocsPerRun(100, func() {
			if _, _, ok := ReadHead(head, headOptions); !ok {
				t.Fatal("declined")
			}
		})
		if n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

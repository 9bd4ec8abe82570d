package conformance

import (
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/internal/wsclient"
)

// refusedHeads are requests that are no handshake, or none for this gateway
// (RFC 6455 4.2.1, 4.2.2, 4.4).
func refusedHeads() []headGroup {
	bad := []int{http.StatusBadRequest}
	method := []int{http.StatusMethodNotAllowed}
	allow := map[string]string{"Allow": "GET"}
	// A version that is not 13 is answered with the one that is spoken; where
	// there is none, or two, that the request is bad may be said as well.
	upgrade := []int{http.StatusUpgradeRequired}
	version := map[string]string{"Sec-WebSocket-Version": "13"}
	unclear := []int{http.StatusUpgradeRequired, http.StatusBadRequest}
	notFound := []int{http.StatusNotFound}
	replace := func(old, with string) []string { return []string{old, with} }
	const key, host, connection = "Sec-WebSocket-Key: " + exampleKey + "\r\n", "Host: gateway.test\r\n", "Connection: Upgrade\r\n"

	return []headGroup{
		{"methods", gateway.Config{}, []headRow{
			{name: "POST", edit: replace("GET", "POST"), status: method, header: allow},
			{name: "PUT", edit: replace("GET", "PUT"), status: method, header: allow},
			{name: "DELETE", edit: replace("GET", "DELETE"), status: method, header: allow},
			{name: "OPTIONS", edit: replace("GET", "OPTIONS"), status: method, header: allow},
			{name: "one that nobody knows", edit: replace("GET", "GETS"), status: method, header: allow},
			{name: "in lower case", edit: replace("GET", "get"), status: method, header: allow},
		}},
		{"versions", gateway.Config{}, []headRow{
			{name: "8", edit: replace("Version: 13", "Version: 8"), status: upgrade, header: version},
			{name: "0", edit: replace("Version: 13", "Version: 0"), status: upgrade, header: version},
			{name: "14", edit: replace("Version: 13", "Version: 14"), status: upgrade, header: version},
			{name: "a list", edit: replace("Version: 13", "Version: 13, 8"), status: unclear},
			{name: "a number that is none", edit: replace("Version: 13", "Version: 13a"), status: unclear},
			{name: "a leading zero", edit: replace("Version: 13", "Version: 013"), status: unclear},
			{name: "none", edit: replace("Sec-WebSocket-Version: 13\r\n", ""), status: unclear},
			{name: "empty", edit: replace("Version: 13", "Version:"), status: unclear},
			{name: "two lines", edit: add("Sec-WebSocket-Version: 13"), status: unclear},
		}},
		{"paths", gateway.Config{Path: path}, []headRow{
			{name: "another", edit: replace(path, "/other"), status: notFound, unmounted: true},
			{name: "the root", edit: replace(path, "/"), status: notFound, unmounted: true},
			{name: "a longer one", edit: replace(path, path+"x"), status: notFound, unmounted: true},
			{name: "one below", edit: replace(path, path+"/"), status: notFound, unmounted: true},
			{name: "in another case", edit: replace(path, strings.ToUpper(path)), status: notFound, unmounted: true},
			{name: "in the query only", edit: replace(path, "/?"+path), status: notFound, unmounted: true},
		}},
		{"keys and tokens", gateway.Config{}, []headRow{
			{name: "no key", edit: replace(key, ""), status: bad},
			{name: "an empty key", edit: replace(exampleKey, ""), status: bad},
			{name: "a key of 15 bytes", edit: replace(exampleKey, "AAECAwQFBgcICQoLDA0O"), status: bad},
			{name: "a key of 17 bytes", edit: replace(exampleKey, "AAECAwQFBgcICQoLDA0ODxA="), status: bad},
			{name: "a key without padding", edit: replace(exampleKey, "dGhlIHNhbXBsZSBub25jZQ"), status: bad},
			{name: "a key that is not base64", edit: replace(exampleKey, "dGhlIHNhbXBsZSBub25j!Q=="), status: bad},
			{name: "a key in URL base64", edit: replace(exampleKey, "-_hlIHNhbXBsZSBub25jZQ=="), status: bad},
			{name: "a key with a space in it", edit: replace(exampleKey, "dGhlIHNhbXBs ZSBub25jZQ=="), status: bad},
			{name: "two keys on two lines", edit: add(strings.TrimSuffix(key, "\r\n")), status: bad},
			{name: "two keys in a list", edit: replace(exampleKey, exampleKey+", "+exampleKey), status: bad},
			{name: "no Upgrade", edit: replace("Upgrade: websocket\r\n", ""), status: bad},
			{name: "another Upgrade", edit: replace("Upgrade: websocket", "Upgrade: example/2"), status: bad},
			{name: "an Upgrade that contains ours", edit: replace("Upgrade: websocket", "Upgrade: websockets"), status: bad},
			{name: "no Connection", edit: replace(connection, ""), status: bad},
			{name: "another Connection", edit: replace("Connection: Upgrade", "Connection: keep-alive"), status: bad},
			{name: "a Connection that contains ours", edit: replace("Connection: Upgrade", "Connection: no-upgrade"), status: bad},
			{name: "no Host", edit: replace(host, ""), status: bad, unread: true},
			{name: "an empty Host", edit: replace(host, "Host:\r\n"), status: bad, unread: true},
			{name: "two Hosts", edit: replace(host, host+host), status: bad, unread: true},
			{name: "HTTP/1.0", edit: replace("HTTP/1.1", "HTTP/1.0"), status: bad},
		}},
		// RFC 6455 4.1: a handshake is a GET, and what follows its head is the
		// WebSocket's. A body would be read as frames, or hide a request.
		{"bodies", gateway.Config{}, []headRow{
			{name: "a length", edit: add("Content-Length: 5"), behind: "hello", status: bad},
			{name: "chunks", edit: add("Transfer-Encoding: chunked"), behind: "5\r\nhello\r\n0\r\n\r\n", status: bad},
			{name: "a length and chunks", edit: add("Content-Length: 5", "Transfer-Encoding: chunked"), behind: "0\r\n\r\n", status: bad, unread: true},
			{name: "two lengths", edit: add("Content-Length: 0", "Content-Length: 5"), behind: "hello", status: bad, unread: true},
			{name: "a length below zero", edit: add("Content-Length: -1"), status: bad, unread: true},
			{name: "a length that is none", edit: add("Content-Length: five"), behind: "hello", status: bad, unread: true},
			{name: "an unknown coding", edit: add("Transfer-Encoding: rot13"), behind: "0\r\n\r\n", status: bad, unread: true},
		}},
		{"malformed heads", gateway.Config{}, malformedHeads()},
		// What HTTP leaves to the server must be answered one way or the other.
		{"heads of old", gateway.Config{}, []headRow{
			{name: "lines that end in LF alone", edit: []string{"\r\n", "\n", "\r\n", "\n", "\r\n", "\n", "\r\n", "\n", "\r\n", "\n", "\r\n", "\n"},
				status: []int{101, 400}},
			{name: "a folded line", edit: replace("Connection: Upgrade", "Connection: keep-alive,\r\n Upgrade"), status: []int{101, 400}},
			{name: "an empty line before the head", edit: replace("GET", "\r\nGET"), status: []int{101, 400}, unread: true},
		}},
	}
}

// malformedHeads are no HTTP (RFC 9112 2.2, 3, 5).
func malformedHeads() []headRow {
	var rows []headRow
	for _, m := range []struct {
		name string
		edit []string
	}{
		{"no version", []string{" HTTP/1.1", ""}},
		{"no target", []string{path + " ", ""}},
		{"a target without a slash", []string{"GET /ws", "GET ws"}},
		{"a space in the target", []string{"GET /ws", "GET /ws /x"}},
		{"a broken escape in the target", []string{"GET /ws", "GET /ws%zz"}},
		{"another protocol", []string{"HTTP/1.1", "SPDY/3.1"}},
		{"a version that is none", []string{"HTTP/1.1", "HTTP/1.x"}},
		{"HTTP/2's preface", []string{exampleHead, "PRI * HTTP/2.0\r\n"}},
		{"a field without a colon", add("X-Nothing")},
		{"a field without a name", add(": x")},
		{"a space before the colon", add("X-Space : x")},
		{"a space in the name", add("X Space: x")},
		{"a name that is no token", add("X(Y): x")},
		{"NUL in a value", add("X-Nul: a\x00b")},
		{"a first line that continues nothing", []string{"Host:", " x\r\nHost:"}},
		{"TLS's hello", []string{exampleHead, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n"}},
		{"nothing but ends of lines", []string{exampleHead, "\r\n"}},
	} {
		rows = append(rows, headRow{name: m.name, edit: m.edit, status: []int{http.StatusBadRequest}, unread: true})
	}
	return rows
}

// A head larger than MaxHeader is answered with 431 (RFC 6585 5) as soon as it
// is, however much more would come; one that just fits is accepted.
func longHeads(t *testing.T, mk maker) {
	const limit = 4 << 10
	s := start(t, mk, gateway.Config{MaxHeader: limit})
	pad := func(size int) string {
		const field = "X-Pad: \r\n"
		return exampleHead + "X-Pad: " + strings.Repeat("x", size-len(exampleHead)-len(field)-len("\r\n")) + "\r\n\r\n"
	}
	for _, tc := range []struct {
		name, head string
		fits       bool
		net        bool // net/http's limit is passed, too
	}{
		{name: "one that just fits", head: pad(limit), fits: true},
		{name: "one byte too many", head: pad(limit + 1)},
		{name: "many fields", head: exampleHead + strings.Repeat("X-More: and more\r\n", limit/16) + "\r\n"},
		{name: "a long target", head: strings.Replace(exampleHead, path, path+"?"+strings.Repeat("x", limit), 1) + "\r\n"},
		{name: "one that never ends", head: exampleHead + "X-Pad: " + strings.Repeat("x", 8<<20), net: true},
		{name: "one without a line", head: strings.Repeat("x", 8<<20), net: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := s.on(t)
			if s.setup.Mounted && !tc.net {
				t.Skip("net/http has a limit of its own")
			}
			p, _, err := s.shake(tc.head)
			if tc.fits {
				must(t, err)
				p.echoes("hello")
				p.leave()
				return
			}
			refused := (*wsclient.RefusedError)(nil)
			switch isAnswer := errors.As(err, &refused); {
			case s.setup.Mounted:
				if err == nil || errors.Is(err, os.ErrDeadlineExceeded) || isAnswer && refused.Response.StatusCode < 400 {
					t.Errorf("%v, want a 4xx or the end", err)
				}
			case !isAnswer || refused.Response.StatusCode != http.StatusRequestHeaderFieldsTooLarge:
				t.Errorf("%v, want a 431", err)
			}
		})
	}
}

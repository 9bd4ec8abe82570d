package websocket

import (
	"bufio"
	"bytes"
	"net/http"
)

// HeaderEnd returns the index just past the blank line that ends a request head
// in b, or -1 if it is not there yet. from is the length b had at an earlier
// call that found nothing, 0 at the first: a head that trickles in is scanned
// once in all. As in net/http, a line may end in LF alone (RFC 9112, section
// 2.2). How long a head may grow is the caller's to limit.
func HeaderEnd(b []byte, from int) int {
	// The blank line may have begun in the last two bytes seen: "\n" "\r".
	i := min(max(from-2, 0), len(b))
	for {
		k := bytes.IndexByte(b[i:], '\n')
		if k < 0 {
			return -1
		}
		i += k + 1
		switch rest := b[i:]; {
		case len(rest) >= 1 && rest[0] == '\n':
			return i + 1
		case len(rest) >= 2 && rest[0] == '\r' && rest[1] == '\n':
			return i + 2
		}
	}
}

// ParseRequest parses a request head, up to and with its blank line (see
// [HeaderEnd]), by net/http's own parser. head is not kept. A head that is
// malformed, has more than one Host line, announces a body or has bytes after
// its blank line is a [*HandshakeError] with status 400. Safe for concurrent use.
func ParseRequest(head []byte) (*http.Request, error) {
	br := bufio.NewReaderSize(bytes.NewReader(head), min(len(head), 4<<10))
	r, err := http.ReadRequest(br)
	if err != nil {
		return nil, badRequest("malformed request")
	}
	if r.ContentLength != 0 || len(r.TransferEncoding) > 0 {
		return nil, badRequest("request with a body")
	}
	// Peek reads on: it finds what lies behind the head, buffered or not.
	if _, err := br.Peek(1); err == nil {
		return nil, badRequest("malformed request")
	}
	for name := range r.Header {
		if !isToken(name) { // "Name : value" passes the parser: RFC 9112, section 5.1
			return nil, badRequest("malformed request")
		}
	}
	return r, nil
}

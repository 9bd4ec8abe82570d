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

// ParseRequest is [RequestParser.Parse] with a parser that is used once. Safe
// for concurrent use.
func ParseRequest(head []byte) (*http.Request, error) { return new(RequestParser).Parse(head) }

// A RequestParser parses request heads one after the other and keeps its buffer
// between them. The zero value is ready. It serves one goroutine at a time.
type RequestParser struct {
	src bytes.Reader
	buf *bufio.Reader
}

// Parse parses a request head, up to and with its blank line (see [HeaderEnd]),
// by net/http's own parser. head is not kept. A head that is malformed, has more
// than one Host line, announces a body or has bytes after its blank line is a
// [*HandshakeError] with status 400.
func (p *RequestParser) Parse(head []byte) (*http.Request, error) {
	p.src.Reset(head)
	if p.buf == nil {
		p.buf = bufio.NewReaderSize(&p.src, 1<<10)
	} else {
		p.buf.Reset(&p.src)
	}
	defer p.src.Reset(nil)
	br := p.buf
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

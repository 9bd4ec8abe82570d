package loop

import (
	"errors"
	"net/http"

	"github.com/sluicegate/sluice/transport/internal/proxyproto"
	"github.com/sluicegate/sluice/transport/websocket"
)

// handshake is what a connection holds until it is open, and what its Handler
// decides on.
type handshake struct {
	conn      *Conn
	proxy     *proxyproto.Parser // while its header is arriving
	buf       []byte             // the head so far; later, what came behind it
	discarded int

	asked
	decision
}

// readHead gathers the request head. It returns what follows the head.
func (c *Conn) readHead(b []byte) []byte {
	hs, limit := c.handshake(), c.loop.opts.MaxHeader
	if len(hs.buf) == 0 {
		// Most heads come in one piece, and are parsed where they are.
		if end := websocket.HeaderEnd(b, 0); end >= 0 && end <= limit {
			c.parse(b[:end])
			return b[end:]
		}
	}
	have := len(hs.buf)
	// One byte past the limit is enough to know that the head is too long.
	hs.buf = append(hs.buf, b[:min(len(b), limit+1-have)]...)
	end := websocket.HeaderEnd(hs.buf, have)
	switch {
	case end >= 0 && end <= limit:
		head := hs.buf[:end]
		hs.buf = nil
		c.parse(head)
		return b[end-have:]
	case len(hs.buf) > limit:
		c.refuse(refusal(http.StatusRequestHeaderFieldsTooLarge, nil, "the request head is too large"))
	}
	return nil
}

// parse judges a request head, which is not kept.
func (c *Conn) parse(head []byte) {
	l, hs := c.loop, c.handshake()
	if l.opts.Origins != nil {
		l.negotiation.Origins = l.opts.Origins()
	}
	text := string(head)
	h, agreed, ok := websocket.ReadHead(text, &l.negotiation)
	if ok && (l.opts.Path == "" || l.opts.Path == h.Path) {
		hs.text, hs.head, hs.agreed = text, h, agreed
		c.ask()
		return
	}
	r, err := l.requests.Parse(head)
	if err != nil {
		c.refuse(answerOf(err))
		return
	}
	if l.opts.Path != "" && r.URL.Path != l.opts.Path {
		c.refuse(answerTo(r, refusal(http.StatusNotFound, nil, "no such path")))
		return
	}
	negotiated, err := websocket.Negotiate(r, &l.negotiation)
	if err != nil {
		c.refuse(answerTo(r, answerOf(err)))
		return
	}
	hs.request.Store(r)
	hs.agreed = *negotiated
	c.ask()
}

// ask has the Handler decide, and does what it has decided at once.
func (c *Conn) ask() {
	hs := c.handshake()
	hs.conn, hs.addr = c, c.sock.RemoteAddr()
	if r := hs.request.Load(); r != nil {
		r.RemoteAddr = hs.addr.String()
	}
	c.state = stateDeciding
	c.loop.tellHandshake(c)
	if hs.meet() {
		hs.execute()
	}
}

// linger counts what a refused peer still sends.
func (hs *handshake) linger(bytes int) int {
	hs.discarded += bytes
	return hs.discarded
}

// keep holds what a client sends before it has an answer. A client that is
// sure of its welcome may send a little.
func (c *Conn) keep(b []byte) {
	hs := c.handshake()
	if len(hs.buf)+len(b) > c.loop.opts.MaxHeader {
		c.refuse(refusal(http.StatusRequestEntityTooLarge, nil, "too much data before the handshake was answered"))
		return
	}
	hs.buf = append(hs.buf, b...)
}

// answerOf is the answer to a request that has the fault err.
func answerOf(err error) []byte {
	if he := (*websocket.HandshakeError)(nil); errors.As(err, &he) {
		return he.AppendResponse(nil)
	}
	return refusal(http.StatusBadRequest, nil, err.Error())
}

// answerTo is answer without its body if r is a HEAD (RFC 9110, section 9.3.2).
func answerTo(r *http.Request, answer []byte) []byte {
	if end := websocket.HeaderEnd(answer, 0); r.Method == http.MethodHead && end >= 0 {
		return answer[:end]
	}
	return answer
}

// refusal is the answer to a request that is refused.
func refusal(status int, header http.Header, reason string) []byte {
	e := &websocket.HandshakeError{Status: status, Header: header, Reason: reason}
	return e.AppendResponse(nil)
}

// refuse sends an answer other than 101. The socket stays a while and what comes
// is thrown away: closing it with unread bytes would reset the connection and
// could take the answer with it.
func (c *Conn) refuse(answer []byte) {
	if c.is(cut) {
		return
	}
	hs := c.handshake()
	hs.decided.Store(true)
	hs.buf = nil
	c.state = stateLinger
	c.loop.wheel.set(c, ticks(c.loop.opts.CloseTimeout))
	if _, err := c.sock.Write(answer); err != nil {
		c.cutOff()
	}
}

func (c *Conn) upgrade(value any, answer []byte) {
	l := c.loop
	if c.state != stateDeciding || c.is(cut) {
		l.tellAbort(value)
		return
	}
	hs := c.handshake()
	hs.accepted = true
	if answer == nil {
		l.scratch = hs.agreed.AppendResponse(l.scratch[:0], nil)
		answer = l.scratch
	}
	if _, err := c.sock.Write(answer); err != nil || c.state != stateDeciding {
		c.cutOff()
		return
	}
	if hs.agreed.Deflate {
		c.flags |= compressed
	}
	c.open(value, hs.buf)
}

// open opens c, which has received b since its request.
func (c *Conn) open(value any, b []byte) {
	l := c.loop
	c.value = value
	c.state = stateOpen
	if c.sock.OutboundBuffered() > 0 { // the answer to the handshake
		c.fd = noFD
	}
	if l.opts.IdleTimeout > 0 {
		l.wheel.set(c, ticks(l.opts.IdleTimeout))
	} else {
		l.wheel.remove(c)
	}
	l.tellOpen(c)
	c.input(b)
}

package loop

import (
	"errors"
	"net"
	"net/http"
	"sync/atomic"

	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/internal/proxyproto"
	"github.com/sluicegate/sluice/transport/websocket"
)

// handshake is what a connection holds until it is open, and what its Handler
// decides on.
type handshake struct {
	conn      *Conn
	proxy     *proxyproto.Parser // while its header is arriving
	buf       []byte             // the head so far; later, what came behind it
	scanned   int
	discarded int
	request   *http.Request
	addr      net.Addr
	agreed    *websocket.Handshake
	decided   atomic.Bool
	accepted  bool
	value     any // if accepted
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
	end := websocket.HeaderEnd(hs.buf, hs.scanned)
	hs.scanned = len(hs.buf)
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

func (c *Conn) parse(head []byte) {
	l := c.loop
	r, err := l.requests.Parse(head)
	if err != nil {
		c.refuse(answerOf(err))
		return
	}
	if l.opts.Path != "" && r.URL.Path != l.opts.Path {
		c.refuse(answerTo(r, refusal(http.StatusNotFound, nil, "no such path")))
		return
	}
	agreed, err := websocket.Negotiate(r, &l.negotiation)
	if err != nil {
		c.refuse(answerTo(r, answerOf(err)))
		return
	}
	hs := c.handshake()
	hs.conn, hs.request, hs.agreed, hs.addr = c, r, agreed, c.sock.RemoteAddr()
	r.RemoteAddr = hs.addr.String()
	c.state = stateDeciding
	l.tellHandshake(c)
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
	hs.accepted, hs.value = true, value
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

// Request implements transport.Handshake.
func (hs *handshake) Request() *http.Request { return hs.request }

// RemoteAddr implements transport.Handshake.
func (hs *handshake) RemoteAddr() net.Addr { return hs.addr }

// Accept implements transport.Handshake.
func (hs *handshake) Accept(value any, header http.Header) {
	if !hs.decided.CompareAndSwap(false, true) {
		// The time is up, or this is a second decision.
		hs.conn.loop.tellAbort(value)
		return
	}
	// The answer is put together here: it costs the loop nothing, and the
	// caller keeps its header.
	hs.decide(&verdict{c: hs.conn, accept: true, value: value, answer: hs.agreed.AppendResponse(nil, header)})
}

// Refuse implements transport.Handshake.
func (hs *handshake) Refuse(status int, header http.Header, reason string) {
	if hs.decided.CompareAndSwap(false, true) {
		hs.decide(&verdict{c: hs.conn, answer: refusal(status, header, reason)})
	}
}

// decide takes the verdict to the loop. It is posted even to a full mailbox:
// there is one for each connection, so their number is bounded.
func (hs *handshake) decide(v *verdict) {
	if err := hs.conn.loop.PostAlways(v); err != nil {
		v.Drop()
	}
}

// verdict is the Task that carries a decision to the loop.
type verdict struct {
	c      *Conn
	accept bool
	value  any
	answer []byte
}

func (v *verdict) Run(int) (int, bool) {
	defer v.c.loop.guard(v.c)
	if v.accept {
		v.c.upgrade(v.value, v.answer)
	} else if v.c.state == stateDeciding {
		v.c.refuse(v.answer)
	}
	return 1, true
}

func (v *verdict) Weight() (recipients, bytes int) { return 1, 0 }

func (v *verdict) Drop() {
	if v.accept {
		v.c.loop.tellAbort(v.value)
	}
}

var _ transport.Handshake = (*handshake)(nil)

package loop

import (
	"errors"
	"net"

	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/websocket"
)

// A Conn is one connection of a loop. An idle one holds nothing but itself.
type Conn struct {
	loop    *Loop
	sock    Socket
	value   any      // what Accept was given; until then, the *handshake
	backlog *backlog // nil unless the peer has stopped taking data
	dec     websocket.Decoder

	// head and tail are this connection's frames in loop.nodes, plus one;
	// pending is their bytes.
	head, tail int32
	pending    int32

	fd        int32  // what the loop may write to itself, or noFD
	place     int32  // in loop.conns
	lastSeen  uint32 // tick of the last input
	due       uint32 // tick of the deadline
	slotIndex uint32 // place in the wheel
	charged   int32  // what the budget counts, see account
	slot      int16
	state     state
	flags     flags
}

// flags are what is true of a connection, in one byte.
type flags uint8

const (
	compressed flags = 1 << iota // permessage-deflate is in use
	touched                      // is in loop.touched
	answered                     // the peer's close frame is here: close once flushed
	stalled                      // is in loop.stalled
	cut                          // the engine was told to close the socket
	adopted                      // the opening handshake was made elsewhere
)

func (c *Conn) is(f flags) bool { return c.flags&f != 0 }

type state uint8

const (
	stateHead     state = iota // the request head is arriving
	stateProxy                 // before it, a PROXY header is
	stateDeciding              // the handler decides about the request
	stateOpen
	stateClosing // our close frame is queued or sent
	stateLinger  // refused: the peer may finish sending, to see the answer
	stateGone
)

// lingerLimit bounds what a refused peer may still send before its connection
// is cut, in bytes.
const lingerLimit = 16 << 20

// Loop implements transport.Conn.
func (c *Conn) Loop() transport.Loop { return c.loop }

// Value implements transport.Conn.
func (c *Conn) Value() any { return c.value }

// RemoteAddr implements transport.Conn.
func (c *Conn) RemoteAddr() net.Addr { return c.sock.RemoteAddr() }

// Compressed implements transport.Conn.
func (c *Conn) Compressed() bool { return c.is(compressed) }

// handshake is the connection's handshake; it has none once it is open.
func (c *Conn) handshake() *handshake { return c.value.(*handshake) }

func (c *Conn) input(b []byte) {
	for len(b) > 0 && !c.is(cut) {
		switch c.state {
		case stateHead:
			b = c.readHead(b)
		case stateProxy:
			b = c.readProxy(b)
		case stateDeciding:
			c.keep(b)
			return
		case stateOpen:
			b = c.decode(b)
		case stateClosing:
			c.awaitClose(b)
			return
		case stateLinger:
			if hs := c.handshake(); hs.linger(len(b)) > lingerLimit {
				c.cutOff()
			}
			return
		default:
			return
		}
	}
}

// decode handles one message or control frame and returns the rest of b.
func (c *Conn) decode(b []byte) []byte {
	m, n, ok, err := c.dec.Next(b, &c.loop.decoder, c.is(compressed))
	b = b[n:]
	if err != nil {
		code, reason := websocket.CloseProtocolError, "protocol error"
		if ce := (*websocket.CloseError)(nil); errors.As(err, &ce) {
			code, reason = ce.Code, ce.Reason
		}
		c.Close(code, reason)
		return nil
	}
	if !ok {
		return nil
	}
	switch m.Op {
	case websocket.OpText, websocket.OpBinary:
		c.loop.tellMessage(c, m)
	case websocket.OpPing:
		c.Send(&transport.Frame{Plain: websocket.AppendFrame(nil, websocket.OpPong, false, m.Data)})
		if c.state == stateOpen { // the answer can be one too many
			c.loop.tellPing(c)
		}
	case websocket.OpPong:
		c.loop.tellPing(c)
	case websocket.OpClose:
		code, reason, err := websocket.ParseClose(m.Data)
		if err != nil {
			c.Close(websocket.CloseProtocolError, "bad close frame")
			return nil
		}
		c.flags |= answered
		c.shut(transport.CloseCause{Code: code, Reason: reason, Remote: true})
		return nil
	}
	return b
}

// awaitClose drops what a peer sends after our close frame, until it answers
// with its own (RFC 6455 7.1.2). A decoder that found an error finds nothing
// more, so that peer's time ends with its deadline or its end of file. Nothing
// is inflated: a peer that is closed for what it sends must not go on costing that.
func (c *Conn) awaitClose(b []byte) {
	for len(b) > 0 {
		m, n, ok, err := c.dec.Next(b, &c.loop.closing, c.is(compressed))
		if err != nil || !ok {
			return
		}
		if b = b[n:]; m.Op == websocket.OpClose {
			c.flags |= answered
			c.finish()
			return
		}
	}
}

// Close implements transport.Conn.
func (c *Conn) Close(code int, reason string) {
	c.shut(transport.CloseCause{Code: code, Reason: reason})
}

// shut begins the closing handshake: the close frame goes behind what is
// queued, and nothing goes behind it.
func (c *Conn) shut(cause transport.CloseCause) {
	if c.state != stateOpen {
		return
	}
	c.queue(&transport.Frame{Plain: websocket.AppendClose(nil, cause.Code, cause.Reason)})
	c.state = stateClosing
	c.loop.wheel.set(c, ticks(c.loop.opts.CloseTimeout))
	c.loop.tellClose(c, cause)
}

// finish closes the socket once both close frames are through.
func (c *Conn) finish() {
	if c.state == stateClosing && c.is(answered) && c.head == 0 && c.backlog == nil {
		c.cutOff()
	}
}

// cutOff closes the socket, once: engines may take their time, and nothing is
// written meanwhile.
func (c *Conn) cutOff() {
	if c.state != stateGone && !c.is(cut) {
		c.flags |= cut
		c.loop.engine.CloseSocket(bare(c.sock))
	}
}

// gone tidies up after the socket.
func (c *Conn) gone() {
	was := c.state
	if was == stateGone {
		return
	}
	c.state = stateGone
	l := c.loop
	l.detach(c)
	l.wheel.remove(c)
	c.discard(transport.DropFailed)
	c.dec = websocket.Decoder{}
	c.account()
	switch {
	case was == stateOpen:
		l.tellClose(c, transport.CloseCause{Code: websocket.CloseAbnormal, Remote: true})
	case was == stateDeciding && c.handshake().accepted:
		l.tellAbort(c.handshake().value)
	}
}

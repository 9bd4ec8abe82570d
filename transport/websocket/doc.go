// Package websocket is the WebSocket protocol as a codec on bytes, for
// servers: the opening handshake and the framing of RFC 6455, and the
// permessage-deflate extension of RFC 7692 without context takeover.
//
// The package does no I/O, starts no goroutine and keeps no state of its own.
// An engine reads bytes from a socket, finds the request head in them
// ([HeaderEnd], [ParseRequest]), answers it ([Negotiate]; or [ReadHead], which is
// both for ordinary heads), and from then on hands whatever arrives to the
// connection's [Decoder]. What it sends it builds with [AppendFrame], [AppendClose] and a [Compressor]:
//
//	end := websocket.HeaderEnd(b, 0) // -1: read more
//	r, err := websocket.ParseRequest(b[:end])
//	hs, err := websocket.Negotiate(r, nil)
//	out = hs.AppendResponse(out, nil)
//	for b = b[end:]; ; {
//		m, n, ok, err := decoder.Next(b, nil, hs.Deflate)
//		if b = b[n:]; err != nil || !ok {
//			break // close the connection, or read more
//		}
//		if !m.Op.IsControl() {
//			out = websocket.AppendFrame(out, m.Op, false, m.Data) // an echo
//		}
//	}
//
// Functions may be called on any goroutine, and so may methods, unless their type
// says otherwise.
//
// A Decoder holds no memory between messages, so that an idle connection costs
// one pointer. A small message that lies whole in the read buffer is unmasked
// in place and delivered without an allocation.
//
// Everything a peer can do wrong comes back as an error value: a
// [*HandshakeError] before the upgrade, a [*CloseError] after it.
package websocket

package websocket

import (
	"crypto/sha1"
	"encoding/base64"
	"net/http"
	"slices"
)

// HandshakeOptions say which handshakes a server accepts and what it agrees to.
// They are only read, and may be shared.
type HandshakeOptions struct {
	// Subprotocols the server speaks, the preferred first. The first that the
	// client offers too is chosen; if there is none, or none is configured,
	// the connection has no subprotocol. Compared as they are, case included.
	Subprotocols []string

	// Origins that pages may connect from, as browsers send them
	// ("https://example.com"), in any case. An entry "*" allows all. Empty allows the
	// server's own origin only: host and port of Origin must be those of Host.
	// A request without an Origin does not come from a page and is allowed.
	Origins []string

	// Compression accepts permessage-deflate when the client offers it, always
	// without context takeover on both sides. The zero value declines it.
	Compression bool
}

// A Handshake is one that the server accepts. It is not written to after
// [Negotiate] or [ReadHead].
type Handshake struct {
	Subprotocol string // chosen, or empty
	Deflate     bool   // permessage-deflate was agreed: see [Decoder.Next]

	accept     [28]byte
	extensions string
}

const acceptGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// Negotiate checks a request against RFC 6455, sections 4.2.1 and 4.2.2, and
// says what the server answers. A refusal is a [*HandshakeError]: 405 for a
// method other than GET, 426 for a version other than 13, 403 for an origin
// that is not allowed, 400 for whatever else is wrong. Extension offers that
// the server cannot take up are declined: the connection goes without. nil
// options are the zero value. r is not kept. Safe for concurrent use.
func Negotiate(r *http.Request, o *HandshakeOptions) (*Handshake, error) {
	if r.Method != http.MethodGet {
		return nil, badMethod()
	}
	if r.ProtoMajor != 1 || r.ProtoMinor < 1 {
		return nil, badRequest("a WebSocket handshake is HTTP/1.1")
	}
	a := asked{
		host:       r.Host,
		upgrade:    r.Header["Upgrade"],
		connection: r.Header["Connection"],
		version:    r.Header["Sec-Websocket-Version"],
		key:        r.Header["Sec-Websocket-Key"],
		origin:     r.Header["Origin"],
		protocols:  r.Header["Sec-Websocket-Protocol"],
		extensions: r.Header["Sec-Websocket-Extensions"],
	}
	h, err := a.negotiate(o)
	if err != nil {
		return nil, err
	}
	return &h, nil
}

// asked is what a request asks for: its Host, and the lines of each field that a
// handshake depends on.
type asked struct {
	host                                                             string
	upgrade, connection, version, key, origin, protocols, extensions []string
}

// negotiate is Negotiate of a GET of HTTP/1.1. It does not keep what was asked.
func (a *asked) negotiate(o *HandshakeOptions) (h Handshake, err error) {
	if o == nil {
		o = new(HandshakeOptions)
	}
	if a.host == "" {
		return h, badRequest("no Host")
	}
	if !hasToken(a.upgrade, func(s string) bool { return equalFold(s, "websocket") }) {
		return h, badRequest("no Upgrade: websocket")
	}
	if !hasToken(a.connection, func(s string) bool { return equalFold(s, "upgrade") }) {
		return h, badRequest("no Connection: Upgrade")
	}
	if len(a.version) != 1 || trim(a.version[0]) != "13" {
		return h, badVersion()
	}
	if len(a.key) != 1 || !h.setKey(trim(a.key[0])) {
		return h, badRequest("bad Sec-WebSocket-Key")
	}
	if !originAllowed(a.origin, a.host, o.Origins) {
		return h, badOrigin()
	}
	h.Subprotocol = chooseSubprotocol(o.Subprotocols, a.protocols)
	response, ok := negotiateDeflate(a.extensions)
	if !ok {
		return h, badRequest("malformed Sec-WebSocket-Extensions")
	}
	if o.Compression {
		h.extensions, h.Deflate = response, response != ""
	}
	return h, nil
}

// setKey computes the accept key, if key is 16 bytes in base64.
func (h *Handshake) setKey(key string) bool {
	const keyLen = 24
	if len(key) != keyLen {
		return false
	}
	var in [keyLen + len(acceptGUID)]byte
	copy(in[:], key)
	copy(in[keyLen:], acceptGUID)
	var raw [18]byte
	if n, err := base64.StdEncoding.Decode(raw[:], in[:keyLen]); err != nil || n != 16 {
		return false
	}
	sum := sha1.Sum(in[:])
	base64.StdEncoding.Encode(h.accept[:], sum[:])
	return true
}

func chooseSubprotocol(ours, offers []string) string {
	if len(offers) == 0 {
		return ""
	}
	for _, name := range ours {
		if isToken(name) && hasToken(offers, func(s string) bool { return s == name }) {
			return name
		}
	}
	return ""
}

// AppendResponse appends the 101 response to dst and returns the extended
// slice. extra is added to it, less what is no valid header field and what is
// the handshake's own to say. Safe for concurrent use; dst belongs to the caller.
func (h *Handshake) AppendResponse(dst []byte, extra http.Header) []byte {
	dst = slices.Grow(dst, 192) // enough without subprotocol and extra
	dst = append(dst, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	dst = append(dst, h.accept[:]...)
	dst = append(dst, "\r\n"...)
	if h.Subprotocol != "" {
		dst = appendField(dst, "Sec-WebSocket-Protocol", h.Subprotocol)
	}
	if h.extensions != "" {
		dst = appendField(dst, "Sec-WebSocket-Extensions", h.extensions)
	}
	dst = appendHeaderFields(dst, extra, ownField)
	return append(dst, "\r\n"...)
}

// Header returns the fields of the 101 response, for a server that writes the
// response itself. The caller owns the map.
func (h *Handshake) Header() http.Header {
	f := http.Header{
		"Upgrade":              {"websocket"},
		"Connection":           {"Upgrade"},
		"Sec-Websocket-Accept": {string(h.accept[:])},
	}
	if h.Subprotocol != "" {
		f["Sec-Websocket-Protocol"] = []string{h.Subprotocol}
	}
	if h.extensions != "" {
		f["Sec-Websocket-Extensions"] = []string{h.extensions}
	}
	return f
}

// ownField reports whether a field of the 101 response is the handshake's.
func ownField(name string) bool {
	const ws = "Sec-WebSocket-"
	return framingField(name) || equalFold(name, "Upgrade") ||
		len(name) >= len(ws) && equalFold(name[:len(ws)], ws)
}

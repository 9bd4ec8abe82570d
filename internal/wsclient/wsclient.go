// Package wsclient is the client's side of RFC 6455 for tests and tools.
//
// It sees every frame as it is and sends whatever it is told to, right or
// wrong. It shares no decoder with the gateway, so that tests do not compare
// the codec with itself. A [Conn] serves one reader and one writer at a time.
package wsclient

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/sluicegate/sluice/transport/websocket"
)

// A Request is an opening handshake.
type Request struct {
	// Target is the request target. Empty means "/".
	Target string
	// Host is the Host header. Empty means "gateway.test".
	Host string
	// Header is added. A field that the handshake has itself is replaced; one
	// without values is left out.
	Header http.Header
	// Deflate offers permessage-deflate (RFC 7692).
	Deflate bool
}

// Append appends the request's head to dst. key is its Sec-WebSocket-Key.
func (r Request) Append(dst []byte, key string) []byte {
	target, host := r.Target, r.Host
	if target == "" {
		target = "/"
	}
	if host == "" {
		host = "gateway.test"
	}
	h := http.Header{
		"Host": {host}, "Upgrade": {"websocket"}, "Connection": {"Upgrade"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {key},
	}
	if r.Deflate {
		h["Sec-Websocket-Extensions"] = []string{"permessage-deflate"}
	}
	for name, values := range r.Header {
		h[http.CanonicalHeaderKey(name)] = values
	}
	dst = fmt.Appendf(dst, "GET %s HTTP/1.1\r\n", target)
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, v := range h[name] {
			dst = fmt.Appendf(dst, "%s: %s\r\n", name, v)
		}
	}
	return append(dst, "\r\n"...)
}

// Key returns a new Sec-WebSocket-Key.
func Key() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, see its documentation
	return base64.StdEncoding.EncodeToString(b[:])
}

// Accept returns the Sec-WebSocket-Accept that answers key (RFC 6455 4.2.2).
func Accept(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// A RefusedError is an answer other than a right 101.
type RefusedError struct {
	Response *http.Response // its body is in Body
	Body     string
	Why      string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("wsclient: handshake refused: %s: %s %s", e.Why, e.Response.Status, strings.TrimSpace(e.Body))
}

// Open makes the opening handshake on conn. On an error conn is left open; a
// *RefusedError is an answer that was read whole.
func Open(conn net.Conn, r Request) (*Conn, error) {
	key := Key()
	if _, err := conn.Write(r.Append(nil, key)); err != nil {
		return nil, err
	}
	return ReadAnswer(conn, key, r.Deflate)
}

// ReadAnswer reads the answer to a handshake with key that was sent already.
// deflate says whether it offered permessage-deflate.
func ReadAnswer(conn net.Conn, key string, deflate bool) (*Conn, error) {
	br := bufio.NewReader(conn)
	resp, err := http.ReadResponse(br, &http.Request{Method: http.MethodGet}) //nolint:bodyclose // conn is its body
	if err != nil {
		return nil, err
	}
	if why := judge(resp, key, deflate); why != "" {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		return nil, &RefusedError{Response: resp, Body: string(body), Why: why}
	}
	return &Conn{
		Conn: conn, Response: resp, r: br,
		Deflate: strings.HasPrefix(resp.Header.Get("Sec-Websocket-Extensions"), "permessage-deflate"),
	}, nil
}

// judge says what is wrong with an answer (RFC 6455 4.1, client requirements).
func judge(resp *http.Response, key string, deflate bool) string {
	h := resp.Header
	switch {
	case resp.StatusCode != http.StatusSwitchingProtocols:
		return "status"
	case !strings.EqualFold(h.Get("Upgrade"), "websocket"):
		return "no Upgrade: websocket"
	case !strings.EqualFold(h.Get("Connection"), "Upgrade"):
		return "no Connection: Upgrade"
	case h.Get("Sec-Websocket-Accept") != Accept(key):
		return "wrong Sec-WebSocket-Accept"
	case h.Get("Sec-Websocket-Extensions") != "" && !deflate:
		return "an extension that was not offered"
	}
	return ""
}

// A Conn is an open connection.
type Conn struct {
	net.Conn
	// Response is the answer to the handshake.
	Response *http.Response
	// Deflate says whether permessage-deflate was agreed.
	Deflate bool

	r *bufio.Reader
}

// A Frame is one frame (RFC 6455 5.2).
type Frame struct {
	Fin  bool
	RSV  byte // RSV1 is 4, RSV2 is 2, RSV3 is 1
	Op   websocket.Opcode
	Data []byte
}

// AppendFrame appends f as a client sends it, masked with key.
func AppendFrame(dst []byte, f Frame, key [4]byte) []byte {
	at := len(dst)
	dst = websocket.AppendMaskedFrame(dst, f.Fin, false, f.Op, key, f.Data)
	dst[at] |= f.RSV << 4
	return dst
}

// WriteFrame sends f, masked.
func (c *Conn) WriteFrame(f Frame) error {
	_, err := c.Write(AppendFrame(nil, f, [4]byte{0x37, 0xfa, 0x21, 0x3d}))
	return err
}

// WriteMessage sends a whole message in one frame.
func (c *Conn) WriteMessage(op websocket.Opcode, data []byte) error {
	return c.WriteFrame(Frame{Fin: true, Op: op, Data: data})
}

// WriteClose sends a close frame.
func (c *Conn) WriteClose(code int, reason string) error {
	return c.WriteFrame(Frame{Fin: true, Op: websocket.OpClose, Data: append([]byte{byte(code >> 8), byte(code)}, reason...)})
}

// maxFrame bounds what ReadFrame takes, in bytes.
const maxFrame = 64 << 20

// ReadFrame reads one frame. A frame that a server must not send is an error:
// masked, a length not in its shortest form, a fragmented or long control frame.
func (c *Conn) ReadFrame() (Frame, error) {
	var head [2]byte
	if _, err := io.ReadFull(c.r, head[:]); err != nil {
		return Frame{}, err
	}
	f := Frame{Fin: head[0]&0x80 != 0, RSV: head[0] >> 4 & 7, Op: websocket.Opcode(head[0] & 15)}
	if head[1]&0x80 != 0 {
		return f, errors.New("wsclient: the server masked a frame")
	}
	size := uint64(head[1])
	least := uint64(0)
	var ext [8]byte
	switch size {
	case 126:
		least = 126
		if _, err := io.ReadFull(c.r, ext[6:]); err != nil {
			return f, unexpected(err)
		}
	case 127:
		least = 1 << 16
		if _, err := io.ReadFull(c.r, ext[:]); err != nil {
			return f, unexpected(err)
		}
	}
	if least > 0 {
		size = 0
		for _, b := range ext {
			size = size<<8 | uint64(b)
		}
	}
	switch {
	case size < least:
		return f, errors.New("wsclient: a length that is not in its shortest form")
	case size > maxFrame:
		return f, fmt.Errorf("wsclient: a frame of %d bytes", size)
	case f.Op.IsControl() && (size > websocket.MaxControlPayload || !f.Fin):
		return f, errors.New("wsclient: a control frame that is fragmented or too long")
	}
	f.Data = make([]byte, size)
	if _, err := io.ReadFull(c.r, f.Data); err != nil {
		return f, unexpected(err)
	}
	return f, nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// A CloseError is the server's close frame.
type CloseError struct {
	Code   int // 1005 if the frame had none
	Reason string
}

func (e *CloseError) Error() string { return fmt.Sprintf("wsclient: closed: %d %s", e.Code, e.Reason) }

// ReadMessage reads the next whole message. It answers pings; a close frame is
// answered and returned as a *CloseError.
func (c *Conn) ReadMessage() (op websocket.Opcode, data []byte, err error) {
	var rsv byte
	for {
		f, err := c.ReadFrame()
		if err != nil {
			return 0, nil, err
		}
		switch f.Op {
		case websocket.OpPing:
			// The server may be gone already; the next read will tell.
			_ = c.WriteMessage(websocket.OpPong, f.Data)
			continue
		case websocket.OpPong:
			continue
		case websocket.OpClose:
			e := &CloseError{Code: websocket.CloseNoStatus}
			if len(f.Data) >= 2 {
				e.Code, e.Reason = int(f.Data[0])<<8|int(f.Data[1]), string(f.Data[2:])
			}
			_ = c.WriteMessage(websocket.OpClose, f.Data)
			return 0, nil, e
		case websocket.OpText, websocket.OpBinary:
			if op != 0 {
				return 0, nil, errors.New("wsclient: a message inside a message")
			}
			op, rsv = f.Op, f.RSV
		case websocket.OpContinuation:
			if op == 0 || f.RSV != 0 {
				return 0, nil, errors.New("wsclient: a continuation that continues nothing, or with a reserved bit")
			}
		default:
			return 0, nil, fmt.Errorf("wsclient: opcode %v", f.Op)
		}
		if data = append(data, f.Data...); !f.Fin {
			continue
		}
		switch {
		case rsv == 0:
			return op, data, nil
		case rsv == 4 && c.Deflate:
			data, err = Inflate(data)
			return op, data, err
		}
		return 0, nil, errors.New("wsclient: a reserved bit that was not agreed")
	}
}

// AwaitEnd reads until the server has closed the connection and returns nil, or
// what came instead.
func (c *Conn) AwaitEnd() error {
	f, err := c.ReadFrame()
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("wsclient: a frame %v %q instead of the end", f.Op, bytes.ToValidUTF8(f.Data, nil))
}

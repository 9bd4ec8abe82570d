package websocket

import "unicode/utf8"

// DefaultMaxMessage is the size limit of a message when none is configured, in
// bytes: 1 MiB.
const DefaultMaxMessage = 1 << 20

// A DecoderConfig is what the decoders of one loop share. It is read, never
// written, by [Decoder.Next].
type DecoderConfig struct {
	// MaxMessage is the largest message accepted, in bytes, over all its
	// fragments and after inflating. 0 or less means DefaultMaxMessage. The
	// compressed form may be an eighth and 64 bytes longer than that.
	MaxMessage int

	// Inflater inflates compressed messages. It serves one call at a time, so
	// each loop has its own. nil fails a compressed message with
	// CloseInternalError; it is only safe where deflate is never negotiated.
	Inflater *Inflater

	// NoInflate hands compressed messages out as they came, unchecked. It is
	// for a connection that is closing, whose messages nobody reads: they
	// must not cost what inflating costs.
	NoInflate bool
}

// A Message is a whole data message or a control frame.
type Message struct {
	// Op is OpText, OpBinary, OpPing, OpPong or OpClose.
	Op Opcode

	// Data is the payload, unmasked and inflated. That of a close frame is
	// the code and the reason as received, already checked: see [ParseClose].
	Data []byte
}

// A Decoder is the state of one connection's inbound side. The zero value is
// ready. Between messages it holds no memory: it is one pointer, nil then.
//
// A Decoder serves one goroutine at a time.
type Decoder struct {
	p *partial
}

// partial is what has arrived of a frame or a fragmented message so far. It
// lives from the first byte that cannot be delivered to the last of the message.
type partial struct {
	err *CloseError // set: the connection failed, nothing else matters

	msg  []byte // payload of the unfinished message, unmasked
	ctl  []byte // payload of the unfinished control frame, unmasked
	cur  header // the frame under way; size counts what is still to come
	body bool   // cur is valid: its payload is being read

	op       Opcode // opcode of the unfinished message, 0 if there is none
	deflated bool
	text     utf8Check

	headLen uint8
	head    [maxHeader]byte // an unfinished header
}

// Next consumes bytes of b until one message or control frame is whole or b is
// used up. n is how many it took, and ok says whether m is one; the caller goes
// on with b[n:] until ok is false. b is overwritten where it is unmasked in
// place. m.Data is valid until the next call with this Decoder or with this
// cfg, and no longer than b: it lies in b, in a buffer of its own or in the
// Inflater.
//
// deflate says whether permessage-deflate was negotiated ([Handshake.Deflate]).
// A nil cfg is the zero value.
//
// Headers are judged before any payload is kept: a message above
// cfg.MaxMessage fails with CloseMessageTooBig as soon as a header announces
// it, and memory grows with what arrives, not with what is announced. Control
// frames inside a fragmented message are delivered at once. Text is checked as
// it arrives (RFC 6455, section 8.1), compressed text once it is inflated.
//
// err is a [*CloseError]. The Decoder is then dead: each further call returns
// the same error. What follows a close frame is the caller's matter: RFC 6455,
// section 5.5.1 has it stop reading.
func (d *Decoder) Next(b []byte, cfg *DecoderConfig, deflate bool) (m Message, n int, ok bool, err error) {
	if d.p == nil {
		if len(b) == 0 {
			return Message{}, 0, false, nil
		}
		var h header
		s := framing{deflate: deflate, limit: cfg.limit()}
		n, fail := parseHeader(&h, b, &s)
		if fail != nil {
			return d.fail(0, fail)
		}
		if n > 0 && h.fin && len(b)-n >= h.size {
			data := b[n : n+h.size : n+h.size]
			unmask(data, h.key)
			return d.deliver(h.op, data, h.rsv1, false, n+h.size, cfg)
		}
		d.p = new(partial)
	}
	return d.resume(b, cfg, deflate)
}

// Buffered returns how many bytes are held for an unfinished message or control
// frame, spare capacity included. It is 0 between messages, and never above
// what an eighth and 64 bytes on top of DecoderConfig.MaxMessage come to, plus
// a control frame.
func (d *Decoder) Buffered() int {
	if d.p == nil {
		return 0
	}
	return cap(d.p.msg) + cap(d.p.ctl) + int(d.p.headLen)
}

func (c *DecoderConfig) limit() int {
	if c == nil || c.MaxMessage <= 0 {
		return DefaultMaxMessage
	}
	return c.MaxMessage
}

// resume is Next for what does not lie whole in one piece.
func (d *Decoder) resume(b []byte, cfg *DecoderConfig, deflate bool) (m Message, n int, ok bool, err error) {
	p := d.p
	if p.err != nil {
		return Message{}, 0, false, p.err
	}
	s := framing{deflate: deflate, limit: cfg.limit()}
	for {
		if !p.body {
			if n == len(b) {
				return Message{}, n, false, nil
			}
			s.open, s.deflated, s.held = p.op, p.deflated, len(p.msg)
			k := copy(p.head[p.headLen:], b[n:])
			size, fail := parseHeader(&p.cur, p.head[:int(p.headLen)+k], &s)
			if fail != nil {
				return d.fail(n, fail)
			}
			if size == 0 {
				p.headLen += uint8(k) // all of b: a full p.head is always a header
				return Message{}, n + k, false, nil
			}
			n += size - int(p.headLen)
			p.headLen = 0
			p.body = true
			if p.op == 0 && !p.cur.op.IsControl() {
				p.op, p.deflated = p.cur.op, p.cur.rsv1
			}
		}

		chunk := b[n:]
		if len(chunk) > p.cur.size {
			chunk = chunk[:p.cur.size:p.cur.size]
		}
		n += len(chunk)
		whole := len(chunk) == p.cur.size
		if p.cur.op.IsControl() {
			data := p.take(&p.ctl, chunk, whole, p.cur.size)
			if !whole {
				return Message{}, n, false, nil
			}
			op := p.cur.op
			p.body, p.ctl = false, nil
			if p.op == 0 {
				d.p = nil
			}
			return d.deliver(op, data, false, false, n, cfg)
		}

		last := whole && p.cur.fin
		room := p.cur.size // a last frame says what the message still takes
		if !p.cur.fin {
			room = s.limit
			if p.deflated {
				room = deflatedLimit(room)
			}
			room -= len(p.msg)
		}
		fresh := len(chunk)
		data := p.take(&p.msg, chunk, last, room)
		text := p.op == OpText && !p.deflated
		if text && !p.text.feed(data[len(data)-fresh:]) {
			return d.fail(n, errNotUTF8())
		}
		if last {
			if text && !p.text.whole() {
				return d.fail(n, errNotUTF8())
			}
			d.p = nil
			return d.deliver(p.op, data, p.deflated, text, n, cfg)
		}
		if !whole {
			return Message{}, n, false, nil
		}
		p.body = false
	}
}

// take unmasks chunk, the next bytes of the current frame, and returns what
// there is of the payload with them. They join *buf, which may grow by at most
// room bytes, unless last says that they complete what an empty *buf was for:
// then they stay where they are.
func (p *partial) take(buf *[]byte, chunk []byte, last bool, room int) []byte {
	key := p.cur.key
	p.cur.key = rotate(key, len(chunk))
	p.cur.size -= len(chunk)
	if last && len(*buf) == 0 {
		unmask(chunk, key)
		return chunk
	}
	old := len(*buf)
	*buf = append(grow(*buf, len(chunk), room), chunk...)
	unmask((*buf)[old:], key)
	return *buf
}

// grow makes room for n more bytes in buf, and for at most room more. Doubling
// keeps the copying linear in what arrives.
func grow(buf []byte, n, room int) []byte {
	const least = 64
	need := len(buf) + n
	if need <= cap(buf) {
		return buf
	}
	size := max(need, 2*cap(buf), least)
	// When half is there, or a step nearly gets there, it goes all the way: that spares
	// the last copy.
	if most := len(buf) + room; need >= most-need || size > most-most/8 {
		size = max(most, need)
	}
	return append(make([]byte, 0, size), buf...)
}

// deliver hands out a whole payload after the checks that need all of it.
// checked says that its text was found valid already.
func (d *Decoder) deliver(op Opcode, data []byte, deflated, checked bool, n int, cfg *DecoderConfig) (Message, int, bool, error) {
	if deflated {
		if cfg != nil && cfg.NoInflate {
			return Message{Op: op, Data: data}, n, true, nil
		}
		if cfg == nil || cfg.Inflater == nil {
			return d.fail(n, &CloseError{Code: CloseInternalError, Reason: "no inflater"})
		}
		var fail *CloseError
		if data, fail = cfg.Inflater.inflate(data, cfg.limit()); fail != nil {
			return d.fail(n, fail)
		}
	}
	switch op {
	case OpText:
		if !checked && !utf8.Valid(data) {
			return d.fail(n, errNotUTF8())
		}
	case OpClose:
		if fail := checkClose(data); fail != nil {
			return d.fail(n, fail)
		}
	}
	return Message{Op: op, Data: data}, n, true, nil
}

// fail ends the connection's decoding and lets go of what was held.
func (d *Decoder) fail(n int, e *CloseError) (Message, int, bool, error) {
	d.p = &partial{err: e}
	return Message{}, n, false, e
}

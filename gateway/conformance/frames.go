package conformance

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/transport/websocket"
)

// An rfcCase is what a client does on a connection of its own, and what must
// come of it.
type rfcCase struct {
	name string
	rfc  string // the RFC and its section
	on   stageKind
	// offer, if any, is the client's Sec-WebSocket-Extensions.
	offer string

	// Either send is written with one write, want comes back, and then the
	// connection is failed with the close code fail or, if that is 0, lives
	// on. Or play does all this.
	send []byte
	want []arrived
	fail int
	play func(w *wire)
}

// An rfcGroup is the cases on one matter.
type rfcGroup struct {
	name  string
	cases []rfcCase
}

func rfcGroups() []rfcGroup {
	return []rfcGroup{
		{"frames", frameCases()},
		{"fragments", fragmentCases()},
		{"closing", closingCases()},
		{"text", textCases()},
		{"deflate", deflateCases()},
		{"offers", offerCases()},
		{"pieces", pieceCases()},
	}
}

// testFraming runs the cases on what happens after the handshake: RFC 6455 from
// section 5 on and RFC 7692. They share a gateway of each kind, so that no more
// than one wait is needed for the connections that the gateway fails.
func testFraming(t *testing.T, setup func(testing.TB) Setup) {
	var stages [stageKinds]*stage
	for kind := range stages {
		stages[kind] = newStage(t, stageKind(kind), setup)
	}
	for _, g := range rfcGroups() {
		t.Run(g.name, func(t *testing.T) {
			for _, c := range g.cases {
				t.Run(c.name+" ("+c.rfc+")", func(t *testing.T) {
					t.Parallel() // as many at a time as the -parallel flag says
					c.run(t, stages[c.on])
				})
			}
		})
	}
	t.Run("ends of failed connections (RFC 6455 7.1.7)", func(t *testing.T) {
		for _, s := range stages {
			s.awaitEnds(t)
		}
	})
}

func (c *rfcCase) run(t *testing.T, s *stage) {
	var offers []string
	if c.offer != "" {
		offers = []string{c.offer}
	}
	w := s.open(t, offers...)
	if c.play != nil {
		c.play(w)
		return
	}
	w.write(c.send)
	w.expect(c.want...)
	if c.fail != 0 {
		w.expectFailure(c.fail)
	} else {
		w.expectAlive()
	}
}

// A rawFrame is a client's frame, right or wrong. The zero value of each field
// is what a client does as a rule.
type rawFrame struct {
	op    websocket.Opcode
	data  string
	more  bool   // FIN is clear
	rsv   byte   // RSV1 is 4, RSV2 is 2, RSV3 is 1
	bare  bool   // not masked
	form  int    // bytes of the extended length; 0 means the shortest
	claim uint64 // the length it announces, if that is not the data's
}

// bytes is f masked with a key that has no two bytes alike. Masking is done
// here, the slow way, so that the codec's own is not compared with itself.
func (f rawFrame) bytes() []byte { return f.masked([4]byte{0x37, 0xfa, 0x21, 0x3d}) }

func (f rawFrame) masked(key [4]byte) []byte {
	b0 := f.rsv<<4 | byte(f.op)
	if !f.more {
		b0 |= 0x80
	}
	n, form := uint64(len(f.data)), f.form
	if f.claim != 0 {
		n = f.claim
	}
	b1 := byte(n)
	switch {
	case form == 8 || form == 0 && n > 0xffff:
		b1, form = 127, 8
	case form == 2 || form == 0 && n > 125:
		b1, form = 126, 2
	}
	b := []byte{b0, b1}
	for i := form - 1; i >= 0; i-- {
		b = append(b, byte(n>>(8*i)))
	}
	if f.bare {
		return append(b, f.data...)
	}
	b[1] |= 0x80
	b = append(b, key[:]...)
	for i := range len(f.data) {
		b = append(b, f.data[i]^key[i%4])
	}
	return b
}

// join is several frames for one write.
func join(frames ...rawFrame) []byte {
	var b []byte
	for _, f := range frames {
		b = append(b, f.bytes()...)
	}
	return b
}

func text(data string) []byte   { return rawFrame{op: websocket.OpText, data: data}.bytes() }
func binary(data string) []byte { return rawFrame{op: websocket.OpBinary, data: data}.bytes() }
func ping(data string) []byte   { return rawFrame{op: websocket.OpPing, data: data}.bytes() }

// letters returns n bytes of text; a byte that goes missing shows.
func letters(n int) string {
	const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789-" // 37 is prime
	return strings.Repeat(alphabet, n/len(alphabet)+1)[:n]
}

// octets returns n bytes of all values, not UTF-8.
func octets(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(255 - i*7)
	}
	return string(b)
}

// definedOpcodes are those of RFC 6455 11.8.
func definedOpcodes() []websocket.Opcode {
	return []websocket.Opcode{
		websocket.OpContinuation, websocket.OpText, websocket.OpBinary,
		websocket.OpClose, websocket.OpPing, websocket.OpPong,
	}
}

// where makes f stand where its opcode may: a continuation behind a beginning.
func (f rawFrame) where() []byte {
	if f.op == websocket.OpContinuation {
		return join(rawFrame{op: websocket.OpText, more: true, data: "begin"}, f)
	}
	return f.bytes()
}

// frameCases are on RFC 6455 5.1 to 5.3 and 5.8.
func frameCases() []rfcCase {
	return concat(lengthCases(), headerCases(), maskCases())
}

func concat(tables ...[]rfcCase) (all []rfcCase) {
	for _, t := range tables {
		all = append(all, t...)
	}
	return all
}

// lengthCases are on the payload length: its encodings and its limit.
func lengthCases() []rfcCase {
	const encoding, tooBig = "RFC 6455 5.2", "RFC 6455 7.4.1"
	var cases []rfcCase
	for _, n := range []int{0, 1, 125, 126, 127, 65535, 65536, stageLimit} {
		cases = append(cases,
			rfcCase{name: fmt.Sprintf("text of %d bytes", n), rfc: encoding, send: text(letters(n)), want: []arrived{message(letters(n))}},
			rfcCase{name: fmt.Sprintf("binary of %d bytes", n), rfc: encoding, on: onBinary, send: binary(octets(n)), want: []arrived{message(octets(n))}})
	}
	for _, tc := range []struct {
		form int
		n    int
	}{{2, 0}, {2, 1}, {2, 125}, {8, 0}, {8, 1}, {8, 125}, {8, 126}, {8, 65535}} {
		f := rawFrame{op: websocket.OpText, form: tc.form, data: letters(tc.n)}
		cases = append(cases, rfcCase{
			name: fmt.Sprintf("length %d in %d bytes", tc.n, tc.form), rfc: encoding, send: f.bytes(), fail: websocket.CloseProtocolError,
		})
	}
	for _, op := range []websocket.Opcode{websocket.OpClose, websocket.OpPing, websocket.OpPong} {
		for _, form := range []int{2, 8} {
			f := rawFrame{op: op, form: form, data: "\x03\xe8ok"}
			cases = append(cases, rfcCase{
				name: fmt.Sprintf("%v with its length in %d bytes", op, form), rfc: "RFC 6455 5.5", send: f.bytes(), fail: websocket.CloseProtocolError,
			})
		}
	}
	for _, n := range []uint64{1 << 63, 1<<63 + 5, 1<<64 - 1} {
		f := rawFrame{op: websocket.OpBinary, claim: n, data: "hello"}
		cases = append(cases, rfcCase{name: fmt.Sprintf("length %#x, the top bit set", n), rfc: encoding, send: f.bytes(), fail: websocket.CloseProtocolError})
	}
	for _, op := range []websocket.Opcode{websocket.OpText, websocket.OpBinary} {
		for _, n := range []uint64{stageLimit + 1, 1 << 32, 1<<63 - 1} {
			f := rawFrame{op: op, claim: n}
			cases = append(cases, rfcCase{
				name: fmt.Sprintf("%v that announces %d bytes, above the limit", op, n), rfc: tooBig,
				send: f.bytes(), fail: websocket.CloseMessageTooBig,
			})
		}
	}
	half := letters(stageLimit / 2)
	begin := rawFrame{op: websocket.OpText, more: true, data: half}
	return append(cases,
		rfcCase{
			name: "a message one byte above the limit, sent whole", rfc: tooBig,
			send: text(letters(stageLimit + 1)), fail: websocket.CloseMessageTooBig,
		},
		rfcCase{
			name: "fragments up to the limit", rfc: tooBig,
			send: join(begin, rawFrame{more: true, data: half}, rawFrame{}), want: []arrived{message(half + half)},
		},
		rfcCase{
			name: "fragments one byte above the limit", rfc: tooBig,
			send: join(begin, rawFrame{more: true, data: half}, rawFrame{data: "x"}), fail: websocket.CloseMessageTooBig,
		},
		rfcCase{
			name: "a fragment that announces too much for its message", rfc: tooBig,
			send: join(begin, rawFrame{more: true, claim: stageLimit/2 + 1}), fail: websocket.CloseMessageTooBig,
		},
		rfcCase{
			name: "a first fragment that announces too much", rfc: tooBig,
			send: rawFrame{op: websocket.OpBinary, more: true, claim: stageLimit + 1}.bytes(), fail: websocket.CloseMessageTooBig,
		},
	)
}

// headerCases are on reserved bits and opcodes.
func headerCases() []rfcCase {
	var cases []rfcCase
	for _, op := range definedOpcodes() {
		for rsv := byte(1); rsv < 8; rsv++ {
			f := rawFrame{op: op, rsv: rsv, data: "\x03\xe8"}
			cases = append(cases, rfcCase{
				name: fmt.Sprintf("%s on %v", bitNames(rsv), op), rfc: "RFC 6455 5.2",
				send: f.where(), fail: websocket.CloseProtocolError,
			})
		}
		cases = append(cases, rfcCase{
			name: fmt.Sprintf("RSV1 on %v where compression is off", op), rfc: "RFC 6455 5.2", on: onPlain, offer: deflateName,
			send: rawFrame{op: op, rsv: 4, data: "\x03\xe8"}.where(), fail: websocket.CloseProtocolError,
		})
	}
	for op := websocket.Opcode(3); op < 16; op++ {
		if op >= websocket.OpClose && op <= websocket.OpPong {
			continue
		}
		begin := rawFrame{op: websocket.OpText, more: true, data: "begin"}
		for name, send := range map[string][]byte{
			"":                              rawFrame{op: op, data: "x"}.bytes(),
			", empty":                       rawFrame{op: op}.bytes(),
			", FIN clear":                   rawFrame{op: op, more: true, data: "x"}.bytes(),
			", inside a fragmented message": join(begin, rawFrame{op: op, data: "x"}),
		} {
			cases = append(cases, rfcCase{
				name: fmt.Sprintf("reserved opcode %d%s", op, name), rfc: "RFC 6455 5.2",
				send: send, fail: websocket.CloseProtocolError,
			})
		}
	}
	return append(cases, rfcCase{
		name: "either opcode on either gateway", rfc: "RFC 6455 5.6", play: func(w *wire) {
			w.write(append(binary("one"), text("two")...))
			w.expect(message("one"), message("two"))
		},
	}, rfcCase{
		name: "either opcode on the other gateway", rfc: "RFC 6455 5.6", on: onBinary, play: func(w *wire) {
			w.write(append(binary("one"), text("two")...))
			w.expect(message("one"), message("two"))
		},
	})
}

func bitNames(rsv byte) string {
	var names []string
	for i, name := range []string{"RSV1", "RSV2", "RSV3"} {
		if rsv&(4>>i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, "+")
}

// maskCases are on masking.
func maskCases() []rfcCase {
	var cases []rfcCase
	for _, op := range definedOpcodes() {
		for _, data := range []string{"", "\x03\xe8ok"} {
			cases = append(cases, rfcCase{
				name: fmt.Sprintf("%v of %d bytes not masked", op, len(data)), rfc: "RFC 6455 5.1",
				send: rawFrame{op: op, bare: true, data: data}.where(), fail: websocket.CloseProtocolError,
			})
		}
	}
	keys := [][4]byte{
		{}, {0xff, 0xff, 0xff, 0xff}, {1, 2, 3, 4}, {0x80, 0, 0, 1}, {0, 0, 0, 0xff}, {0xff, 0, 0, 0}, {0xde, 0xad, 0xbe, 0xef},
	}
	for _, key := range keys {
		cases = append(cases, rfcCase{
			name: fmt.Sprintf("mask %x, payloads of 0 to 70 bytes", key), rfc: "RFC 6455 5.3", on: onBinary,
			play: func(w *wire) {
				for n := range 71 {
					w.write(rawFrame{op: websocket.OpBinary, data: octets(n)}.masked(key))
					w.expect(message(octets(n)))
				}
			},
		}, rfcCase{
			name: fmt.Sprintf("mask %x, a payload that comes in two reads", key), rfc: "RFC 6455 5.3", on: onBinary,
			play: func(w *wire) {
				data := octets(75)
				b := rawFrame{op: websocket.OpBinary, data: data}.masked(key)
				for i := 1; i < len(b); i++ {
					w.deliver(b[:i])
					w.write(b[i:])
					w.expect(message(data))
				}
			},
		})
	}
	return append(cases, rfcCase{
		name: "another mask for each fragment and each control frame between", rfc: "RFC 6455 5.3", on: onBinary,
		play: func(w *wire) {
			var b []byte
			var data string
			var pongs []arrived
			for i, key := range keys {
				f := rawFrame{more: i < len(keys)-1, data: octets(10 + i)}
				if i == 0 {
					f.op = websocket.OpBinary
				}
				data += f.data
				b = append(b, f.masked(key)...)
				if f.more {
					b = append(b, rawFrame{op: websocket.OpPing, data: octets(i)}.masked(keys[len(keys)-1-i])...)
					pongs = append(pongs, pong(octets(i)))
				}
			}
			w.write(b)
			w.expect(append(pongs, message(data))...)
			w.expectAlive()
		},
	})
}

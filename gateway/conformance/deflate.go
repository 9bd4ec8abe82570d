package conformance

import (
	"bytes"
	"compress/flate"
	"fmt"
	"strings"

	"github.com/sluicegate/sluice/internal/wsclient"
	"github.com/sluicegate/sluice/transport/websocket"
)

// deflateName is the extension of RFC 7692, and the simplest offer of it.
const deflateName = "permessage-deflate"

// Hello of RFC 7692 7.2.3, compressed in its several ways.
const (
	helloFixed   = "\xf2\x48\xcd\xc9\xc9\x07\x00"                         // 7.2.3.1
	helloAgain   = "\xf2\x00\x11\x00\x00"                                 // 7.2.3.2: looks back at an earlier Hello
	helloStored  = "\x00\x05\x00\xfa\xffHello\x00"                        // 7.2.3.3
	helloFinal   = "\xf3\x48\xcd\xc9\xc9\x07\x00\x00"                     // 7.2.3.4
	helloTwo     = "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00" // 7.2.3.5
	deflateEmpty = "\x00"                                                 // 7.2.3.6
	emptyStored  = "\x00\x00\x00\xff\xff"                                 // what a sync flush ends with
)

// deflateCases are on RFC 7692 6 and 7.2; those on 7.1 are offerCases.
func deflateCases() []rfcCase {
	cases := concat(blockCases(), deflatedFragments(), deflatedBits(), corruptCases(), takeoverCases(), inflatedLimits())
	for i := range cases {
		if cases[i].offer == "" {
			cases[i].offer = deflateName
		}
	}
	return cases
}

// deflated is a whole message whose compressed form is payload.
func deflated(op websocket.Opcode, payload string) rawFrame {
	return rawFrame{op: op, rsv: 4, data: payload}
}

// deflatedIn is one in fragments. RSV1 is where it belongs, on the first.
func deflatedIn(op websocket.Opcode, fragments ...string) []rawFrame {
	frames := fragmented(op, fragments...)
	frames[0].rsv = 4
	return frames
}

// squeeze compresses data for a frame with RSV1, flushed after every piece.
func squeeze(level int, pieces ...string) string {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, level)
	for _, p := range pieces {
		if err == nil {
			_, err = w.Write([]byte(p))
		}
		if err == nil {
			err = w.Flush()
		}
	}
	if err != nil {
		panic("conformance: writing to memory failed: " + err.Error())
	}
	return strings.TrimSuffix(out.String(), "\x00\x00\xff\xff")
}

// stored is data in one block that is not compressed.
func stored(data string) string {
	n := len(data)
	return string([]byte{0, byte(n), byte(n >> 8), ^byte(n), ^byte(n >> 8)}) + data + "\x00"
}

// finished is data as a stream of its own, its last block marked as final.
func finished(data string) string {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestCompression)
	if err == nil {
		_, err = w.Write([]byte(data))
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic("conformance: writing to memory failed: " + err.Error())
	}
	return out.String()
}

// blockCases are messages in all sorts of DEFLATE blocks (RFC 1951 3.2).
func blockCases() []rfcCase {
	far := noise(32<<10 - 300)
	var cases []rfcCase
	for _, tc := range []struct{ name, rfc, payload, data string }{
		{"one block with fixed codes", "RFC 7692 7.2.3.1", helloFixed, "Hello"},
		{"a block that is not compressed", "RFC 7692 7.2.3.3", helloStored, "Hello"},
		{"a block with BFINAL", "RFC 7692 7.2.3.4", helloFinal, "Hello"},
		{"two blocks", "RFC 7692 7.2.3.5", helloTwo, "Hello"},
		{"an empty message", "RFC 7692 7.2.3.6", deflateEmpty, ""},
		{"an empty message in an empty fixed block", "RFC 7692 7.2.3.6", "\x02\x00", ""},
		{"an empty message in many empty blocks", "RFC 7692 7.2.1", strings.Repeat(emptyStored, 50) + "\x00", ""},
		{"empty blocks first", "RFC 7692 7.2.1", strings.Repeat(emptyStored, 3) + helloFixed, "Hello"},
		{"empty blocks between blocks", "RFC 7692 7.2.1", squeeze(9, "a") + "\x00\x00\xff\xff" + strings.Repeat(emptyStored, 3) + squeeze(9, "b"), "ab"},
		{"two blocks with BFINAL", "RFC 7692 7.2.1", finished("Hel") + finished("lo") + "\x00", "Hello"},
		{"a block with BFINAL, then one without", "RFC 7692 7.2.1", finished("Hel") + squeeze(9, "lo"), "Hello"},
		{"an empty block with BFINAL", "RFC 7692 7.2.1", "\x01\x00\x00\xff\xff\x00", ""},
		{"a flush after every byte", "RFC 7692 7.2.1", squeeze(9, eachByte(letters(300))...), letters(300)},
		{"level 0", "RFC 7692 7.2.1", squeeze(0, noise(20000)), noise(20000)},
		{"level 1", "RFC 7692 7.2.1", squeeze(1, noise(70000)), noise(70000)},
		{"level 9", "RFC 7692 7.2.1", squeeze(9, noise(20000)), noise(20000)},
		{"Huffman codes only", "RFC 7692 7.2.1", squeeze(flate.HuffmanOnly, noise(20000)), noise(20000)},
		{"very much alike", "RFC 7692 7.2.1", squeeze(9, strings.Repeat("a", stageLimit)), strings.Repeat("a", stageLimit)},
		{"looking back as far as a window goes", "RFC 7692 7.2.1", squeeze(9, far, far), far + far},
	} {
		for _, op := range []websocket.Opcode{websocket.OpText, websocket.OpBinary} {
			cases = append(cases, rfcCase{
				name: fmt.Sprintf("%v: %s", op, tc.name), rfc: tc.rfc,
				send: deflated(op, tc.payload).bytes(), want: []arrived{message(tc.data)},
			})
		}
	}
	return append(cases, rfcCase{
		name: "compressed and plain messages in turn", rfc: "RFC 7692 6", play: func(w *wire) {
			for range 3 {
				w.write(deflated(websocket.OpText, helloFixed).bytes())
				w.write(text("Hello, plain"))
				w.write(join(fragmented(websocket.OpBinary, "in ", "parts")...))
				w.expect(message("Hello"), message("Hello, plain"), message("in parts"))
			}
		},
	}, rfcCase{
		name: "binary octets, compressed", rfc: "RFC 7692 7.2", on: onBinary,
		send: deflated(websocket.OpBinary, squeeze(6, octets(5000))).bytes(), want: []arrived{message(octets(5000))},
	}, rfcCase{
		name: "a message in two reads", rfc: "RFC 7692 7.2.2", play: func(w *wire) {
			b := deflated(websocket.OpText, helloTwo).bytes()
			for i := 1; i < len(b); i++ {
				w.deliver(b[:i])
				w.write(b[i:])
				w.expect(message("Hello"))
			}
		},
	})
}

// deflatedFragments are compressed messages in fragments.
func deflatedFragments() []rfcCase {
	return []rfcCase{
		{name: "fragments: the RFC's example", rfc: "RFC 7692 7.2.3.1", play: func(w *wire) {
			w.write(join(deflatedIn(websocket.OpText, "\xf2\x48\xcd", "\xc9\xc9\x07\x00")...))
			w.expect(message("Hello"))
		}},
		{name: "fragments: cut at every byte", rfc: "RFC 7692 6.1", play: func(w *wire) {
			for _, payload := range []string{helloFixed, helloTwo, helloStored, helloFinal} {
				for i := range len(payload) + 1 {
					w.write(join(deflatedIn(websocket.OpText, payload[:i], payload[i:])...))
					w.expect(message("Hello"))
				}
			}
		}},
		{name: "fragments: each byte and empty ones", rfc: "RFC 7692 6.1", play: func(w *wire) {
			pieces := append(append([]string{""}, eachByte(helloTwo)...), "", "")
			w.write(join(deflatedIn(websocket.OpBinary, pieces...)...))
			w.expect(message("Hello"))
		}},
		{name: "fragments: a ping between", rfc: "RFC 7692 6.1", play: func(w *wire) {
			for _, f := range deflatedIn(websocket.OpText, eachByte(helloFixed)...) {
				w.deliver(nil)
				w.write(f.bytes())
			}
			w.expect(message("Hello"))
			w.expectAlive()
		}},
		{name: "fragments: a character cut in two, compressed", rfc: "RFC 7692 6.1, RFC 6455 5.6", play: func(w *wire) {
			data := "\u00e9\u20ac\U0001f600"
			payload := stored(data)
			for i := range len(payload) + 1 {
				w.write(join(deflatedIn(websocket.OpText, payload[:i], payload[i:])...))
				w.expect(message(data))
			}
			for i := range len(data) + 1 {
				payload := squeeze(1, data[:i], data[i:])
				w.write(join(deflatedIn(websocket.OpText, eachByte(payload)...)...))
				w.expect(message(data))
			}
		}},
		{name: "fragments: after a compressed message a plain one, and back", rfc: "RFC 7692 6.1", play: func(w *wire) {
			for range 2 {
				w.write(join(deflatedIn(websocket.OpText, helloFixed[:3], helloFixed[3:])...))
				w.write(join(fragmented(websocket.OpText, helloPlain[:3], helloPlain[3:])...))
				w.expect(message("Hello"), message(helloPlain))
			}
		}},
	}
}

// helloPlain is a message that is not compressed.
const helloPlain = "Hello, plain"

// deflatedBits are reserved bits where compression was agreed: RSV1 belongs on
// the first frame of a message, the others nowhere.
func deflatedBits() []rfcCase {
	var cases []rfcCase
	for _, op := range definedOpcodes() {
		for rsv := byte(1); rsv < 8; rsv++ {
			if rsv == 4 && (op == websocket.OpText || op == websocket.OpBinary) {
				continue
			}
			rfc := "RFC 6455 5.2"
			if rsv == 4 {
				rfc = "RFC 7692 6.1"
			}
			cases = append(cases, rfcCase{
				name: fmt.Sprintf("%s on %v though compression is agreed", bitNames(rsv), op), rfc: rfc,
				send: rawFrame{op: op, rsv: rsv, data: "\x03\xe8"}.where(), fail: websocket.CloseProtocolError,
			})
		}
	}
	begin, middle := deflated(websocket.OpText, "\xf2\x48"), rawFrame{rsv: 4, more: true, data: "\xcd"}
	begin.more = true
	last := middle
	last.more = false
	return append(cases,
		rfcCase{name: "RSV1 on a middle fragment of a compressed message", rfc: "RFC 7692 6.1", send: join(begin, middle), fail: websocket.CloseProtocolError},
		rfcCase{name: "RSV1 on the last fragment of a compressed message", rfc: "RFC 7692 6.1", send: join(begin, last), fail: websocket.CloseProtocolError},
		rfcCase{
			name: "RSV1 on a ping inside a compressed message", rfc: "RFC 7692 6.1",
			send: join(begin, rawFrame{op: websocket.OpPing, rsv: 4}), fail: websocket.CloseProtocolError,
		},
		rfcCase{
			name: "a compressed frame not masked", rfc: "RFC 6455 5.1",
			send: rawFrame{op: websocket.OpText, rsv: 4, bare: true, data: helloFixed}.bytes(), fail: websocket.CloseProtocolError,
		})
}

// corruptCases are compressed messages that are none. RFC 7692 7.2.2 fails them
// and leaves the code open; 1007 is for data that are not what their frame says.
func corruptCases() []rfcCase {
	var cases []rfcCase
	for name, payload := range map[string]string{
		"a reserved block type":                        "\x07",
		"a reserved block type behind a block":         "\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff\x07",
		"a stored length that is not confirmed":        "\x00\x05\x00\x00\x00Hello\x00",
		"a stored block cut off":                       "\x00\x64\x00\x9b\xffHello",
		"a block with fixed codes cut off":             "\xf2\x48\xcd\xc9",
		"a reference to before the beginning":          "\x02\x12\x00\x00",
		"a reference to the message before":            helloAgain,
		"bad code lengths":                             "\x04\xff\xff\xff\xff\xff\xff\xff\xff\xff",
		"plain text":                                   "this is not compressed at all",
		"something wrong behind a block with BFINAL":   "\xf3\x48\xcd\xc9\xc9\x07\x00\x07",
		"a reserved block type in the middle of noise": squeeze(9, noise(3000)) + "\x00\x00\xff\xff\x06",
	} {
		for _, op := range []websocket.Opcode{websocket.OpText, websocket.OpBinary} {
			cases = append(cases, rfcCase{
				name: fmt.Sprintf("corrupt %v: %s", op, name), rfc: "RFC 7692 7.2.2, RFC 6455 7.4.1",
				send: deflated(op, payload).bytes(), fail: websocket.CloseInvalidPayload,
			})
		}
		cases = append(cases, rfcCase{
			name: "corrupt, in fragments: " + name, rfc: "RFC 7692 7.2.2, RFC 6455 7.4.1",
			send: join(deflatedIn(websocket.OpBinary, eachByte(payload)...)...), fail: websocket.CloseInvalidPayload,
		})
	}
	for name, tc := range invalidText() {
		data := "ok" + tc.bad + tc.after
		payload := stored(data)
		cases = append(cases, rfcCase{
			name: "compressed text is checked: " + name, rfc: "RFC 7692 6, RFC 6455 8.1",
			send: deflated(websocket.OpText, payload).bytes(), fail: websocket.CloseInvalidPayload,
		}, rfcCase{
			name: "compressed text in fragments is checked: " + name, rfc: "RFC 7692 6, RFC 6455 8.1",
			send: join(deflatedIn(websocket.OpText, eachByte(payload)...)...), fail: websocket.CloseInvalidPayload,
		}, rfcCase{
			name: "compressed binary is not checked: " + name, rfc: "RFC 6455 5.6", on: onBinary,
			send: deflated(websocket.OpBinary, payload).bytes(), want: []arrived{message(data)},
		})
	}
	return cases
}

// takeoverCases are on messages that do not know of each other.
func takeoverCases() []rfcCase {
	const bothOff = deflateName + "; server_no_context_takeover; client_no_context_takeover"
	return []rfcCase{
		{name: "client's messages each by itself", rfc: "RFC 7692 7.1.1.2, 7.2.2", offer: bothOff, play: func(w *wire) {
			for range 3 {
				w.write(deflated(websocket.OpText, helloFixed).bytes())
				w.expect(message("Hello"))
			}
		}},
		{name: "gateway's messages each by itself", rfc: "RFC 7692 7.1.1.1", offer: bothOff, play: func(w *wire) {
			data := strings.Repeat("the same again ", 100)
			for range 3 {
				w.write(text(data))
				got, err := w.next() // which inflates it by itself
				if err != nil || got.data != data {
					w.t.Fatalf("got %s, %v", brief(got), err)
				}
				if !got.deflated {
					w.t.Fatalf("a message of %d bytes that are alike is not compressed", len(data))
				}
			}
			w.expectAlive()
		}},
		{name: "a message that needs the one before", rfc: "RFC 7692 7.1.1.2, 7.2.3.2", offer: bothOff, play: func(w *wire) {
			w.write(deflated(websocket.OpText, helloFixed).bytes())
			w.expect(message("Hello"))
			w.write(deflated(websocket.OpText, helloAgain).bytes())
			w.expectFailure(websocket.CloseInvalidPayload)
		}},
		{name: "a message that needs another client's", rfc: "RFC 7692 7.2.2", offer: bothOff, play: func(w *wire) {
			others := []*wire{w.another(bothOff), w.another(bothOff), w.another(bothOff), w.another(bothOff)}
			for _, other := range others {
				other.write(deflated(websocket.OpText, helloFixed).bytes())
				other.expect(message("Hello"))
			}
			w.write(deflated(websocket.OpText, helloAgain).bytes())
			w.expectFailure(websocket.CloseInvalidPayload)
			for _, other := range others {
				other.write(deflated(websocket.OpText, helloFixed).bytes())
				other.expect(message("Hello"))
				other.expectAlive()
			}
		}},
		{name: "who has not offered it gets nothing compressed", rfc: "RFC 7692 6", play: func(w *wire) {
			data := strings.Repeat("the same again ", 100)
			plain := w.another()
			plain.write(text(data))
			plain.expect(message(data))
			plain.expectAlive()
		}},
	}
}

// inflatedLimits are on the message limit, which counts what is inflated.
func inflatedLimits() []rfcCase {
	const rfc = "RFC 6455 7.4.1"
	zeros := func(n int) string { return strings.Repeat("\x00", n) }
	tooBig := func(name string, frames ...rawFrame) rfcCase {
		return rfcCase{name: name, rfc: rfc, send: join(frames...), fail: websocket.CloseMessageTooBig}
	}
	bomb := string(wsclient.Deflate(make([]byte, 4<<20)))
	cases := []rfcCase{
		{
			name: "inflated to the limit", rfc: rfc,
			send: deflated(websocket.OpText, squeeze(9, zeros(stageLimit))).bytes(), want: []arrived{message(zeros(stageLimit))},
		},
		{
			name: "inflated to the limit, in fragments", rfc: rfc,
			send: join(deflatedIn(websocket.OpText, eachByte(squeeze(9, zeros(stageLimit)))...)...), want: []arrived{message(zeros(stageLimit))},
		},
		{
			name: "at the limit and longer when compressed", rfc: rfc,
			send: deflated(websocket.OpText, squeeze(0, noise(stageLimit))).bytes(), want: []arrived{message(noise(stageLimit))},
		},
		tooBig("announcing a compressed form that is far too long", rawFrame{op: websocket.OpText, rsv: 4, claim: 2 * stageLimit}),
		tooBig("a compressed form of blocks without end", deflatedIn(websocket.OpText, strings.Repeat(emptyStored, stageLimit/5), strings.Repeat(emptyStored, stageLimit/5))...),
	}
	for _, op := range []websocket.Opcode{websocket.OpText, websocket.OpBinary} {
		over := squeeze(9, zeros(stageLimit+1))
		cases = append(cases,
			tooBig(fmt.Sprintf("%v inflated to one byte above the limit", op), deflated(op, over)),
			tooBig(fmt.Sprintf("%v inflated to one byte above the limit, in fragments", op), deflatedIn(op, over[:20], over[20:])...),
			tooBig(fmt.Sprintf("%v inflated to 4 MiB", op), deflated(op, bomb)))
	}
	return cases
}

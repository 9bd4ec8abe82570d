package conformance

import (
	"fmt"
	"strings"

	"github.com/sluicegate/sluice/transport/websocket"
)

// fragmentCases are on RFC 6455 5.4 and 5.5: fragmented messages and the
// control frames between and around them.
func fragmentCases() []rfcCase {
	return concat(goodFragments(), badFragments(), controlCases())
}

// fragmented is a message in the given fragments.
func fragmented(op websocket.Opcode, fragments ...string) []rawFrame {
	frames := make([]rawFrame, len(fragments))
	for i, data := range fragments {
		frames[i] = rawFrame{more: true, data: data}
	}
	frames[0].op = op
	frames[len(frames)-1].more = false
	return frames
}

func goodFragments() []rfcCase {
	var cases []rfcCase
	for _, tc := range []struct {
		name      string
		fragments []string
	}{
		{"two fragments", []string{"Hel", "lo"}},
		{"three fragments", []string{"H", "ell", "o"}},
		{"a hundred fragments", strings.Split(letters(100), "")},
		{"a thousand fragments, most of them empty", append(make([]string, 999), "end")},
		{"an empty fragment first", []string{"", "Hello"}},
		{"an empty fragment in the middle", []string{"Hel", "", "lo"}},
		{"an empty fragment last", []string{"Hello", ""}},
		{"empty fragments all around", []string{"", "", "Hel", "", "", "lo", "", ""}},
		{"nothing but empty fragments", []string{"", "", "", ""}},
		{"fragments of 125 to 127 bytes", []string{letters(125), letters(126), letters(127)}},
		{"a small fragment and one of 65,536 bytes", []string{"x", letters(65536)}},
		{"a fragment of 65,536 bytes and a small one", []string{letters(65536), "x"}},
	} {
		whole := strings.Join(tc.fragments, "")
		for _, op := range []websocket.Opcode{websocket.OpText, websocket.OpBinary} {
			cases = append(cases, rfcCase{
				name: fmt.Sprintf("%v in %s", op, tc.name), rfc: "RFC 6455 5.4",
				send: join(fragmented(op, tc.fragments...)...), want: []arrived{message(whole)},
			})
		}
	}
	return append(cases,
		rfcCase{name: "messages one after the other, fragmented and whole", rfc: "RFC 6455 5.4", play: func(w *wire) {
			for range 3 {
				w.write(append(join(fragmented(websocket.OpText, "on", "e")...), text("two")...))
				w.expect(message("one"), message("two"))
			}
		}},
		rfcCase{name: "fragments in writes of their own", rfc: "RFC 6455 5.4", play: func(w *wire) {
			for _, f := range fragmented(websocket.OpBinary, "a", "", "b", "c", "") {
				w.deliver(f.bytes())
			}
			w.expect(message("abc"))
			w.expectAlive()
		}},
		rfcCase{name: "pings and pongs between fragments are handled at once", rfc: "RFC 6455 5.4, 5.5", play: func(w *wire) {
			for i, f := range fragmented(websocket.OpText, "one ", "", "message") {
				if i > 0 {
					w.write(join(rawFrame{op: websocket.OpPong, data: "unasked"}, rawFrame{op: websocket.OpPing, data: octets(i)}))
					w.expect(pong(octets(i)))
					w.write(join(rawFrame{op: websocket.OpPing}))
					w.expect(pong(""))
				}
				w.write(f.bytes())
			}
			w.expect(message("one message"))
			w.expectAlive()
		}},
		rfcCase{name: "a ping of 125 bytes between fragments, all in one write", rfc: "RFC 6455 5.4, 5.5", send: join(
			rawFrame{op: websocket.OpText, more: true, data: "Hel"}, rawFrame{op: websocket.OpPing, data: octets(125)}, rawFrame{data: "lo"},
		), want: []arrived{pong(octets(125)), message("Hello")}},
	)
}

func badFragments() []rfcCase {
	const begin, whole = "an unfinished message", "a whole message"
	before := map[string][]byte{
		begin: rawFrame{op: websocket.OpText, more: true, data: "begin"}.bytes(),
		whole: join(fragmented(websocket.OpText, "who", "le")...),
	}
	var cases []rfcCase
	for _, more := range []bool{false, true} {
		for _, data := range []string{"", "x"} {
			shape := fmt.Sprintf("of %d bytes, FIN %v", len(data), !more)
			lone := rawFrame{more: more, data: data}
			cases = append(cases,
				rfcCase{name: "a continuation " + shape + " of nothing", rfc: "RFC 6455 5.4", send: lone.bytes(), fail: websocket.CloseProtocolError},
				rfcCase{
					name: "a continuation " + shape + " after " + whole, rfc: "RFC 6455 5.4", play: func(w *wire) {
						w.write(before[whole])
						w.expect(message("whole"))
						w.write(lone.bytes())
						w.expectFailure(websocket.CloseProtocolError)
					},
				})
			for _, op := range []websocket.Opcode{websocket.OpText, websocket.OpBinary} {
				inside := rawFrame{op: op, more: more, data: data}
				cases = append(cases, rfcCase{
					name: fmt.Sprintf("%v %s inside %s", op, shape, begin), rfc: "RFC 6455 5.4",
					send: append(append([]byte(nil), before[begin]...), inside.bytes()...), fail: websocket.CloseProtocolError,
				})
			}
			for _, op := range []websocket.Opcode{websocket.OpPing, websocket.OpPong} {
				cases = append(cases, rfcCase{
					name: fmt.Sprintf("a continuation %s of a %v", shape, op), rfc: "RFC 6455 5.4", play: func(w *wire) {
						w.write(rawFrame{op: op, data: "whole"}.bytes())
						if op == websocket.OpPing {
							w.expect(pong("whole"))
						}
						w.write(lone.bytes())
						w.expectFailure(websocket.CloseProtocolError)
					},
				})
			}
		}
	}
	return cases
}

// controlCases are on control frames by themselves.
func controlCases() []rfcCase {
	var cases []rfcCase
	for _, op := range []websocket.Opcode{websocket.OpClose, websocket.OpPing, websocket.OpPong} {
		long := "\x03\xe8" + letters(1000)
		for name, f := range map[string]rawFrame{
			"fragmented":                  {op: op, more: true, data: "\x03\xe8"},
			"fragmented and empty":        {op: op, more: true},
			"of 126 bytes":                {op: op, data: long[:126]},
			"of 127 bytes":                {op: op, data: long[:127]},
			"of 1,000 bytes":              {op: op, data: long[:1000]},
			"that announces 65,536 bytes": {op: op, claim: 65536},
		} {
			cases = append(cases, rfcCase{
				name: fmt.Sprintf("a %v %s", op, name), rfc: "RFC 6455 5.5", send: f.bytes(), fail: websocket.CloseProtocolError,
			}, rfcCase{
				name: fmt.Sprintf("a %v %s inside a message", op, name), rfc: "RFC 6455 5.5",
				send: append(rawFrame{op: websocket.OpBinary, more: true, data: "begin"}.bytes(), f.bytes()...), fail: websocket.CloseProtocolError,
			})
		}
	}
	for _, n := range []int{0, 1, 2, 124, 125} {
		cases = append(cases, rfcCase{
			name: fmt.Sprintf("a ping of %d bytes is answered with the same", n), rfc: "RFC 6455 5.5.2, 5.5.3",
			send: ping(octets(n)), want: []arrived{pong(octets(n))},
		}, rfcCase{
			name: fmt.Sprintf("a pong of %d bytes that nobody asked for is ignored", n), rfc: "RFC 6455 5.5.3",
			send: rawFrame{op: websocket.OpPong, data: octets(n)}.bytes(),
		})
	}
	return append(cases, rfcCase{
		name: "pings at once are answered in order, the last in any case", rfc: "RFC 6455 5.5.3", play: playPings,
	}, rfcCase{
		name: "a ping in two reads", rfc: "RFC 6455 5.5.2", play: func(w *wire) {
			b := ping(octets(125))
			for i := 1; i < len(b); i++ {
				w.deliver(b[:i])
				w.write(b[i:])
				w.expect(pong(octets(125)))
			}
		},
	}, rfcCase{
		name: "a ping in two reads inside a message in two reads", rfc: "RFC 6455 5.4, 5.5.2", play: func(w *wire) {
			b := ping("hello")
			for i := 1; i < len(b); i++ {
				w.deliver(rawFrame{op: websocket.OpText, more: true, data: "be"}.bytes())
				w.deliver(b[:i])
				w.write(b[i:])
				w.expect(pong("hello"))
				w.write(rawFrame{data: "gin"}.bytes())
				w.expect(message("begin"))
			}
		},
	})
}

// playPings sends many pings with one write. Only the last must be answered,
// but pongs come in order and each is for one of them.
func playPings(w *wire) {
	const pings = 50
	var b []byte
	for i := range pings {
		b = append(b, ping(letters(i))...)
	}
	w.write(b)
	for n := -1; n < pings-1; {
		got, err := w.next()
		if err != nil || got.op != websocket.OpPong || len(got.data) <= n || got.data != letters(len(got.data)) {
			w.t.Fatalf("got %s, %v, after the pong of %d bytes", brief(got), err, n)
		}
		n = len(got.data)
	}
	w.expectAlive()
}

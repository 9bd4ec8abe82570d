package conformance

import (
	"fmt"
	"strings"

	"github.com/sluicegate/sluice/transport/websocket"
)

// textCases are on RFC 6455 5.6 and 8.1: text messages are UTF-8 (RFC 3629).
func textCases() []rfcCase {
	return concat(goodText(), badText(), earlyText(), uncheckedCases())
}

// goodText has every valid form, cut at every byte.
func goodText() []rfcCase {
	var cases []rfcCase
	for name, data := range map[string]string{
		"ASCII":                         "Hello, world",
		"U+0000":                        "a\x00b",
		"U+007F":                        "a\x7fb",
		"U+0080, the first of 2 bytes":  "a\u0080b",
		"U+07FF, the last of 2 bytes":   "a\u07ffb",
		"U+0800, the first of 3 bytes":  "a\u0800b",
		"U+FFFF, the last of 3 bytes":   "a\uffffb",
		"U+FEFF":                        "\ufeffb",
		"U+FFFE":                        "a\ufffeb",
		"U+D7FF, before the surrogates": "a\ud7ffb",
		"U+E000, after the surrogates":  "a\ue000b",
		"U+10000, the first of 4 bytes": "a\U00010000b",
		"U+3FFFF":                       "a\U0003ffffb",
		"U+10FFFF, the last of all":     "a\U0010ffffb",
		"nothing but 4 bytes":           "\U0001f600",
		"all lengths in a row":          "\u00e9\u20ac\U0001f600x\U0001f600\u20ac\u00e9",
		"Greek":                         "\u03ba\u1f79\u03c3\u03bc\u03b5",
	} {
		cases = append(cases, rfcCase{name: "valid: " + name, rfc: "RFC 6455 5.6, RFC 3629 3", play: func(w *wire) {
			w.write(text(data))
			w.expect(message(data))
			w.write(join(fragmented(websocket.OpText, strings.Split(data, "")...)...))
			w.expect(message(data))
			w.write(join(fragmented(websocket.OpText, eachByte(data)...)...))
			w.expect(message(data))
			for i := range len(data) + 1 {
				w.write(join(fragmented(websocket.OpText, data[:i], data[i:])...))
				w.expect(message(data))
				w.write(join(fragmented(websocket.OpText, data[:i], "", data[i:])...))
				w.expect(message(data))
			}
			b := text(data)
			for i := 1; i < len(b); i++ {
				w.deliver(b[:i])
				w.write(b[i:])
				w.expect(message(data))
			}
			w.expectAlive()
		}})
	}
	return append(cases, rfcCase{
		name: "valid: a ping between the bytes of a character", rfc: "RFC 6455 5.4, 5.6", play: func(w *wire) {
			for i, f := range fragmented(websocket.OpText, eachByte("\U0001f600\u20ac")...) {
				if i > 0 {
					w.deliver(nil)
				}
				w.write(f.bytes())
			}
			w.expect(message("\U0001f600\u20ac"))
		},
	}, rfcCase{
		name: "valid: a character cut at byte 65,535", rfc: "RFC 6455 5.6", play: func(w *wire) {
			data := letters(65533) + "\U0001f600" + letters(100)
			w.write(join(fragmented(websocket.OpText, data[:65535], data[65535:])...))
			w.expect(message(data))
		},
	})
}

func eachByte(data string) []string {
	pieces := make([]string, len(data))
	for i := range pieces {
		pieces[i] = data[i : i+1]
	}
	return pieces
}

// invalidText is what RFC 3629 does not allow. What comes before bad is valid.
func invalidText() map[string]struct{ bad, after string } {
	return map[string]struct{ bad, after string }{
		"a continuation byte alone":                   {"\x80", "b"},
		"the last continuation byte alone":            {"\xbf", "b"},
		"two continuation bytes":                      {"\x80\xbf", "b"},
		"C0, an overlong NUL":                         {"\xc0\x80", "b"},
		"C1, an overlong letter":                      {"\xc1\xbf", "b"},
		"an overlong slash of 3 bytes":                {"\xe0\x80\xaf", "b"},
		"the last overlong of 3 bytes":                {"\xe0\x9f\xbf", "b"},
		"an overlong slash of 4 bytes":                {"\xf0\x80\x80\xaf", "b"},
		"the last overlong of 4 bytes":                {"\xf0\x8f\xbf\xbf", "b"},
		"the first surrogate":                         {"\xed\xa0\x80", "b"},
		"the last surrogate":                          {"\xed\xbf\xbf", "b"},
		"a pair of surrogates":                        {"\xed\xa0\xbd\xed\xb8\x80", "b"},
		"U+110000":                                    {"\xf4\x90\x80\x80", "b"},
		"F5":                                          {"\xf5\x80\x80\x80", "b"},
		"F7":                                          {"\xf7\xbf\xbf\xbf", "b"},
		"a form of 5 bytes":                           {"\xf8\x88\x80\x80\x80", "b"},
		"a form of 6 bytes":                           {"\xfc\x84\x80\x80\x80\x80", "b"},
		"FE":                                          {"\xfe", "b"},
		"FF":                                          {"\xff", "b"},
		"2 bytes cut by a letter":                     {"\xc3a", "b"},
		"2 bytes cut by 2 bytes":                      {"\xc3\xc3\xa9", "b"},
		"3 bytes cut after one":                       {"\xe2b", "b"},
		"3 bytes cut after two":                       {"\xe2\x82b", "b"},
		"4 bytes cut after three":                     {"\xf0\x9f\x98b", "b"},
		"4 bytes cut by 3 bytes":                      {"\xf0\x9f\xe2\x82\xac", "b"},
		"2 bytes cut by the end of the message":       {"\xc3", ""},
		"3 bytes cut by the end of the message":       {"\xe2\x82", ""},
		"4 bytes cut by the end after one":            {"\xf0", ""},
		"4 bytes cut by the end after two":            {"\xf0\x9f", ""},
		"4 bytes cut by the end after three":          {"\xf0\x9f\x98", ""},
		"a continuation byte too many behind 2 bytes": {"\xc3\xa9\xa9", "b"},
		"a continuation byte too many behind 4 bytes": {"\xf0\x9f\x98\x80\x80", "b"},
	}
}

// badText has every invalid form, whole and cut at every byte.
func badText() []rfcCase {
	var cases []rfcCase
	for name, tc := range invalidText() {
		data := "ok\u00e9" + tc.bad + tc.after
		refused := func(name string, play func(w *wire)) {
			cases = append(cases, rfcCase{name: name, rfc: "RFC 6455 8.1, 7.4.1", play: play})
		}
		refused("invalid: "+name, func(w *wire) {
			w.write(text(data))
			w.expectFailure(websocket.CloseInvalidPayload)
		})
		refused("invalid: "+name+", cut into two fragments", func(w *wire) {
			for i := range len(data) + 1 {
				w := w.another()
				w.write(join(fragmented(websocket.OpText, data[:i], data[i:])...))
				w.expectFailure(websocket.CloseInvalidPayload)
			}
		})
		refused("invalid: "+name+", each byte a fragment", func(w *wire) {
			w.write(join(fragmented(websocket.OpText, eachByte(data)...)...))
			w.expectFailure(websocket.CloseInvalidPayload)
		})
		refused("invalid: "+name+", in two reads", func(w *wire) {
			b := text(data)
			for i := len(b) - len(data); i < len(b); i++ {
				w := w.another()
				w.deliver(b[:i])
				// A gateway that knows already may be gone.
				_, _ = w.conn.Write(b[i:])
				w.expectFailure(websocket.CloseInvalidPayload)
			}
		})
	}
	return cases
}

// earlyText has text refused with its first wrong byte: what is still missing
// is never sent.
func earlyText() []rfcCase {
	var cases []rfcCase
	for _, bad := range []string{
		"\x80", "\xc0", "\xc1", "\xf5", "\xff", "\xc3a", "\xe0\x80", "\xe0\x9f", "\xed\xa0", "\xed\xbf",
		"\xf0\x80", "\xf0\x8f", "\xf4\x90", "\xe2\x82a", "\xf0\x9f\x98a",
	} {
		early := func(name string, send []byte) {
			cases = append(cases, rfcCase{
				name: fmt.Sprintf("early: % x %s", bad, name), rfc: "RFC 6455 8.1, 7.4.1",
				send: send, fail: websocket.CloseInvalidPayload,
			})
		}
		early("in a first fragment", rawFrame{op: websocket.OpText, more: true, data: "ok" + bad}.bytes())
		early("in a later fragment", join(
			rawFrame{op: websocket.OpText, more: true, data: "ok"}, rawFrame{more: true}, rawFrame{more: true, data: bad}))
		early("in the middle of a frame", rawFrame{op: websocket.OpText, data: "ok" + bad, claim: 1000}.bytes())
		if n := len(bad) - 1; n > 0 {
			early("over two fragments", join(
				rawFrame{op: websocket.OpText, more: true, data: "ok" + bad[:n]}, rawFrame{more: true, data: bad[n:]}))
			early("over a fragment and the middle of the next", join(
				rawFrame{op: websocket.OpText, more: true, data: "ok" + bad[:n]}, rawFrame{data: bad[n:], claim: 1000}))
		}
	}
	return cases
}

// uncheckedCases send the same bytes where they need not be UTF-8.
func uncheckedCases() []rfcCase {
	var cases []rfcCase
	for name, tc := range invalidText() {
		data := "ok" + tc.bad + tc.after
		cases = append(cases, rfcCase{name: "binary: " + name, rfc: "RFC 6455 5.6", on: onBinary, play: func(w *wire) {
			w.write(binary(data))
			w.expect(message(data))
			for i := range len(data) + 1 {
				w.write(join(fragmented(websocket.OpBinary, data[:i], data[i:])...))
				w.expect(message(data))
			}
			w.write(ping(data))
			w.expect(pong(data))
			w.expectAlive()
		}})
	}
	return cases
}

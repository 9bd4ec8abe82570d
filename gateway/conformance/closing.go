package conformance

import (
	"fmt"
	"strings"

	"github.com/sluicegate/sluice/transport/websocket"
)

// closingCases are on RFC 6455 5.5.1 and 7: close frames and the end.
func closingCases() []rfcCase {
	return concat(goodCloses(), badCloses(), closingOrder(), closesByGateway())
}

// closing is a close frame. The code goes through whatever it is.
func closing(code int, reason string) rawFrame {
	return rawFrame{op: websocket.OpClose, data: string([]byte{byte(code >> 8), byte(code)}) + reason}
}

// answered sees the gateway's close frame, with the same code and reason, and
// then the end.
func (w *wire) answered(code int, reason string) {
	w.t.Helper()
	w.expect(closed(closing(code, reason).data))
	w.expectEnd()
}

// goodCloses are codes and reasons that a close frame may carry.
func goodCloses() []rfcCase {
	var cases []rfcCase
	good := func(name, rfc string, code int, reason string) {
		cases = append(cases, rfcCase{name: name, rfc: rfc, play: func(w *wire) {
			w.write(closing(code, reason).bytes())
			w.answered(code, reason)
		}})
	}
	for _, code := range []int{
		1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3001, 3999, 4000, 4001, 4999,
	} {
		good(fmt.Sprintf("code %d", code), "RFC 6455 7.4", code, "")
		good(fmt.Sprintf("code %d with a reason", code), "RFC 6455 5.5.1, 7.4", code, "because")
	}
	good("a reason of 123 bytes", "RFC 6455 5.5", 1000, letters(123))
	good("a reason of all lengths of characters", "RFC 6455 5.5.1", 1000, "a\u00e9\u20ac\U0001f600")
	good("a reason with a NUL", "RFC 6455 5.5.1", 1000, "a\x00b")
	return append(cases, rfcCase{
		name: "an empty close is answered with an empty one or 1000", rfc: "RFC 6455 5.5.1, 7.1.5", play: func(w *wire) {
			w.write(rawFrame{op: websocket.OpClose}.bytes())
			got, err := w.next()
			if err != nil || got.op != websocket.OpClose || got.data != "" && !strings.HasPrefix(got.data, "\x03\xe8") {
				w.t.Fatalf("got %s, %v", brief(got), err)
			}
			w.expectEnd()
		},
	}, rfcCase{
		name: "a close in two reads", rfc: "RFC 6455 5.5.1", play: func(w *wire) {
			f := closing(4321, "in two reads")
			b := f.bytes()
			for i := 1; i < len(b); i++ {
				w := w.another()
				w.deliver(b[:i])
				w.write(b[i:])
				w.answered(4321, "in two reads")
			}
		},
	})
}

func badCloses() []rfcCase {
	var cases []rfcCase
	bad := func(name, rfc, data string, code int) {
		cases = append(cases, rfcCase{name: name, rfc: rfc, send: rawFrame{op: websocket.OpClose, data: data}.bytes(), fail: code})
	}
	for _, code := range []int{
		0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1017, 1099, 1100, 1999, 2000, 2001, 2998, 2999, 5000, 5001, 9999, 32768, 65535,
	} {
		bad(fmt.Sprintf("code %d", code), "RFC 6455 7.4.1, 7.4.2", closing(code, "").data, websocket.CloseProtocolError)
		bad(fmt.Sprintf("code %d with a reason", code), "RFC 6455 7.4.1, 7.4.2", closing(code, "because").data, websocket.CloseProtocolError)
	}
	bad("a payload of one byte", "RFC 6455 5.5.1", "\x03", websocket.CloseProtocolError)
	// Section 8.1 fails the connection; the code for it is that of 7.4.1.
	for name, reason := range map[string]string{
		"cannot begin a character":  "ok \xff",
		"is cut off":                "ok \xe2\x82",
		"has a surrogate":           "ok \xed\xa0\x80",
		"has an overlong character": "ok \xc0\xaf",
		"is beyond U+10FFFF":        "ok \xf4\x90\x80\x80",
	} {
		bad("a reason that "+name, "RFC 6455 5.5.1, 8.1, 7.4.1", closing(1000, reason).data, websocket.CloseInvalidPayload)
	}
	bad("a bad code goes before a bad reason", "RFC 6455 7.4.1", closing(1005, "\xff").data, websocket.CloseProtocolError)
	return cases
}

// closingOrder is on what stands before and after a client's close frame.
func closingOrder() []rfcCase {
	bye := closing(1000, "bye")
	after := func(name, rfc string, behind ...rawFrame) rfcCase {
		return rfcCase{name: name, rfc: rfc, play: func(w *wire) {
			w.write(join(append([]rawFrame{bye}, behind...)...))
			w.answered(1000, "bye")
		}}
	}
	return []rfcCase{
		after("a message after the close is ignored", "RFC 6455 5.5.1", rawFrame{op: websocket.OpText, data: "late"}),
		after("a ping after the close is ignored", "RFC 6455 5.5.1", rawFrame{op: websocket.OpPing, data: "late"}),
		after("a second close is ignored", "RFC 6455 5.5.1", closing(1001, "again")),
		after("a wrong frame after the close is ignored", "RFC 6455 1.4, 5.5.1", rawFrame{op: 15, rsv: 7, bare: true, data: "wrong"}),
		{name: "a close inside a fragmented message", rfc: "RFC 6455 5.4, 5.5.1", play: func(w *wire) {
			w.write(join(rawFrame{op: websocket.OpText, more: true, data: "never ended"}, bye))
			w.answered(1000, "bye")
		}},
		{name: "a message that ends after the close is ignored", rfc: "RFC 6455 5.4, 5.5.1", play: func(w *wire) {
			w.write(join(rawFrame{op: websocket.OpText, more: true, data: "too "}, bye, rawFrame{data: "late"}))
			w.answered(1000, "bye")
		}},
		{name: "a close inside a compressed fragmented message", rfc: "RFC 7692 6.1", offer: deflateName, play: func(w *wire) {
			w.write(join(rawFrame{op: websocket.OpText, rsv: 4, more: true, data: "\xf2\x48"}, bye))
			w.answered(1000, "bye")
		}},
		{name: "what was answered before the close comes before its answer", rfc: "RFC 6455 5.5.1", play: func(w *wire) {
			w.write(append(ping("one"), bye.bytes()...))
			w.expect(pong("one"))
			w.answered(1000, "bye")
		}},
		{name: "a close after messages", rfc: "RFC 6455 7.1.2", play: func(w *wire) {
			for range 3 {
				w.write(text("hello"))
				w.expect(message("hello"))
			}
			w.write(bye.bytes())
			w.answered(1000, "bye")
		}},
		{name: "a close at once", rfc: "RFC 6455 7.1.2", play: func(w *wire) {
			w.write(bye.bytes())
			w.answered(1000, "bye")
			w.stage.check(w.t)
		}},
	}
}

// closesByGateway have the gateway begin the end.
func closesByGateway() []rfcCase {
	begun := closing(websocket.ClosePolicyViolation, "forceOffline")
	play := func(name, rfc string, answer ...rawFrame) rfcCase {
		return rfcCase{name: name, rfc: rfc, play: func(w *wire) {
			w.write(text(orderOffline))
			w.expect(closed(begun.data))
			w.write(join(answer...))
			w.expectEnd()
			w.stage.check(w.t)
		}}
	}
	unanswered := func(name string, rfc string, sent ...rawFrame) rfcCase {
		return rfcCase{name: name, rfc: rfc, play: func(w *wire) {
			w.write(text(orderOffline))
			w.expectFailure(websocket.ClosePolicyViolation)
			// A gateway may be gone by now.
			_, _ = w.conn.Write(join(sent...))
		}}
	}
	return []rfcCase{
		play("the gateway closes, the client answers", "RFC 6455 5.5.1, 7.1.1", begun),
		play("the gateway closes, the client answers with another code", "RFC 6455 5.5.1", closing(1000, "all right")),
		play("the gateway closes, the client answers with an empty close", "RFC 6455 5.5.1", rawFrame{op: websocket.OpClose}),
		play("the gateway closes, messages and pings come before the answer", "RFC 6455 5.5.1",
			rawFrame{op: websocket.OpText, data: "late"}, rawFrame{op: websocket.OpPing, data: "late"},
			rawFrame{op: websocket.OpBinary, more: true}, rawFrame{data: "later"}, begun),
		play("the gateway closes inside the client's message", "RFC 6455 5.5.1",
			rawFrame{op: websocket.OpBinary, more: true, data: "never ended"}, begun),
		unanswered("the gateway closes, the client sends on and does not answer", "RFC 6455 5.5.1, 7.1.1",
			rawFrame{op: websocket.OpText, data: "late"}, rawFrame{op: websocket.OpPing, data: "late"}),
		unanswered("the gateway closes, the client sends what is wrong", "RFC 6455 7.1.7", rawFrame{op: 15, rsv: 7}),
		{name: "both close at once: one close frame each", rfc: "RFC 6455 5.5.1, 7.1.5", play: func(w *wire) {
			w.write(append(text(orderOffline), closing(1000, "bye").bytes()...))
			got, err := w.next()
			if err != nil || got.op != websocket.OpClose || got.data != begun.data && got.data != closing(1000, "bye").data {
				w.t.Fatalf("got %s, %v", brief(got), err)
			}
			w.expectEnd()
		}},
	}
}

package conformance

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/sluicegate/sluice/internal/wsclient"
	"github.com/sluicegate/sluice/transport/websocket"
)

// A verdict is what may come of an offer.
type verdict uint8

const (
	refused  verdict = iota // it does not follow the grammar, which fails the handshake
	declined                // it is wrong: no extension
	either                  // the gateway may decline, or answer rightly
	agreed                  // a gateway that compresses agrees
)

// An offered is an offer of extensions, and what is in it.
type offered struct {
	lines   []string // of Sec-WebSocket-Extensions
	verdict verdict
	// What the offer that may be taken up has in it.
	serverTakeover bool // server_no_context_takeover
	serverBits     int  // server_max_window_bits
	clientBits     int  // client_max_window_bits, 15 if it has no value
}

func one(verdict verdict, parameters string) offered {
	line := deflateName
	if parameters != "" {
		line += "; " + parameters
	}
	return offered{lines: []string{line}, verdict: verdict}
}

// offers is the table: RFC 7692 5 and 7.1, RFC 6455 9.1.
func offers() []offered {
	const serverOff, clientOff = "server_no_context_takeover", "client_no_context_takeover"
	all := []offered{
		one(agreed, ""),
		one(agreed, clientOff),
		one(declined, clientOff+"=true"),
		one(declined, serverOff+"=1"),
		one(declined, clientOff+"; "+clientOff),
		one(declined, serverOff+"; "+serverOff),
		one(declined, "client_max_window_bits; client_max_window_bits=10"),
		one(declined, "server_max_window_bits=15; server_max_window_bits=15"),
		one(declined, "server_max_window_bits"),
		one(declined, "unknown"),
		one(declined, "unknown=1"),
		one(declined, clientOff+"; unknown"),
		one(refused, "="),
		{lines: []string{"permessage-deflate;"}, verdict: refused},
		{lines: []string{"permessage-deflate client_no_context_takeover"}, verdict: refused},
		{lines: []string{"permessage-deflate, @"}, verdict: refused},
		{lines: []string{"permessage-deflate", "x-other; a=@"}, verdict: refused},
		one(refused, `client_max_window_bits="`),
		one(refused, `client_max_window_bits=""`),
		{lines: []string{"permessage-deflat"}, verdict: declined},
		{lines: []string{"permessage-deflate2"}, verdict: declined},
		{lines: []string{"x-webkit-deflate-frame"}, verdict: declined},
		{lines: []string{"x-other; permessage-deflate"}, verdict: declined},
		{lines: []string{"x-other; a=permessage-deflate"}, verdict: declined},
		{lines: []string{"x-other=permessage-deflate"}, verdict: refused},
		{lines: []string{`x-other; a="not, a token", permessage-deflate`}, verdict: refused},
		{lines: []string{"x-other, permessage-deflate"}, verdict: agreed},
		{lines: []string{"x-other; client_max_window_bits=99, permessage-deflate"}, verdict: agreed},
		{lines: []string{"x-other", "permessage-deflate"}, verdict: agreed},
		{lines: []string{"permessage-deflate, x-other; a=1"}, verdict: agreed},
		{lines: []string{"permessage-deflate; unknown, permessage-deflate"}, verdict: agreed},
		{lines: []string{"permessage-deflate; unknown", "permessage-deflate"}, verdict: agreed},
		{lines: []string{"permessage-deflate, permessage-deflate; server_no_context_takeover"}, verdict: agreed},
		{lines: []string{"permessage-deflate;server_no_context_takeover;client_no_context_takeover"}, verdict: agreed, serverTakeover: true},
		{lines: []string{" permessage-deflate \t;  client_no_context_takeover "}, verdict: agreed},
	}
	add := func(o offered, change func(o *offered)) {
		change(&o)
		all = append(all, o)
	}
	add(one(agreed, serverOff), func(o *offered) { o.serverTakeover = true })
	add(one(agreed, clientOff+"; "+serverOff), func(o *offered) { o.serverTakeover = true })
	add(one(agreed, "client_max_window_bits"), func(o *offered) { o.clientBits = 15 })
	add(one(agreed, `client_max_window_bits="12"`), func(o *offered) { o.clientBits = 12 })
	for bits := 8; bits <= 15; bits++ {
		add(one(agreed, fmt.Sprint("client_max_window_bits=", bits)), func(o *offered) { o.clientBits = bits })
		add(one(either, fmt.Sprint("server_max_window_bits=", bits)), func(o *offered) { o.serverBits = bits })
		add(one(either, fmt.Sprintf("server_max_window_bits=%q; client_max_window_bits", strconv.Itoa(bits))), func(o *offered) {
			o.serverBits, o.clientBits = bits, 15
		})
	}
	for _, value := range []string{"0", "1", "7", "16", "99", "08", "+9", "9.0", "-9", "abc", "0x9", "9999999999999999999999"} {
		all = append(all, one(declined, "client_max_window_bits="+value), one(declined, "server_max_window_bits="+value))
	}
	return all
}

// offerCases are on the negotiation: what comes back is right for the offer,
// and holds for what is sent.
func offerCases() []rfcCase {
	var cases []rfcCase
	for _, o := range offers() {
		name := strings.ReplaceAll(strings.Join(o.lines, " | "), deflateName, "p-d")
		cases = append(cases,
			rfcCase{name: "offer " + name, rfc: "RFC 7692 5.1, 7.1, RFC 6455 9.1", play: o.play},
			rfcCase{name: "offer to a gateway without compression " + name, rfc: "RFC 6455 9.1", on: onPlain, play: func(w *wire) {
				o.verdict = min(o.verdict, declined)
				o.play(w)
			}})
	}
	return cases
}

func (o offered) play(w *wire) {
	if o.verdict == refused {
		w = w.stage.dial(w.t)
		key := wsclient.Key()
		w.write(w.request(o.lines...).Append(nil, key))
		_, err := wsclient.ReadAnswer(w.conn, key, true)
		if r := (*wsclient.RefusedError)(nil); !errors.As(err, &r) || r.Response.StatusCode != http.StatusBadRequest {
			w.t.Fatalf("offer %q: %v, want a 400", o.lines, err)
		}
		return
	}
	w = w.another(o.lines...)
	lines := w.c.Response.Header["Sec-Websocket-Extensions"]
	if len(lines) == 0 {
		if o.verdict == agreed {
			w.t.Fatalf("offer %q declined", o.lines)
		}
		w.write(deflated(websocket.OpText, helloFixed).bytes())
		w.expectFailure(websocket.CloseProtocolError)
		return
	}
	if why := o.judge(lines); why != "" {
		w.t.Fatalf("offer %q answered with %q: %s", o.lines, lines, why)
	}
	w.write(append(deflated(websocket.OpText, helloFixed).bytes(), text(helloPlain)...))
	w.expect(message("Hello"), message(helloPlain))
	w.expectAlive()
}

// judge says what is wrong with the gateway's answer to o (RFC 7692 7.1).
func (o offered) judge(lines []string) string {
	if o.verdict == declined {
		return "it must be declined"
	}
	if len(lines) != 1 || strings.Contains(lines[0], ",") {
		return "more than one extension"
	}
	name, parameters, _ := strings.Cut(lines[0], ";")
	if strings.TrimSpace(name) != deflateName {
		return "another extension"
	}
	seen := make(map[string]string)
	for parameters != "" {
		var p string
		p, parameters, _ = strings.Cut(parameters, ";")
		key, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if _, twice := seen[key]; twice {
			return key + " twice"
		}
		seen[key] = value
		bits, err := strconv.Atoi(value)
		window := err == nil && bits >= 8 && bits <= 15 && value[0] != '0'
		switch key {
		case "server_no_context_takeover", "client_no_context_takeover":
			if value != "" {
				return key + " with a value"
			}
		case "server_max_window_bits":
			if !window || o.serverBits != 0 && bits > o.serverBits {
				return "a window of the gateway's that is larger than offered, or none"
			}
		case "client_max_window_bits":
			if !window || bits > o.clientBits {
				return "a window of the client's that is larger than offered, or none"
			}
		default:
			return "an unknown parameter"
		}
	}
	if _, ok := seen["server_no_context_takeover"]; o.serverTakeover && !ok {
		return "server_no_context_takeover is missing (7.1.1.1)"
	}
	if _, ok := seen["server_max_window_bits"]; o.serverBits != 0 && !ok {
		return "server_max_window_bits is missing (7.1.2.1)"
	}
	return ""
}

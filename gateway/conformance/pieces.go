package conformance

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicegate/sluice/internal/wsclient"
	"github.com/sluicegate/sluice/transport/websocket"
)

// pieceCases are on a stream that may come and go in any pieces (RFC 6455 1.3
// and 5.2 know frames, not segments).
func pieceCases() []rfcCase { return concat(newSession().inPieces(), atASip()) }

// A step is what a client sends, and what comes of it.
type step struct {
	send []byte
	want []arrived
}

// A session is a bit of everything that may follow a handshake, but for the
// close.
type session []step

func newSession() session {
	steps := session{
		{send: text("h\u00e9llo")},
		{send: binary("binary")},
		{send: rawFrame{op: websocket.OpText, more: true, data: "in \xe2"}.bytes()},
		{send: ping("between"), want: []arrived{pong("between")}},
		{send: rawFrame{more: true}.bytes()},
		{send: rawFrame{data: "\x82\xac parts"}.bytes(), want: []arrived{message("in \u20ac parts")}},
		{send: rawFrame{op: websocket.OpPong}.bytes()},
		{send: ping(""), want: []arrived{pong("")}},
		{send: deflated(websocket.OpText, helloTwo).bytes(), want: []arrived{message("Hello")}},
		{send: deflated(websocket.OpText, string(wsclient.Deflate([]byte(letters(400))))).bytes(), want: []arrived{message(letters(400))}},
		{send: text(letters(126)), want: []arrived{message(letters(126))}},
	}
	steps[0].want = []arrived{message("h\u00e9llo")}
	steps[1].want = []arrived{message("binary")}
	for _, f := range deflatedIn(websocket.OpBinary, helloFixed[:3], helloFixed[3:]) {
		steps = append(steps, step{send: f.bytes()})
	}
	steps[len(steps)-1].want = []arrived{message("Hello")}
	return steps
}

// script is all that a client sends, the handshake first. due[i] bytes of it
// must be sent before the answer to its part i comes.
func (steps session) script(w *wire, key string) (all []byte, due []int) {
	all = w.request(deflateName).Append(nil, key)
	due = []int{len(all)}
	for _, s := range steps {
		all = append(all, s.send...)
		due = append(due, len(all))
	}
	return all, due
}

// play plays the session on a connection like w, and then the close, in the
// pieces that cut makes of what is sent. What has been sent whole is answered
// before the next piece, if inTurn says so: the gateway then reads the pieces
// one by one.
func (steps session) play(w *wire, inTurn bool, cut func(all []byte) [][]byte) {
	w.t.Helper()
	w = w.stage.dial(w.t)
	key := wsclient.Key()
	all, due := steps.script(w, key)
	sent, done := 0, 0
	for _, piece := range cut(all) {
		w.write(piece)
		sent += len(piece)
		if !inTurn && sent < len(all) {
			continue
		}
		var want []arrived
		for ; done < len(due) && due[done] <= sent; done++ {
			if done == 0 {
				w.opened(key, true)
			} else {
				want = append(want, steps[done-1].want...)
			}
		}
		w.expect(want...)
	}
	if !w.c.Deflate {
		w.t.Fatal("compression was not agreed")
	}
	for _, piece := range cut(closing(1000, "bye").bytes()) {
		w.write(piece)
	}
	w.answered(1000, "bye")
}

// in cuts what is sent into pieces of size bytes.
func in(size int) func(all []byte) [][]byte {
	return func(all []byte) [][]byte { return slices.Collect(slices.Chunk(all, size)) }
}

// halves cuts what is sent at byte at, or what is shorter somewhere else.
func halves(at int) func(all []byte) [][]byte {
	return func(all []byte) [][]byte {
		i := 1 + (at-1)%(len(all)-1)
		return [][]byte{all[:i], all[i:]}
	}
}

// inPieces sends a session in two pieces, cut at every byte, and in many.
func (steps session) inPieces() []rfcCase {
	const rfc, share = "RFC 6455 4.2.1, 5.2", 16
	var cases []rfcCase
	for first := range share {
		cases = append(cases, rfcCase{
			name: fmt.Sprintf("a session in two pieces, cut at byte %d and every %dth on", first+1, share), rfc: rfc,
			play: func(w *wire) {
				all, _ := steps.script(w, wsclient.Key())
				for at := first + 1; at < len(all); at += share {
					steps.play(w, true, halves(at))
				}
			},
		})
	}
	for _, size := range []int{1, 2, 3, 7, 64, 1 << 20} {
		cases = append(cases, rfcCase{name: fmt.Sprintf("a session in pieces of %d bytes", size), rfc: rfc, play: func(w *wire) {
			steps.play(w, false, in(size))
		}}, rfcCase{name: fmt.Sprintf("a session in pieces of %d bytes, each when the last was answered", size), rfc: rfc, play: func(w *wire) {
			steps.play(w, true, in(size))
		}})
	}
	return append(cases, rfcCase{name: "a session and its close in a single write", rfc: rfc, play: steps.playAtOnce})
}

// playAtOnce sends everything with one write. A close may overtake messages
// that the Router has only begun to send, but not pongs, and nothing comes
// twice, in another order or behind it.
func (steps session) playAtOnce(w *wire) {
	w = w.stage.dial(w.t)
	key := wsclient.Key()
	all, _ := steps.script(w, key)
	var messages, pongs []arrived
	for _, s := range steps {
		for _, a := range s.want {
			if a.op == websocket.OpPong {
				pongs = append(pongs, a)
			} else {
				messages = append(messages, a)
			}
		}
	}
	bye := closing(1000, "bye")
	w.write(append(all, bye.bytes()...))
	w.opened(key, true)
	for {
		got, err := w.next()
		if err != nil {
			w.t.Fatalf("read: %v", err)
		}
		if got.op == websocket.OpClose {
			w.same(got, closed(bye.data))
			break
		}
		due := &messages
		if got.op == websocket.OpPong {
			due = &pongs
		}
		for len(*due) > 0 && (*due)[0].data != got.data {
			*due = (*due)[1:]
		}
		if len(*due) == 0 {
			w.t.Fatalf("got %s, which is not due", brief(got))
		}
		*due = (*due)[1:]
	}
	if len(pongs) > 0 {
		w.t.Fatalf("the close came before %s", brief(pongs[0]))
	}
	w.expectEnd()
}

// atASip has clients that take what they are sent little by little, so that the
// gateway's writes go through in parts.
func atASip() []rfcCase {
	var cases []rfcCase
	for _, offer := range []string{"", deflateName} {
		how := "plain"
		if offer != "" {
			how = "compressed"
		}
		for _, tc := range []struct {
			name     string
			sizes    []int // of the reads, in turn
			size, of int   // of the messages, and their number
		}{
			{"byte by byte", []int{1}, 70000, 1},
			{"in odd sizes", []int{1, 2, 3, 5, 7, 11, 127, 1021, 4093, 16381}, 1 << 20, 1},
			{"in odd sizes", []int{65521, 1, 13, 509}, 300_000, 3},
		} {
			cases = append(cases, rfcCase{
				name: fmt.Sprintf("%d of %d bytes, %s, read %s", tc.of, tc.size, how, tc.name), rfc: "RFC 6455 5.2",
				play: func(w *wire) { w.sip(offer, tc.sizes, tc.size, tc.of) },
			})
		}
	}
	return append(cases, rfcCase{
		name: "a message echoed while another is on its way out", rfc: "RFC 6455 5.2", play: func(w *wire) {
			big := letters(stageLimit)
			w.write(text(orderProse + strconv.Itoa(1<<20)))
			w.write(text(big))
			w.write(text(big))
			w.write(ping("behind"))
			w.expect(message(prose(1<<20)), message(big), message(big), pong("behind"))
		},
	})
}

// sip asks for several messages of size bytes of prose and reads at most so
// many bytes at a time as sizes say.
func (w *wire) sip(offer string, sizes []int, size, messages int) {
	s := w.stage
	w = s.dial(w.t)
	if c, ok := w.conn.(interface{ SetReadBuffer(bytes int) error }); ok {
		_ = c.SetReadBuffer(16 << 10) // a help only
	}
	w.conn = &sipping{Conn: w.conn, sizes: sizes}
	key := wsclient.Key()
	var offers []string
	if offer != "" {
		offers = []string{offer}
	}
	w.write(w.request(offers...).Append(nil, key))
	w.opened(key, offer != "")
	w.write([]byte(strings.Repeat(string(text(orderProse+strconv.Itoa(size))), messages)))
	data := prose(size)
	for range messages {
		got, err := w.next()
		if err != nil || got.data != data || got.op != s.op || got.deflated != (offer != "") {
			w.t.Fatalf("got %s, %v, compressed: %v", brief(got), err, got.deflated)
		}
	}
	w.expectAlive()
	w.write(closing(1000, "bye").bytes())
	w.answered(1000, "bye")
}

// sipping reads at most sizes bytes at a time, one after the other.
type sipping struct {
	net.Conn
	sizes []int
	next  int
}

func (c *sipping) Read(p []byte) (int, error) {
	n := min(len(p), c.sizes[c.next%len(c.sizes)])
	c.next++
	return c.Conn.Read(p[:n])
}

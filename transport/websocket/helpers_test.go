package websocket

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

var testMask = [4]byte{0x37, 0xfa, 0x21, 0x3d} // RFC 6455, section 5.7

// masked is a client frame with testMask.
func masked(fin bool, op Opcode, payload string) string {
	return string(AppendMaskedFrame(nil, fin, false, op, testMask, []byte(payload)))
}

func maskedRSV1(fin bool, op Opcode, payload string) string {
	return string(AppendMaskedFrame(nil, fin, true, op, testMask, []byte(payload)))
}

// event is what a Decoder made of some input: messages, then perhaps an error.
type event struct {
	op   Opcode
	data string
	code int // of a CloseError
}

func (e event) String() string {
	if e.code != 0 {
		return fmt.Sprintf("error %d", e.code)
	}
	if len(e.data) > 40 {
		return fmt.Sprintf("%v %q... (%d)", e.op, e.data[:40], len(e.data))
	}
	return fmt.Sprintf("%v %q", e.op, e.data)
}

func text(s string) event  { return event{op: OpText, data: s} }
func bin(s string) event   { return event{op: OpBinary, data: s} }
func ping(s string) event  { return event{op: OpPing, data: s} }
func fails(code int) event { return event{code: code} }

// feed gives d the pieces of input one after the other, as an engine would, and
// adds what comes out to events. It stops at an error.
func feed(t failer, d *Decoder, cfg *DecoderConfig, deflate bool, events []event, pieces ...[]byte) []event {
	t.Helper()
	for _, piece := range pieces {
		b := slices.Clone(piece) // Next overwrites it
		for {
			m, n, ok, err := d.Next(b, cfg, deflate)
			if n < 0 || n > len(b) {
				t.Fatalf("Next consumed %d of %d bytes", n, len(b))
			}
			if err != nil {
				var ce *CloseError
				if !errors.As(err, &ce) {
					t.Fatalf("error %T, want *CloseError", err)
				}
				_, _, ok, again := d.Next([]byte{0x81, 0x80, 0, 0, 0, 0}, cfg, deflate)
				if ok || again != err {
					t.Fatalf("after %v a dead Decoder returned %v, %v", err, ok, again)
				}
				if d.Buffered() != 0 {
					t.Fatalf("a dead Decoder holds %d bytes", d.Buffered())
				}
				return append(events, fails(ce.Code))
			}
			if !ok {
				if n != len(b) {
					t.Fatalf("no message, and %d of %d bytes consumed", n, len(b))
				}
				break
			}
			events = append(events, event{op: m.Op, data: string(m.Data)})
			b = b[n:]
		}
	}
	return events
}

// split cuts b into n-byte pieces.
func split(b []byte, n int) (pieces [][]byte) {
	for piece := range slices.Chunk(b, n) {
		pieces = append(pieces, piece)
	}
	return pieces
}

// checkFeed feeds input whole, byte by byte, in a few other sizes, and cut in
// two at each position if it is not long, and wants the same events each time.
func checkFeed(t *testing.T, input string, cfg *DecoderConfig, deflate bool, want []event) {
	t.Helper()
	in := []byte(input)
	check := func(how string, pieces ...[]byte) {
		t.Helper()
		got := feed(t, new(Decoder), cfg, deflate, nil, pieces...)
		if !slices.Equal(got, want) {
			t.Fatalf("fed %s:\ngot  %v\nwant %v", how, got, want)
		}
	}
	check("whole", in)
	check("byte by byte", split(in, 1)...)
	for _, n := range []int{2, 3, 7, 64} {
		check(fmt.Sprintf("%d bytes at a time", n), split(in, n)...)
	}
	if len(in) <= 1000 {
		for i := range len(in) + 1 {
			check(fmt.Sprintf("cut at %d", i), in[:i], in[i:])
		}
		return
	}
	for i := range 20 {
		check(fmt.Sprintf("cut at %d", i), in[:i], in[i:])
		check(fmt.Sprintf("cut at %d", len(in)-i), in[:len(in)-i], in[len(in)-i:])
	}
}

// failer is what feed needs of a test, a benchmark or a rapid check.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

package websocket

import (
	"bytes"
	"slices"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// Whatever messages a client sends, however it fragments them, whatever control
// frames go between and however the network cuts it all: what comes out is what
// went in.
func TestDecoderProperty(t *testing.T) {
	c, err := NewCompressor(1)
	if err != nil {
		t.Fatal(err)
	}
	cfg := &DecoderConfig{MaxMessage: 1 << 16, Inflater: new(Inflater)}
	rapid.Check(t, func(t *rapid.T) {
		var wire []byte
		var want []event
		deflate := rapid.Bool().Draw(t, "deflate")
		mask := func() (m [4]byte) {
			copy(m[:], rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "mask"))
			return m
		}
		control := func() {
			for range rapid.IntRange(0, 2).Draw(t, "controls") {
				op := rapid.SampledFrom([]Opcode{OpPing, OpPong}).Draw(t, "control")
				data := rapid.SliceOfN(rapid.Byte(), 0, MaxControlPayload).Draw(t, "control data")
				wire = AppendMaskedFrame(wire, true, false, op, mask(), data)
				want = append(want, event{op: op, data: string(data)})
			}
		}
		for range rapid.IntRange(0, 5).Draw(t, "messages") {
			op := rapid.SampledFrom([]Opcode{OpText, OpBinary}).Draw(t, "op")
			var data []byte
			if op == OpText {
				data = []byte(rapid.StringN(0, 200, -1).Draw(t, "text"))
			} else {
				data = rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "data")
				data = bytes.Repeat(data, rapid.SampledFrom([]int{1, 1, 1, 100}).Draw(t, "times"))
			}
			compressed := deflate && rapid.Bool().Draw(t, "compressed")
			payload := data
			if compressed {
				payload = c.AppendCompressed(nil, data)
			}
			first, rest := op, payload
			for range rapid.IntRange(0, 6).Draw(t, "fragments") {
				n := rapid.IntRange(0, len(rest)).Draw(t, "fragment")
				wire = AppendMaskedFrame(wire, false, compressed && first == op, first, mask(), rest[:n])
				rest, first = rest[n:], OpContinuation
				control()
			}
			wire = AppendMaskedFrame(wire, true, compressed && first == op, first, mask(), rest)
			want = append(want, event{op: op, data: string(data)})
			control()
		}
		var d Decoder
		var got []event
		for rest := wire; len(rest) > 0; {
			n := rapid.IntRange(1, max(1, min(len(rest), 2000))).Draw(t, "chunk")
			got = feed(t, &d, cfg, deflate, got, rest[:n])
			rest = rest[n:]
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got  %v\nwant %v", got, want)
		}
		if d != (Decoder{}) {
			t.Fatal("the Decoder holds memory at rest")
		}
	})
}

// utf8Check and the standard library agree on any bytes, however cut.
func TestUTF8CheckProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pieces := rapid.SliceOfN(rapid.OneOf(
			rapid.SliceOfN(rapid.Byte(), 0, 4),
			rapid.Map(rapid.StringN(0, 20, -1), func(s string) []byte { return []byte(s) }),
		), 0, 8).Draw(t, "pieces")
		all := slices.Concat(pieces...)
		for len(all) > 0 && rapid.Bool().Draw(t, "spoil") {
			all[rapid.IntRange(0, len(all)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		}
		var u utf8Check
		ok := true
		for rest := all; len(rest) > 0 && ok; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "cut")
			ok = u.feed(rest[:n])
			rest = rest[n:]
		}
		if got, want := ok && u.whole(), utf8.Valid(all); got != want {
			t.Fatalf("% x: %v, want %v", all, got, want)
		}
	})
}

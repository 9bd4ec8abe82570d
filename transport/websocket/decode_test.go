package websocket

import (
	"bytes"
	"strings"
	"testing"
	"unsafe"
)

func TestDecoderMessages(t *testing.T) {
	tests := []struct {
		name  string
		input string
		want  []event
	}{
		{"nothing", "", nil},
		{"RFC 6455 5.7 masked hello", "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", []event{text("Hello")}},
		{"empty text", masked(true, OpText, ""), []event{text("")}},
		{"binary that is no text", masked(true, OpBinary, "\xff\x00\xfe"), []event{bin("\xff\x00\xfe")}},
		{"length 125", masked(true, OpText, strings.Repeat("a", 125)), []event{text(strings.Repeat("a", 125))}},
		{"length 126", masked(true, OpText, strings.Repeat("b", 126)), []event{text(strings.Repeat("b", 126))}},
		{"length 127", masked(true, OpText, strings.Repeat("b", 127)), []event{text(strings.Repeat("b", 127))}},
		{"length 65535", masked(true, OpBinary, strings.Repeat("c", 65535)), []event{bin(strings.Repeat("c", 65535))}},
		{"length 65536", masked(true, OpBinary, strings.Repeat("d", 65536)), []event{bin(strings.Repeat("d", 65536))}},
		{"three messages", masked(true, OpText, "one") + masked(true, OpBinary, "two") + masked(true, OpText, "three"),
			[]event{text("one"), bin("two"), text("three")}},
		{"ping", masked(true, OpPing, "hello"), []event{ping("hello")}},
		{"empty ping", masked(true, OpPing, ""), []event{ping("")}},
		{"ping of 125", masked(true, OpPing, strings.Repeat("p", 125)), []event{ping(strings.Repeat("p", 125))}},
		{"pong", masked(true, OpPong, "x"), []event{{op: OpPong, data: "x"}}},
		{"close without payload", masked(true, OpClose, ""), []event{{op: OpClose}}},
		{"close with reason", masked(true, OpClose, "\x03\xe8bye"), []event{{op: OpClose, data: "\x03\xe8bye"}}},
		{"two fragments", masked(false, OpText, "Hel") + masked(true, OpContinuation, "lo"), []event{text("Hello")}},
		{"many fragments", masked(false, OpBinary, "a") + strings.Repeat(masked(false, OpContinuation, "bc"), 50) + masked(true, OpContinuation, ""),
			[]event{bin("a" + strings.Repeat("bc", 50))}},
		{"empty fragments", masked(false, OpText, "") + masked(false, OpContinuation, "") + masked(true, OpContinuation, ""), []event{text("")}},
		{"empty fragments around one", masked(false, OpText, "") + masked(false, OpContinuation, "x") + masked(true, OpContinuation, ""), []event{text("x")}},
		{"ping between fragments", masked(false, OpText, "Hel") + masked(true, OpPing, "?") + masked(true, OpContinuation, "lo"),
			[]event{ping("?"), text("Hello")}},
		{"all control frames between fragments", masked(false, OpText, "a") + masked(true, OpPong, "") + masked(true, OpPing, strings.Repeat("q", 125)) +
			masked(false, OpContinuation, "b") + masked(true, OpPing, "") + masked(true, OpContinuation, "c") + masked(true, OpText, "d"),
			[]event{{op: OpPong}, ping(strings.Repeat("q", 125)), ping(""), text("abc"), text("d")}},
		{"close between fragments", masked(false, OpText, "a") + masked(true, OpClose, "\x03\xe9"), []event{{op: OpClose, data: "\x03\xe9"}}},
		{"unfinished header", masked(true, OpText, "x") + "\x81", []event{text("x")}},
		{"unfinished payload", masked(true, OpText, "x") + masked(true, OpText, "yz")[:7], []event{text("x")}},
		{"unfinished message", masked(false, OpText, "x"), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { checkFeed(t, tt.input, &DecoderConfig{}, false, tt.want) })
	}
}

func TestDecoderProtocolErrors(t *testing.T) {
	const mask = "\x00\x00\x00\x00"
	tests := []struct {
		name    string
		input   string
		deflate bool
		code    int
	}{
		{"RSV1 without deflate", "\xc1\x80" + mask, false, 1002},
		{"RSV2", "\xa1\x80" + mask, true, 1002},
		{"RSV3", "\x91\x80" + mask, true, 1002},
		{"RSV1 and RSV2", "\xe1\x80" + mask, true, 1002},
		{"RSV1 on a continuation", maskedRSV1(false, OpText, "a") + maskedRSV1(true, OpContinuation, "b"), true, 1002},
		{"RSV1 on a continuation of plain text", masked(false, OpText, "a") + maskedRSV1(true, OpContinuation, "b"), true, 1002},
		{"RSV1 on a ping", maskedRSV1(true, OpPing, ""), true, 1002},
		{"RSV1 on a close", maskedRSV1(true, OpClose, ""), true, 1002},
		{"opcode 3", masked(true, 3, ""), false, 1002},
		{"opcode 4", masked(true, 4, ""), false, 1002},
		{"opcode 5", masked(true, 5, ""), false, 1002},
		{"opcode 6", masked(true, 6, ""), false, 1002},
		{"opcode 7", masked(true, 7, ""), false, 1002},
		{"opcode 11", masked(true, 11, ""), false, 1002},
		{"opcode 12", masked(true, 12, ""), false, 1002},
		{"opcode 13", masked(true, 13, ""), false, 1002},
		{"opcode 14", masked(true, 14, ""), false, 1002},
		{"opcode 15", masked(true, 15, ""), false, 1002},
		{"not masked", "\x81\x05Hello", false, 1002},
		{"ping not masked", "\x89\x00", false, 1002},
		{"empty and not masked", "\x81\x00", false, 1002},
		{"length 125 in 16 bits", "\x82\xfe\x00\x7d" + mask, false, 1002},
		{"length 0 in 16 bits", "\x82\xfe\x00\x00" + mask, false, 1002},
		{"length 65535 in 64 bits", "\x82\xff\x00\x00\x00\x00\x00\x00\xff\xff" + mask, false, 1002},
		{"length 1 in 64 bits", "\x82\xff\x00\x00\x00\x00\x00\x00\x00\x01" + mask, false, 1002},
		{"length with the top bit", "\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00" + mask, false, 1002},
		{"length all ones", "\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff" + mask, false, 1002},
		{"length of 63 bits", "\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff" + mask, false, 1009},
		{"continuation first", masked(true, OpContinuation, "x"), false, 1002},
		{"continuation after a whole message", masked(true, OpContinuation, "x"), false, 1002},
		{"text inside a message", masked(false, OpText, "a") + masked(true, OpText, "b"), false, 1002},
		{"binary inside a message", masked(false, OpText, "a") + masked(false, OpBinary, "b"), false, 1002},
		{"fragmented ping", masked(false, OpPing, ""), false, 1002},
		{"fragmented pong", masked(false, OpPong, ""), false, 1002},
		{"fragmented close", masked(false, OpClose, ""), false, 1002},
		{"ping of 126", masked(true, OpPing, strings.Repeat("p", 126)), false, 1002},
		{"pong of 126, header only", "\x8a\xfe", false, 1002},
		{"close of 64-bit length, header only", "\x88\xff", false, 1002},
		{"close of one byte", masked(true, OpClose, "\x03"), false, 1002},
		{"close of one byte, header only", "\x88\x81", false, 1002},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := &DecoderConfig{Inflater: new(Inflater)}
			checkFeed(t, tt.input, cfg, tt.deflate, []event{fails(tt.code)})
			before := masked(true, OpText, "fine")
			if len(tt.input) < 200 {
				checkFeed(t, before+tt.input, cfg, tt.deflate, []event{text("fine"), fails(tt.code)})
			}
		})
	}
}

func TestDecoderCloseCodes(t *testing.T) {
	valid := func(code int) bool { // as RFC 6455 7.4 and the IANA registry have it
		switch {
		case code >= 1000 && code <= 1003, code >= 1007 && code <= 1014, code >= 3000 && code <= 4999:
			return true
		}
		return false
	}
	for code := range 65536 {
		payload := string([]byte{byte(code >> 8), byte(code)})
		want := event{op: OpClose, data: payload}
		if !valid(code) {
			want = fails(1002)
		}
		got := feed(t, new(Decoder), &DecoderConfig{}, false, nil, []byte(masked(true, OpClose, payload)))
		if len(got) != 1 || got[0] != want {
			t.Fatalf("code %d: got %v, want %v", code, got, want)
		}
	}
	checkFeed(t, masked(true, OpClose, "\x03\xe8\xc3"), nil, false, []event{fails(1007)})
	checkFeed(t, masked(true, OpClose, "\x03\xed\xff"), nil, false, []event{fails(1002)})
	long := "\x03\xe8" + strings.Repeat("é", 61) + "x"
	checkFeed(t, masked(true, OpClose, long), nil, false, []event{{op: OpClose, data: long}})
}

func TestDecoderLimit(t *testing.T) {
	cfg := &DecoderConfig{MaxMessage: 10}
	ten, eleven := strings.Repeat("x", 10), strings.Repeat("x", 11)
	tests := []struct {
		name  string
		input string
		want  []event
	}{
		{"at the limit", masked(true, OpText, ten), []event{text(ten)}},
		{"above", masked(true, OpText, eleven), []event{fails(1009)}},
		{"above, header only", masked(true, OpText, eleven)[:2], []event{fails(1009)}},
		{"16-bit length, header only", "\x82\xfe\x00\x7e", []event{fails(1009)}},
		{"64-bit length, header only", "\x82\xff\x00\x00\x00\x00\x00\x01\x00\x00", []event{fails(1009)}},
		{"fragments at the limit", masked(false, OpText, ten[:4]) + masked(true, OpContinuation, ten[4:]), []event{text(ten)}},
		{"fragments above, header only", masked(false, OpText, ten[:4]) + masked(true, OpContinuation, eleven[4:])[:2], []event{fails(1009)}},
		{"empty fragment at the limit", masked(false, OpText, ten) + masked(true, OpContinuation, ""), []event{text(ten)}},
		{"control frames do not count", masked(false, OpText, ten) + masked(true, OpPing, eleven) + masked(true, OpContinuation, ""),
			[]event{ping(eleven), text(ten)}},
		{"messages do not add up", strings.Repeat(masked(true, OpText, ten), 2), []event{text(ten), text(ten)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { checkFeed(t, tt.input, cfg, false, tt.want) })
	}
	for _, cfg := range []*DecoderConfig{nil, {}, {MaxMessage: -1}} {
		got := feed(t, new(Decoder), cfg, false, nil, []byte("\x82\xff\x00\x00\x00\x00\x00\x10\x00\x01"))
		if len(got) != 1 || got[0] != fails(1009) {
			t.Errorf("default limit: got %v", got)
		}
		got = feed(t, new(Decoder), cfg, false, nil, []byte("\x82\xff\x00\x00\x00\x00\x00\x10\x00\x00"))
		if len(got) != 0 {
			t.Errorf("default limit: got %v", got)
		}
	}
}

// A header may announce the limit, memory follows what arrives.
func TestDecoderMemoryFollowsArrival(t *testing.T) {
	var d Decoder
	cfg := &DecoderConfig{MaxMessage: 1 << 20}
	frame := AppendMaskedFrame(nil, true, false, OpBinary, testMask, make([]byte, 1<<20))
	sent := 0
	for _, piece := range split(frame[:1<<20], 1000) {
		if _, _, ok, err := d.Next(piece, cfg, false); ok || err != nil {
			t.Fatal(ok, err)
		}
		sent += len(piece)
		if got := d.Buffered(); got > sent*5/2+64 || got > 1<<20 {
			t.Fatalf("%d bytes held after %d arrived", got, sent)
		}
	}
	m, n, ok, err := d.Next(frame[1<<20:], cfg, false)
	if !ok || err != nil || len(m.Data) != 1<<20 || n != len(frame)-1<<20 {
		t.Fatal(len(m.Data), n, ok, err)
	}
	if d.Buffered() != 0 || d != (Decoder{}) {
		t.Error("a Decoder at rest holds memory")
	}
}

func TestDecoderManyFragments(t *testing.T) {
	const n = 1 << 20
	var d Decoder
	cfg := &DecoderConfig{MaxMessage: n}
	one := AppendMaskedFrame(nil, false, false, OpContinuation, [4]byte{}, []byte("x"))
	batch := bytes.Repeat(one, 1<<10)
	feed(t, &d, cfg, false, nil, []byte(masked(false, OpText, "")))
	for range n >> 10 {
		if got := feed(t, &d, cfg, false, nil, batch); got != nil {
			t.Fatal(got)
		}
		if d.Buffered() > n {
			t.Fatalf("%d bytes held", d.Buffered())
		}
	}
	got := feed(t, &d, cfg, false, nil, []byte(masked(true, OpContinuation, "")))
	if len(got) != 1 || got[0] != text(strings.Repeat("x", n)) {
		t.Fatal(got)
	}

	// Empty ones without end take nothing.
	feed(t, &d, cfg, false, nil, []byte(masked(false, OpText, "")))
	batch = bytes.Repeat([]byte(masked(false, OpContinuation, "")), 1<<10)
	for range 100 {
		feed(t, &d, cfg, false, nil, batch)
	}
	if d.Buffered() != 0 {
		t.Errorf("empty fragments hold %d bytes", d.Buffered())
	}
}

func TestDecoderAtRest(t *testing.T) {
	if got := unsafe.Sizeof(Decoder{}); got > 24 {
		t.Errorf("a Decoder takes %d bytes", got)
	}
	t.Logf("Decoder %d bytes, partial %d bytes", unsafe.Sizeof(Decoder{}), unsafe.Sizeof(partial{}))
	whole := masked(false, OpText, "Hel") + masked(true, OpPing, "?") + masked(true, OpContinuation, "lo") + masked(true, OpPing, "!")
	for i := range len(whole) + 1 {
		var d Decoder
		feed(t, &d, nil, false, nil, []byte(whole[:i]), []byte(whole[i:]))
		if d != (Decoder{}) {
			t.Fatalf("cut at %d: the Decoder holds memory at rest", i)
		}
	}
}

// In the typical case the payload stays where it was read.
func TestDecoderInPlace(t *testing.T) {
	var d Decoder
	b := []byte(masked(true, OpText, "Hello"))
	m, _, _, err := d.Next(b, nil, false)
	if err != nil || &m.Data[0] != &b[6] || cap(m.Data) != 5 {
		t.Fatalf("payload was moved: %v", err)
	}
	if n := testing.AllocsPerRun(100, func() {
		b = append(b[:0], "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"...)
		if _, _, ok, _ := d.Next(b, nil, false); !ok {
			t.Fatal("no message")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A message stays whole while the next is decoded into the same Decoder.
func TestDecoderHandsBufferOver(t *testing.T) {
	var d Decoder
	b := []byte(masked(true, OpBinary, strings.Repeat("a", 100)))
	d.Next(b[:50], nil, false)
	m, _, ok, _ := d.Next(b[50:], nil, false)
	if !ok || string(m.Data) != strings.Repeat("a", 100) {
		t.Fatal(ok, m.Data)
	}
	for i := range b {
		b[i] = 0xff
	}
	if string(m.Data) != strings.Repeat("a", 100) {
		t.Error("an assembled message depends on the read buffer")
	}
}

// A buffer is about twice as large as what has arrived at most, and of its last size
// as soon as that allows.
func TestGrow(t *testing.T) {
	const total = 100_000
	for _, tt := range []struct{ have, more, want int }{
		{0, 10, 64},
		{0, 40_000, 40_000},
		{40_000, 1, 80_000},
		{0, 50_000, total},
		{40_000, 10_000, total},
		{45_000, 1_000, total}, // twice 45,000 is nearly that
		{40_000, 60_000, total},
		{total, 0, total},
	} {
		buf := grow(make([]byte, tt.have), tt.more, total-tt.have)
		if len(buf) != tt.have || cap(buf) != tt.want {
			t.Errorf("with %d bytes and %d more, there are %d bytes of %d, want %d", tt.have, tt.more, len(buf), cap(buf), tt.want)
		}
	}
}

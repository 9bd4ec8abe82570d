package websocket

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

var validTexts = []string{
	"", "a", "ascii only", "κόσμε", "\u0000", "\u007f", "\u0080", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\uffff",
	"\U00010000", "\U0010ffff", "\ufeffbom", "日本語テキスト", "🙂🙃", strings.Repeat("é", 40), strings.Repeat("a", 33) + "€",
}

var invalidTexts = []string{
	"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x80\x80\x80",
	"\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xfe", "\xc3(", "\xe2\x82(", "\xf0\x9f\x99(", "\xe2(\xa1", "a\xc3\xc3",
}

var cutTexts = []string{"\xc3", "\xe2", "\xe2\x82", "\xf0", "\xf0\x9f", "\xf0\x9f\x99", "ok \xf0\x9f\x99"}

func TestDecoderUTF8(t *testing.T) {
	for _, s := range validTexts {
		checkFeed(t, masked(true, OpText, s), nil, false, []event{text(s)})
		for i := range len(s) + 1 { // cut between frames at each byte
			frames := masked(false, OpText, s[:i]) + masked(true, OpPing, "") + masked(true, OpContinuation, s[i:])
			checkFeed(t, frames, nil, false, []event{ping(""), text(s)})
		}
	}
	for _, s := range invalidTexts {
		for _, before := range []string{"", "x", "é", "12345678901234567"} {
			checkFeed(t, masked(true, OpText, before+s), nil, false, []event{fails(1007)})
			checkFeed(t, masked(true, OpText, before+s+"more"), nil, false, []event{fails(1007)})
			checkFeed(t, masked(false, OpText, before)+masked(true, OpContinuation, s), nil, false, []event{fails(1007)})
			checkFeed(t, masked(true, OpBinary, s), nil, false, []event{bin(s)})
		}
	}
	for _, s := range cutTexts {
		checkFeed(t, masked(true, OpText, s), nil, false, []event{fails(1007)})
		checkFeed(t, masked(false, OpText, s)+masked(true, OpContinuation, ""), nil, false, []event{fails(1007)})
		checkFeed(t, masked(false, OpText, s)+masked(true, OpContinuation, "("), nil, false, []event{fails(1007)})
		checkFeed(t, masked(false, OpText, s), nil, false, nil) // may go on
	}
}

// The error comes with the first byte that no valid text can have there, not
// when the message ends.
func TestDecoderUTF8FailsFast(t *testing.T) {
	for _, s := range invalidTexts {
		first := 1 // bytes until no valid text begins like this
		for first < len(s) && possible(s[:first]) {
			first++
		}
		frame := masked(true, OpText, s+strings.Repeat("x", 100-len(s)))
		head := len(frame) - 100
		var d Decoder
		for i := range frame {
			_, _, _, err := d.Next([]byte{frame[i]}, nil, false)
			if want := i >= head+first-1; (err != nil) != want {
				t.Fatalf("%q: byte %d of the payload: %v", s, i-head+1, err)
			}
			if err != nil {
				break
			}
		}
	}
}

// possible reports whether some valid text begins with s, by trying.
func possible(s string) bool {
	if utf8.ValidString(s) {
		return true
	}
	for _, a := range []string{"\x80", "\xbf", "\x90", "\x9f", "\xa0", "\x8f"} {
		for _, b := range []string{"", "\x80", "\x80\x80"} {
			if utf8.ValidString(s + a + b) {
				return true
			}
		}
	}
	return false
}

// All sequences of two bytes, and longer ones with every edge, judged as the standard
// library judges them, in one piece and byte by byte.
func TestUTF8CheckExhaustive(t *testing.T) {
	edges := []byte{0, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf4, 0xf5, 0xff}
	check := func(s []byte) {
		var one, bytewise utf8Check
		ok := one.feed(s) && one.whole()
		slow := true
		for i := range s {
			if slow = bytewise.feed(s[i : i+1]); !slow {
				break
			}
		}
		slow = slow && bytewise.whole()
		if want := utf8.Valid(s); ok != want || slow != want {
			t.Fatalf("% x: %v in one piece, %v byte by byte, want %v", s, ok, slow, want)
		}
	}
	for a := range 256 {
		check([]byte{byte(a)})
		for b := range 256 {
			check([]byte{byte(a), byte(b)})
			if a < 0xe0 || !slices.Contains(edges, byte(a)) {
				continue
			}
			for _, c := range edges {
				check([]byte{byte(a), byte(b), c})
				for _, d := range edges {
					check([]byte{byte(a), byte(b), c, d})
				}
			}
		}
	}
}

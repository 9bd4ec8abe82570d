package websocket

import "unicode/utf8"

// utf8Check validates UTF-8 that arrives in pieces, and finds fault with the
// first byte that cannot continue a valid sequence (RFC 3629, section 4). The
// zero value is at the start of a text.
type utf8Check struct {
	need   uint8 // continuation bytes that the unfinished character lacks
	lo, hi uint8 // the range of the next one
}

// whole reports whether the text so far ends between two characters.
func (u *utf8Check) whole() bool { return u.need == 0 }

// feed takes the next piece and reports whether the text can still be valid.
func (u *utf8Check) feed(p []byte) bool {
	for u.need > 0 {
		if len(p) == 0 {
			return true
		}
		if !u.step(p[0]) {
			return false
		}
		p = p[1:]
	}
	// All but a character cut off at the end goes to the library's fast check.
	cut := len(p)
	for i := len(p) - 1; i >= 0 && i > len(p)-utf8.UTFMax; i-- {
		if utf8.RuneStart(p[i]) {
			if !utf8.FullRune(p[i:]) {
				cut = i
			}
			break
		}
	}
	if !utf8.Valid(p[:cut]) {
		return false
	}
	for _, c := range p[cut:] {
		if !u.step(c) {
			return false
		}
	}
	return true
}

// step takes one byte. The ranges of the second byte shut out overlong forms
// (E0, F0), surrogates (ED) and what lies above U+10FFFF (F4).
func (u *utf8Check) step(c byte) bool {
	if u.need > 0 {
		if c < u.lo || c > u.hi {
			return false
		}
		u.need--
		u.lo, u.hi = 0x80, 0xbf
		return true
	}
	u.lo, u.hi = 0x80, 0xbf
	switch {
	case c < 0x80:
	case c >= 0xc2 && c <= 0xdf:
		u.need = 1
	case c >= 0xe0 && c <= 0xef:
		u.need = 2
		switch c {
		case 0xe0:
			u.lo = 0xa0
		case 0xed:
			u.hi = 0x9f
		}
	case c >= 0xf0 && c <= 0xf4:
		u.need = 3
		switch c {
		case 0xf0:
			u.lo = 0x90
		case 0xf4:
			u.hi = 0x8f
		}
	default:
		return false
	}
	return true
}

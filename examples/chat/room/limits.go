package room

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits on what clients send, in characters where they are about text.
const (
	MaxNick  = 20
	MaxRoom  = 32
	MaxText  = 1000
	MaxRooms = 8 // that one client may be a member of

	minKey = 16
	maxKey = 64
	// maxListed bounds the answer to "rooms": anybody can make rooms.
	maxListed = 100
)

// cleanName returns a nickname or a room's name as it is compared and shown.
// Lower case only, so that nobody passes for somebody else by a capital; no
// spaces and no invisible characters, for the same reason.
func cleanName(s string, most int) (string, bool) {
	s = strings.ToLower(strings.TrimSpace(s))
	n := utf8.RuneCountInString(s)
	if n == 0 || n > most || !utf8.ValidString(s) {
		return "", false
	}
	for i, r := range s {
		plain := unicode.IsLetter(r) || unicode.IsDigit(r)
		inner := unicode.IsMark(r) || r == '-' || r == '_' || r == '.'
		if !plain && (i == 0 || !inner) {
			return "", false
		}
	}
	return s, true
}

// cleanText returns what somebody said without white space around it.
func cleanText(s string) (string, bool) {
	s = strings.TrimSpace(s)
	n := utf8.RuneCountInString(s)
	return s, n > 0 && n <= MaxText && utf8.ValidString(s)
}

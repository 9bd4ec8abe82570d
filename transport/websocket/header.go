package websocket

import (
	"net/http"
	"slices"
	"strings"
)

// isTokenByte reports whether c may stand in a token (RFC 9110, section 5.6.2).
func isTokenByte(c byte) bool {
	const (
		below64 = 1<<'!' | 1<<'#' | 1<<'$' | 1<<'%' | 1<<'&' | 1<<'\'' | 1<<'*' | 1<<'+' | 1<<'-' | 1<<'.' | (1<<10-1)<<'0'
		from64  = 1<<('^'-64) | 1<<('_'-64) | 1<<('`'-64) | 1<<('|'-64) | 1<<('~'-64) |
			(1<<26-1)<<('A'-64) | (1<<26-1)<<('a'-64)
	)
	switch {
	case c < 64:
		return uint64(below64)>>c&1 != 0
	case c < 128:
		return uint64(from64)>>(c-64)&1 != 0
	}
	return false
}

func isToken(s string) bool {
	for i := range len(s) {
		if !isTokenByte(s[i]) {
			return false
		}
	}
	return s != ""
}

// equalFold compares ASCII without regard to case. strings.EqualFold would take
// the Kelvin sign for a k.
func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// trim removes the optional white space around a list element.
func trim(s string) string { return strings.Trim(s, " \t") }

// hasToken reports whether a comma-separated list, spread over any number of
// header lines, has an element that match accepts.
func hasToken(lines []string, match func(string) bool) bool {
	for _, line := range lines {
		for item := range strings.SplitSeq(line, ",") {
			if match(trim(item)) {
				return true
			}
		}
	}
	return false
}

// appendField appends one header line. What could end the line early is
// replaced by a space, as net/http does. An http.Header knows the protocol's own
// fields as Sec-Websocket-*; on the wire they go as RFC 6455 spells them, for
// clients that compare bytes.
func appendField(dst []byte, name, value string) []byte {
	if rest, ok := strings.CutPrefix(name, "Sec-Websocket-"); ok {
		dst = append(dst, "Sec-WebSocket-"...)
		name = rest
	}
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	value = trim(value)
	for i := range len(value) {
		c := value[i]
		if c < ' ' && c != '\t' || c == 0x7f {
			c = ' '
		}
		dst = append(dst, c)
	}
	return append(dst, "\r\n"...)
}

// appendHeaderFields appends the lines of h in the order of their names, but for names
// that are no tokens and those that reserved keeps for the response itself.
func appendHeaderFields(dst []byte, h http.Header, reserved func(name string) bool) []byte {
	if len(h) == 0 {
		return dst
	}
	names := make([]string, 0, len(h))
	for name := range h {
		if isToken(name) && !reserved(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range h[name] {
			dst = appendField(dst, name, value)
		}
	}
	return dst
}

// framingField reports whether a field decides where a response ends or what
// becomes of its connection.
func framingField(name string) bool {
	return equalFold(name, "Connection") || equalFold(name, "Content-Length") ||
		equalFold(name, "Transfer-Encoding") || equalFold(name, "Trailer")
}

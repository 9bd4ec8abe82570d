package websocket

import "strings"

// An offer and the response to it (RFC 7692, section 7.1). Both sides give up
// context takeover: one compressed message then serves every receiver, and
// neither side keeps a window per connection. The server may ask for both
// whether or not the client mentions them (sections 7.1.1.1 and 7.1.1.2).
const (
	deflateName     = "permessage-deflate"
	deflateResponse = deflateName + "; server_no_context_takeover; client_no_context_takeover"
	deflateWindow15 = deflateResponse + "; server_max_window_bits=15"
)

// negotiateDeflate returns the response to the first offer of
// permessage-deflate that the server can take up, or "" to decline. ok is false
// if a line does not follow the grammar, which fails the handshake (RFC 6455,
// section 9.1).
func negotiateDeflate(lines []string) (response string, ok bool) {
	for _, line := range lines {
		p := offerParser{s: line}
		for p.next() {
			if p.name == deflateName && response == "" {
				response = deflateOffer(&p)
			} else {
				p.skipParams()
			}
		}
		if p.bad {
			return "", false
		}
	}
	return response, true
}

// deflateOffer reads the parameters of one offer and answers it, "" to decline.
func deflateOffer(p *offerParser) string {
	const (
		serverTakeover = 1 << iota
		clientTakeover
		serverWindow
		clientWindow
	)
	response, seen, good := deflateResponse, 0, true
	for p.param() {
		var this int
		switch p.key {
		case "server_no_context_takeover":
			this, good = serverTakeover, good && !p.hasValue
		case "client_no_context_takeover":
			this, good = clientTakeover, good && !p.hasValue
		case "server_max_window_bits":
			// The compressor's window is 15 bits, for all receivers alike.
			// Who offers the parameter must see it in the response.
			this, good = serverWindow, good && p.value == "15"
			response = deflateWindow15
		case "client_max_window_bits":
			// Any window a client uses fits into ours.
			this, good = clientWindow, good && (!p.hasValue || windowBits(p.value))
		default:
			good = false
		}
		if seen&this != 0 {
			good = false
		}
		seen |= this
	}
	if !good || p.bad {
		return ""
	}
	return response
}

// windowBits reports whether s is a decimal from 8 to 15 without leading zeros.
func windowBits(s string) bool {
	switch s {
	case "8", "9", "10", "11", "12", "13", "14", "15":
		return true
	}
	return false
}

// offerParser reads the list of RFC 6455, section 9.1: extensions separated by
// commas, each a token and parameters behind semicolons. Empty list elements
// are skipped (RFC 9110, section 5.6.1.2).
type offerParser struct {
	s   string // what is left of the line
	bad bool   // the line broke the grammar; nothing more comes of it

	name     string // the extension, after next
	key      string // the parameter, after param
	value    string
	hasValue bool
}

// next goes to the next extension. The parameters of the one before must have
// been read or skipped.
func (p *offerParser) next() bool {
	if p.bad {
		return false
	}
	p.s = strings.TrimLeft(p.s, " \t,")
	if p.s == "" {
		return false
	}
	p.name = p.token()
	p.endElement()
	return !p.bad
}

// param goes to the next parameter of the current extension.
func (p *offerParser) param() bool {
	if p.bad || p.s == "" || p.s[0] != ';' {
		return false
	}
	p.skip(1)
	p.key = p.token()
	p.value, p.hasValue = "", false
	if p.space(); p.s != "" && p.s[0] == '=' {
		p.skip(1)
		p.hasValue = true
		if p.s != "" && p.s[0] == '"' {
			p.value = p.quoted()
		} else {
			p.value = p.token()
		}
	}
	p.endElement()
	return !p.bad
}

func (p *offerParser) skipParams() {
	for p.param() {
	}
}

func (p *offerParser) space()     { p.s = strings.TrimLeft(p.s, " \t") }
func (p *offerParser) skip(n int) { p.s = p.s[n:]; p.space() }

// endElement checks that a separator or the end of the line follows.
func (p *offerParser) endElement() {
	p.space()
	if p.s != "" && p.s[0] != ',' && p.s[0] != ';' {
		p.bad = true
	}
}

func (p *offerParser) token() string {
	i := 0
	for i < len(p.s) && isTokenByte(p.s[i]) {
		i++
	}
	if i == 0 {
		p.bad = true
	}
	t := p.s[:i]
	p.s = p.s[i:]
	return t
}

// quoted reads a quoted-string, which must be a token once unquoted.
func (p *offerParser) quoted() string {
	var unquoted []byte
	for i := 1; i < len(p.s); i++ {
		switch c := p.s[i]; c {
		case '"':
			p.s = p.s[i+1:]
			if len(unquoted) == 0 {
				p.bad = true
			}
			return string(unquoted)
		case '\\':
			if i++; i == len(p.s) {
				p.bad = true
				return ""
			}
			fallthrough
		default:
			if !isTokenByte(p.s[i]) {
				p.bad = true
				return ""
			}
			unquoted = append(unquoted, p.s[i])
		}
	}
	p.bad = true
	return ""
}

package websocket

import "strings"

// A Head is the head of an ordinary opening handshake. It is made by [ReadHead]
// and not written to afterwards.
type Head struct {
	Path     string // as in the URL of an http.Request
	RawQuery string // likewise

	fields string // the lines behind the request line, the blank one included
}

// ReadHead reads the head of an opening handshake, up to and with its blank line
// (see [HeaderEnd]), and says what the server answers. It makes no garbage, and it
// is for heads as browsers and most programs send them: ok is false for any other,
// good or bad, which [ParseRequest] and [Negotiate] then decide about. What it takes
// they accept too, with the same path, query, fields and answer. The Head refers to
// head. nil options are the zero value. Safe for concurrent use.
func ReadHead(head string, o *HandshakeOptions) (h Head, answer Handshake, ok bool) {
	rest, isGet := strings.CutPrefix(head, "GET ")
	target, rest, isHTTP := strings.Cut(rest, " HTTP/1.1\r\n")
	if !isGet || !isHTTP || !isOrdinaryTarget(target) {
		return Head{}, Handshake{}, false
	}
	h.Path, h.RawQuery, _ = strings.Cut(target, "?")
	h.fields = rest
	var f headFields
	for {
		end := strings.IndexByte(rest, '\n') + 1
		line, found := strings.CutSuffix(rest[:end], "\r\n")
		if !found {
			return Head{}, Handshake{}, false
		}
		rest = rest[end:]
		if line == "" {
			break
		}
		name, value, found := strings.Cut(line, ":")
		if !found || !isToken(name) || !isOrdinaryValue(value) || !f.add(name, trim(value)) {
			return Head{}, Handshake{}, false
		}
	}
	// net/http makes a Cache-Control of a Pragma that comes without one.
	if rest != "" || f.pragma && !f.cacheControl {
		return Head{}, Handshake{}, false
	}
	answer, err := f.negotiate(o)
	if err != nil {
		return Head{}, Handshake{}, false
	}
	return h, answer, true
}

// Values returns the values of a field, one for each of its lines, or nil if there
// is none. It is [http.Header.Values] of the request's Header, which has no Host.
// The caller owns the slice.
func (h *Head) Values(name string) (values []string) {
	if equalFold(name, "Host") {
		return nil
	}
	for rest := h.fields; rest != ""; {
		var line string
		line, rest, _ = strings.Cut(rest, "\n")
		if n := len(name); len(line) > n && line[n] == ':' && equalFold(line[:n], name) {
			values = append(values, trim(strings.TrimSuffix(line[n+1:], "\r")))
		}
	}
	return values
}

// headFields gathers what a head asks for. Of each field that a handshake depends
// on there is one line at most.
type headFields struct {
	lines [handshakeFields]string
	seen  [handshakeFields]bool

	pragma, cacheControl bool
}

// The fields that a handshake depends on.
const (
	hostField = iota
	upgradeField
	connectionField
	versionField
	keyField
	originField
	protocolField
	extensionsField
	handshakeFields
)

// add takes note of a field. It returns false if the field makes the request one
// that is not ordinary.
func (f *headFields) add(name, value string) bool {
	// Few names are compared: most lengths are those of one or two.
	switch len(name) {
	case len("Host"):
		if equalFold(name, "Host") {
			return f.set(hostField, value)
		}
	case len("Origin"):
		switch {
		case equalFold(name, "Origin"):
			return f.set(originField, value)
		case equalFold(name, "Pragma"):
			f.pragma = true
		case equalFold(name, "Expect"):
			return false
		}
	case len("Upgrade"):
		if equalFold(name, "Upgrade") {
			return f.set(upgradeField, value)
		}
		return !equalFold(name, "Trailer")
	case len("Connection"):
		if equalFold(name, "Connection") {
			return f.set(connectionField, value)
		}
	case len("Cache-Control"):
		f.cacheControl = f.cacheControl || equalFold(name, "Cache-Control")
	case len("Content-Length"):
		return !equalFold(name, "Content-Length")
	case len("Sec-WebSocket-Key"):
		if equalFold(name, "Sec-WebSocket-Key") {
			return f.set(keyField, value)
		}
		return !equalFold(name, "Transfer-Encoding")
	case len("Sec-WebSocket-Version"):
		if equalFold(name, "Sec-WebSocket-Version") {
			return f.set(versionField, value)
		}
	case len("Sec-WebSocket-Protocol"):
		if equalFold(name, "Sec-WebSocket-Protocol") {
			return f.set(protocolField, value)
		}
	case len("Sec-WebSocket-Extensions"):
		if equalFold(name, "Sec-WebSocket-Extensions") {
			return f.set(extensionsField, value)
		}
	}
	return true
}

func (f *headFields) set(field int, value string) (first bool) {
	first = !f.seen[field]
	f.lines[field], f.seen[field] = value, true
	return first
}

// list returns the lines of a field.
func (f *headFields) list(field int) []string {
	if !f.seen[field] {
		return nil
	}
	return f.lines[field : field+1]
}

// negotiate agrees on what the head asks for.
func (f *headFields) negotiate(o *HandshakeOptions) (Handshake, error) {
	a := asked{
		host:       f.lines[hostField],
		upgrade:    f.list(upgradeField),
		connection: f.list(connectionField),
		version:    f.list(versionField),
		key:        f.list(keyField),
		origin:     f.list(originField),
		protocols:  f.list(protocolField),
		extensions: f.list(extensionsField),
	}
	return a.negotiate(o)
}

// isOrdinaryTarget reports whether s is a path, perhaps with a query, which says
// the same decoded (RFC 9112, section 3.2.1; RFC 3986, section 3.3). A query is
// never decoded here.
func isOrdinaryTarget(s string) bool {
	if s == "" || s[0] != '/' || strings.HasPrefix(s, "//") {
		return false
	}
	query := false
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '?':
			query = true
		case c == '%' && query:
		case strings.IndexByte("/-._~!$&'()*+,;=:@", c) < 0:
			return false
		}
	}
	return true
}

// isOrdinaryValue reports whether s is a field value in ASCII (RFC 9110, section
// 5.5).
func isOrdinaryValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c > '~' {
			return false
		}
	}
	return true
}

package websocket

import (
	"errors"
	"net/http"
	"testing"
)

func TestNegotiateDeflate(t *testing.T) {
	const (
		plain = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
		w15   = plain + "; server_max_window_bits=15"
	)
	tests := []struct {
		lines []string
		want  string
	}{
		{nil, ""},
		{[]string{""}, ""},
		{[]string{"permessage-deflate"}, plain},
		{[]string{"  permessage-deflate  "}, plain},
		{[]string{"permessage-deflate; client_max_window_bits"}, plain}, // Chrome, Firefox
		{[]string{"permessage-deflate; client_max_window_bits=8"}, plain},
		{[]string{"permessage-deflate; client_max_window_bits=15"}, plain},
		{[]string{`permessage-deflate; client_max_window_bits="10"`}, plain},
		{[]string{`permessage-deflate; client_max_window_bits="1\0"`}, plain},
		{[]string{"permessage-deflate;client_max_window_bits = 10"}, plain},
		{[]string{"permessage-deflate; server_no_context_takeover; client_no_context_takeover"}, plain},
		{[]string{"permessage-deflate; server_max_window_bits=15"}, w15},
		{[]string{`permessage-deflate; server_max_window_bits="15"; client_max_window_bits`}, w15},

		{[]string{"permessage-deflate; server_max_window_bits=14"}, ""},
		{[]string{"permessage-deflate; server_max_window_bits=8"}, ""},
		{[]string{"permessage-deflate; server_max_window_bits"}, ""},
		{[]string{"permessage-deflate; server_max_window_bits=16"}, ""},
		{[]string{"permessage-deflate; server_max_window_bits=015"}, ""},
		{[]string{"permessage-deflate; client_max_window_bits=7"}, ""},
		{[]string{"permessage-deflate; client_max_window_bits=16"}, ""},
		{[]string{"permessage-deflate; client_max_window_bits=08"}, ""},
		{[]string{"permessage-deflate; client_max_window_bits=+9"}, ""},
		{[]string{"permessage-deflate; client_no_context_takeover=1"}, ""},
		{[]string{"permessage-deflate; server_no_context_takeover=true"}, ""},
		{[]string{"permessage-deflate; unknown"}, ""},
		{[]string{"permessage-deflate; unknown=1"}, ""},
		{[]string{"permessage-deflate; client_max_window_bits; client_max_window_bits"}, ""},
		{[]string{"permessage-deflate; client_no_context_takeover; client_no_context_takeover"}, ""},
		{[]string{"permessage-deflate; server_max_window_bits=15; server_max_window_bits=15"}, ""},
		{[]string{"x-webkit-deflate-frame"}, ""},
		{[]string{"permessage-bzip2"}, ""},
		{[]string{"permessage-deflate2"}, ""},

		// The next offer has its chance.
		{[]string{"permessage-deflate; server_max_window_bits=10, permessage-deflate"}, plain},
		{[]string{"permessage-deflate; unknown, permessage-deflate; server_max_window_bits=15"}, w15},
		{[]string{"permessage-deflate; a; a", "permessage-deflate"}, plain},
		{[]string{"foo; bar=baz, permessage-deflate; client_max_window_bits"}, plain},
		{[]string{`foo; bar="abc"; x, permessage-deflate`}, plain},
		{[]string{",, permessage-deflate ,,"}, plain},
		{[]string{"permessage-deflate, permessage-deflate; server_max_window_bits=15"}, plain},
	}
	for _, tt := range tests {
		if got, ok := negotiateDeflate(tt.lines); got != tt.want || !ok {
			t.Errorf("%q:\ngot  %q, %v\nwant %q", tt.lines, got, ok, tt.want)
		}
	}
	h, err := shake(request("+Sec-WebSocket-Extensions: permessage-deflate"), &HandshakeOptions{})
	if err != nil || h.Deflate {
		t.Error("compression agreed on though switched off")
	}
}

// What does not follow the grammar fails the handshake, wherever it stands and
// whether or not compression is on (RFC 6455, section 9.1).
func TestMalformedExtensions(t *testing.T) {
	for _, lines := range [][]string{
		{`foo; bar="a,b;c", permessage-deflate`}, // quoted, it must still be a token
		{"permessage-deflate;"},
		{"permessage-deflate; =1"},
		{"permessage-deflate; client_max_window_bits="},
		{`permessage-deflate; client_max_window_bits=""`},
		{`permessage-deflate; client_max_window_bits="10`},
		{`permessage-deflate; client_max_window_bits="10\`},
		{`permessage-deflate; client_max_window_bits="10"x`},
		{"permessage-deflate client_max_window_bits"},
		{"permessage-deflate; client_max_window_bits 10"},
		{"@, permessage-deflate"},
		{"permessage-deflate, @"},
		{"@", "permessage-deflate"},
		{";"},
		{`"`},
	} {
		if got, ok := negotiateDeflate(lines); ok || got != "" {
			t.Errorf("%q: got %q, %v", lines, got, ok)
		}
		var edits []string
		for _, line := range lines {
			edits = append(edits, "+Sec-WebSocket-Extensions: "+line)
		}
		for _, compression := range []bool{false, true} {
			_, err := shake(request(edits...), &HandshakeOptions{Compression: compression})
			if he := (*HandshakeError)(nil); !errors.As(err, &he) || he.Status != http.StatusBadRequest {
				t.Errorf("%q, compression %v: %v", lines, compression, err)
			}
		}
	}
}

package websocket

import "testing"

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
		{[]string{`foo; bar="a,b;c", permessage-deflate`}, ""}, // quoted, it must still be a token
		{[]string{`foo; bar="abc"; x, permessage-deflate`}, plain},
		{[]string{",, permessage-deflate ,,"}, plain},
		{[]string{"permessage-deflate, permessage-deflate; server_max_window_bits=15"}, plain},

		// A line is good up to where it goes wrong.
		{[]string{"permessage-deflate;"}, ""},
		{[]string{"permessage-deflate; =1"}, ""},
		{[]string{"permessage-deflate; client_max_window_bits="}, ""},
		{[]string{`permessage-deflate; client_max_window_bits=""`}, ""},
		{[]string{`permessage-deflate; client_max_window_bits="10`}, ""},
		{[]string{`permessage-deflate; client_max_window_bits="10\`}, ""},
		{[]string{`permessage-deflate; client_max_window_bits="10"x`}, ""},
		{[]string{"permessage-deflate client_max_window_bits"}, ""},
		{[]string{"permessage-deflate; client_max_window_bits 10"}, ""},
		{[]string{"@, permessage-deflate"}, ""},
		{[]string{"permessage-deflate, @"}, plain},
		{[]string{"@", "permessage-deflate"}, plain},
		{[]string{";"}, ""},
		{[]string{`"`}, ""},
	}
	for _, tt := range tests {
		if got := negotiateDeflate(tt.lines); got != tt.want {
			t.Errorf("%q:\ngot  %q\nwant %q", tt.lines, got, tt.want)
		}
	}
	h, err := shake(request("+Sec-WebSocket-Extensions: permessage-deflate"), &HandshakeOptions{})
	if err != nil || h.Deflate {
		t.Error("compression agreed on though switched off")
	}
}

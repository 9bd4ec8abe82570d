package websocket

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestAppendFrame(t *testing.T) {
	tests := []struct {
		op         Opcode
		compressed bool
		n          int
		header     string
	}{
		{OpText, false, 0, "\x81\x00"},
		{OpText, false, 5, "\x81\x05"},
		{OpBinary, false, 125, "\x82\x7d"},
		{OpBinary, false, 126, "\x82\x7e\x00\x7e"},
		{OpBinary, false, 256, "\x82\x7e\x01\x00"},
		{OpBinary, false, 65535, "\x82\x7e\xff\xff"},
		{OpBinary, false, 65536, "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"},
		{OpText, true, 7, "\xc1\x07"},
		{OpPing, false, 3, "\x89\x03"},
		{OpPong, false, 125, "\x8a\x7d"},
	}
	for _, tt := range tests {
		payload := strings.Repeat("x", tt.n)
		got := AppendFrame([]byte("dst"), tt.op, tt.compressed, []byte(payload))
		if string(got) != "dst"+tt.header+payload {
			t.Errorf("%v of %d: % x", tt.op, tt.n, got[:min(len(got), 20)])
		}
		if n := FrameSize(tt.n); n != len(got)-3 {
			t.Errorf("FrameSize(%d) = %d, the frame has %d", tt.n, n, len(got)-3)
		}
	}
}

func TestAppendMaskedFrame(t *testing.T) {
	// RFC 6455, section 5.7.
	if got := AppendMaskedFrame(nil, true, false, OpText, testMask, []byte("Hello")); string(got) != "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58" {
		t.Errorf("% x", got)
	}
	payload := []byte("unchanged")
	AppendMaskedFrame(nil, false, true, OpBinary, testMask, payload)
	if string(payload) != "unchanged" {
		t.Error("payload was masked")
	}
}

func TestAppendClose(t *testing.T) {
	tests := []struct {
		code         int
		reason, want string
	}{
		{1000, "", "\x88\x02\x03\xe8"},
		{1001, "heartbeat timeout", "\x88\x13\x03\xe9heartbeat timeout"},
		{4999, "x", "\x88\x03\x13\x87x"},
		{0, "lost", "\x88\x00"},
		{CloseNoStatus, "lost", "\x88\x00"},
		{CloseAbnormal, "", "\x88\x00"},
		{1015, "", "\x88\x00"},
		{-1, "", "\x88\x00"},
		{66536, "", "\x88\x00"}, // 1000 in 16 bits
		{1008, strings.Repeat("r", 123), "\x88\x7d\x03\xf0" + strings.Repeat("r", 123)},
		{1008, strings.Repeat("r", 124), "\x88\x7d\x03\xf0" + strings.Repeat("r", 123)},
		{1008, strings.Repeat("é", 62), "\x88\x7c\x03\xf0" + strings.Repeat("é", 61)},
		{1008, strings.Repeat("r", 122) + "€", "\x88\x7c\x03\xf0" + strings.Repeat("r", 122)},
		{1008, strings.Repeat("r", 120) + "🙂", "\x88\x7a\x03\xf0" + strings.Repeat("r", 120)},
		{1008, "bad \xff byte", "\x88\x0e\x03\xf0bad \uFFFD byte"},
		{1008, strings.Repeat("🙂", 1000), "\x88\x7a\x03\xf0" + strings.Repeat("🙂", 30)},
	}
	for _, tt := range tests {
		got := AppendClose([]byte("d"), tt.code, tt.reason)
		if string(got) != "d"+tt.want {
			t.Errorf("%d %.20q: %q, want %q", tt.code, tt.reason, got[1:], tt.want)
		}
		code, reason, err := ParseClose(got[3:])
		if err != nil || !utf8.ValidString(reason) || len(reason) > MaxCloseReason || len(got) > 1+2+MaxControlPayload {
			t.Errorf("%d: parsed as %d %q %v", tt.code, code, reason, err)
		}
	}
}

func TestParseClose(t *testing.T) {
	tests := []struct {
		payload string
		code    int
		reason  string
		fail    int
	}{
		{"", 1005, "", 0},
		{"\x03\xe8", 1000, "", 0},
		{"\x03\xf0bye é", 1008, "bye é", 0},
		{"\x0f\xa0", 4000, "", 0},
		{"\x03", 0, "", 1002},
		{"\x03\xe7", 0, "", 1002}, // 999
		{"\x03\xec", 0, "", 1002}, // 1004
		{"\x03\xed", 0, "", 1002}, // 1005
		{"\x03\xee", 0, "", 1002}, // 1006
		{"\x03\xf7", 0, "", 1002}, // 1015
		{"\x0b\xb7", 0, "", 1002}, // 2999
		{"\x13\x88", 0, "", 1002}, // 5000
		{"\x03\xf6ok", 1014, "ok", 0},
		{"\x03\xe8\xff", 0, "", 1007},
	}
	for _, tt := range tests {
		p := []byte(tt.payload)
		code, reason, err := ParseClose(p)
		if tt.fail != 0 {
			wantCode(t, err, tt.fail)
			continue
		}
		if err != nil || code != tt.code || reason != tt.reason {
			t.Errorf("%q: %d %q %v", tt.payload, code, reason, err)
		}
		if !bytes.Equal(p, []byte(tt.payload)) {
			t.Error("payload changed")
		}
	}
}

func TestErrorStrings(t *testing.T) {
	if got := (&CloseError{1009, "message too big"}).Error(); got != "websocket: message too big (close 1009)" {
		t.Error(got)
	}
	if got := (&HandshakeError{Status: 403, Reason: "origin not allowed"}).Error(); got != "websocket: handshake refused: origin not allowed (HTTP 403)" {
		t.Error(got)
	}
	if got := Opcode(7).String() + OpPing.String(); got != "opcode(7)ping" {
		t.Error(got)
	}
}

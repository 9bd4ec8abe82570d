package websocket

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
)

// FuzzDecoder: no input panics, the result does not depend on how it is cut, and
// what is held stays within its bound.
func FuzzDecoder(f *testing.F) {
	seeds := []string{
		masked(true, OpText, "Hello"),
		masked(false, OpText, "Hel") + masked(true, OpPing, "?") + masked(true, OpContinuation, "lo"),
		masked(true, OpText, "\xf0\x9f\x99\x82") + masked(true, OpClose, "\x03\xe8bye"),
		maskedRSV1(true, OpText, "\xf2\x48\xcd\xc9\xc9\x07\x00"),
		maskedRSV1(false, OpBinary, "\xf3\x48\xcd\xc9") + masked(true, OpContinuation, "\xc9\x07\x00\x00"),
		masked(true, OpBinary, strings.Repeat("x", 300)),
		"\x82\xff\x00\x00\x00\x00\x00\x01\x00\x00",
		masked(true, OpText, "\xed\xa0\x80"),
	}
	for i, s := range seeds {
		f.Add([]byte(s), uint8(i), true)
		f.Add([]byte(s), uint8(0), false)
	}
	const limit = 400
	cfg := &DecoderConfig{MaxMessage: limit, Inflater: new(Inflater)}
	f.Fuzz(func(t *testing.T, in []byte, step uint8, deflate bool) {
		whole := feed(t, new(Decoder), cfg, deflate, nil, in)
		for _, n := range []int{1, int(step%31) + 2} {
			var d Decoder
			var got []event
			for _, piece := range split(in, n) {
				got = feed(t, &d, cfg, deflate, got, piece)
				if held := d.Buffered(); held > deflatedLimit(limit)+MaxControlPayload+maxHeader {
					t.Fatalf("%d bytes held", held)
				}
				if len(got) > 0 && got[len(got)-1].code != 0 {
					break
				}
			}
			if !slices.Equal(got, whole) {
				t.Fatalf("fed whole: %v\nby %d: %v", whole, n, got)
			}
		}
		for _, e := range whole {
			if e.code == 0 && !e.op.IsControl() && len(e.data) > limit {
				t.Fatalf("a message of %d bytes", len(e.data))
			}
		}
	})
}

// FuzzInflater: no input panics or exceeds the limit.
func FuzzInflater(f *testing.F) {
	for _, v := range deflateVectors {
		f.Add([]byte(v.src), 100)
	}
	var inf Inflater
	f.Fuzz(func(t *testing.T, in []byte, limit int) {
		limit %= 1 << 16
		out, err := inf.Inflate(in, limit)
		if len(out) > max(limit, 0) {
			t.Fatalf("%d bytes, limit %d", len(out), limit)
		}
		var ce *CloseError
		if err != nil && (!errors.As(err, &ce) || ce.Code == CloseInternalError) {
			t.Fatal(err)
		}
	})
}

// FuzzHandshake: no head panics, what is accepted gives a proper response, and a
// head is found in the same place however it trickles in.
func FuzzHandshake(f *testing.F) {
	f.Add([]byte(request()), "permessage-deflate; client_max_window_bits", "a, b")
	f.Add([]byte(request("Connection: keep-alive, Upgrade", "+Origin: http://server.example.com")), `permessage-deflate; a="b\c", permessage-deflate`, "")
	f.Add([]byte(request("+Content-Length: 3")), ";;==,,", "b")
	f.Add([]byte("GET / HTTP/1.1\n\n"), "", "")
	o := &HandshakeOptions{Subprotocols: []string{"b", "a"}, Compression: true}
	f.Fuzz(func(t *testing.T, in []byte, extensions, protocols string) {
		end := HeaderEnd(in, 0)
		for n := range in {
			if got := HeaderEnd(in[:n+1], n); got >= 0 {
				if got != end {
					t.Fatalf("head ends at %d, trickled at %d", end, got)
				}
				break
			} else if n+1 == len(in) && end >= 0 {
				t.Fatalf("head ends at %d, not found trickled", end)
			}
		}
		if end < 0 {
			end = len(in)
		}
		r, err := ParseRequest(bytes.Clone(in[:end]))
		var he *HandshakeError
		if err != nil {
			if !errors.As(err, &he) || he.Status != 400 {
				t.Fatal(err)
			}
			return
		}
		r.Header["Sec-Websocket-Extensions"] = []string{extensions}
		r.Header["Sec-Websocket-Protocol"] = []string{protocols}
		h, err := Negotiate(r, o)
		if err != nil {
			if !errors.As(err, &he) {
				t.Fatal(err)
			}
			if res, _ := readResponse(t, he.AppendResponse(nil)); res.StatusCode != he.Status {
				t.Fatal(res.Status)
			}
			return
		}
		res, _ := readResponse(t, h.AppendResponse(nil, r.Header))
		if res.StatusCode != 101 || len(res.Header["Sec-Websocket-Accept"]) != 1 || len(res.Header["Connection"]) != 1 {
			t.Fatal(res)
		}
	})
}

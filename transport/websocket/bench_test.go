package websocket

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// benchNext decodes the same frame over and over; putting it back into the
// buffer, which decoding overwrites, is part of the time.
func benchNext(b *testing.B, frame []byte, cfg *DecoderConfig, deflate bool) {
	var d Decoder
	buf := make([]byte, len(frame))
	b.ReportAllocs()
	b.SetBytes(int64(len(frame)))
	for b.Loop() {
		copy(buf, frame)
		if _, n, ok, err := d.Next(buf, cfg, deflate); !ok || n != len(frame) || err != nil {
			b.Fatal(n, ok, err)
		}
	}
}

func BenchmarkNext(b *testing.B) {
	cfg := &DecoderConfig{Inflater: new(Inflater)}
	for _, n := range []int{20, 100, 1 << 10, 64 << 10} {
		payload := bytes.Repeat([]byte("x"), n)
		b.Run(fmt.Sprintf("text/%d", n), func(b *testing.B) {
			benchNext(b, AppendMaskedFrame(nil, true, false, OpText, testMask, payload), cfg, false)
		})
		b.Run(fmt.Sprintf("binary/%d", n), func(b *testing.B) {
			benchNext(b, AppendMaskedFrame(nil, true, false, OpBinary, testMask, payload), cfg, false)
		})
	}
	b.Run("compressed/1024", func(b *testing.B) {
		c, _ := NewCompressor(1)
		frame := AppendMaskedFrame(nil, true, true, OpText, testMask, c.AppendCompressed(nil, kilobyte()))
		benchNext(b, frame, cfg, true)
	})
}

// A 64 KB message that arrives in 4 KB reads.
func BenchmarkNextAssembled(b *testing.B) {
	var d Decoder
	frame := AppendMaskedFrame(nil, true, false, OpBinary, testMask, make([]byte, 64<<10))
	buf := make([]byte, 4<<10)
	b.ReportAllocs()
	b.SetBytes(int64(len(frame)))
	for b.Loop() {
		var done bool
		for rest := frame; len(rest) > 0; {
			n := copy(buf, rest)
			rest = rest[n:]
			_, _, done, _ = d.Next(buf[:n], nil, false)
		}
		if !done {
			b.Fatal("no message")
		}
	}
}

func BenchmarkUnmask(b *testing.B) {
	for _, n := range []int{20, 100, 64 << 10} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			payload := make([]byte, n)
			b.ReportAllocs()
			b.SetBytes(int64(n))
			for b.Loop() {
				unmask(payload, 0x04030201)
			}
		})
	}
}

// BenchmarkUTF8 checks a text of 100 bytes: whole, as most come, and in two
// pieces with a character cut in between.
func BenchmarkUTF8(b *testing.B) {
	for _, test := range []struct{ name, text string }{
		{"ascii", strings.Repeat("x", 100)},
		{"cyrillic", strings.Repeat("ж", 50)},
	} {
		text := []byte(test.text)
		for _, cut := range []int{len(text), 51} {
			b.Run(fmt.Sprintf("%s/%d", test.name, cut), func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(text)))
				for b.Loop() {
					var u utf8Check
					if !u.feed(text[:cut]) || !u.feed(text[cut:]) || !u.whole() {
						b.Fatal("not UTF-8")
					}
				}
			})
		}
	}
}

func BenchmarkAppendFrame(b *testing.B) {
	for _, n := range []int{100, 64 << 10} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			payload := make([]byte, n)
			dst := make([]byte, 0, FrameSize(n))
			b.ReportAllocs()
			b.SetBytes(int64(n))
			for b.Loop() {
				dst = AppendFrame(dst[:0], OpText, false, payload)
			}
		})
	}
}

// kilobyte is text as chat programs send it.
func kilobyte() []byte {
	var p []byte
	for i := 0; len(p) < 1<<10; i++ {
		p = fmt.Appendf(p, `{"id":%d,"from":"user-%d","text":"message number %d"},`, i*7919, i%13, i)
	}
	return p[:1<<10]
}

func BenchmarkAppendCompressed(b *testing.B) {
	for _, level := range []int{1, 6} {
		b.Run(fmt.Sprintf("level%d/1024", level), func(b *testing.B) {
			c, err := NewCompressor(level)
			if err != nil {
				b.Fatal(err)
			}
			payload := kilobyte()
			var dst []byte
			b.ReportAllocs()
			b.SetBytes(int64(len(payload)))
			for b.Loop() {
				dst = c.AppendCompressed(dst[:0], payload)
			}
			b.ReportMetric(float64(len(dst)), "compressed-bytes")
		})
	}
}

func BenchmarkInflate(b *testing.B) {
	c, err := NewCompressor(1)
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range []int{100, 1 << 10} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			small := c.AppendCompressed(nil, kilobyte()[:n])
			var f Inflater
			b.ReportAllocs()
			b.SetBytes(int64(n))
			for b.Loop() {
				if out, err := f.Inflate(small, DefaultMaxMessage); len(out) != n || err != nil {
					b.Fatal(len(out), err)
				}
			}
		})
	}
}

// BenchmarkClose is what a close frame costs that comes and is echoed.
func BenchmarkClose(b *testing.B) {
	payload := AppendClose(nil, CloseGoingAway, "the page is left")[2:]
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		code, reason, err := ParseClose(payload)
		if err != nil {
			b.Fatal(err)
		}
		dst = AppendClose(dst[:0], code, reason)
	}
}

func BenchmarkHandshake(b *testing.B) {
	head := []byte(request("Connection: keep-alive, Upgrade", "+Origin: http://server.example.com",
		"+User-Agent: Mozilla/5.0 (X11; Linux x86_64)", "+Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
		"+Cookie: sid=0123456789abcdef", "+Pragma: no-cache", "+Cache-Control: no-cache", "+Accept-Language: en"))
	o := &HandshakeOptions{Compression: true}
	b.Run("Negotiate", func(b *testing.B) {
		r, err := ParseRequest(head)
		if err != nil {
			b.Fatal(err)
		}
		var dst []byte
		b.ReportAllocs()
		for b.Loop() {
			h, err := Negotiate(r, o)
			if err != nil {
				b.Fatal(err)
			}
			dst = h.AppendResponse(dst[:0], nil)
		}
	})
	b.Run("ReadHead", func(b *testing.B) {
		head, dst := string(head), []byte(nil)
		b.ReportAllocs()
		for b.Loop() {
			_, h, ok := ReadHead(head, o)
			if !ok {
				b.Fatal("declined")
			}
			dst = h.AppendResponse(dst[:0], nil)
		}
	})
	b.Run("ParseRequest", func(b *testing.B) {
		b.ReportAllocs()
		var p RequestParser
		for b.Loop() {
			if _, err := p.Parse(head); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("HeaderEnd", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if HeaderEnd(head, 0) != len(head) {
				b.Fatal("no end")
			}
		}
	})
	b.Run("Refuse", func(b *testing.B) {
		r, err := ParseRequest(head)
		if err != nil {
			b.Fatal(err)
		}
		r.Header.Set("Origin", "https://elsewhere.example.com")
		b.ReportAllocs()
		var dst []byte
		for b.Loop() {
			_, err := Negotiate(r, o)
			refusal, ok := errors.AsType[*HandshakeError](err)
			if !ok {
				b.Fatal(err)
			}
			dst = refusal.AppendResponse(dst[:0])
		}
	})
}

package proxyproto

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"
)

// header is a header with this body, and its length in its place.
func header(verCmd, family byte, body string) string {
	return signature + string([]byte{verCmd, family}) + string(binary.BigEndian.AppendUint16(nil, uint16(len(body)))) + body
}

const (
	body4 = "\xc0\x00\x02\x07" + "\x0a\x00\x00\x01" + "\x04\xd2" + "\x00\x50"
	net6  = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	body6 = net6 + "\x07" + net6 + "\x01" + "\x04\xd2" + "\x00\x50"
	// A TLV without a meaning (type PP2_TYPE_NOOP).
	tlv = "\x04\x00\x03abc"
)

// feed gives a parser in, so many bytes at a time.
func feed(in string, step int) (used int, done bool, source string, err error) {
	var p Parser
	for !done && err == nil && used < len(in) {
		var n int
		n, done, err = p.Next([]byte(in[used:min(used+step, len(in))]))
		used += n
	}
	if done {
		source = p.Source().String()
	}
	return used, done, source, err
}

func TestHeaders(t *testing.T) {
	const own = "invalid AddrPort"
	mapped := "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc0\x00\x02\x07" + body6[16:]
	for _, tt := range []struct {
		name, in, source string
		err              error
	}{
		{"TCP over IPv4", header(0x21, tcp4, body4), "192.0.2.7:1234", nil},
		{"TCP over IPv6", header(0x21, tcp6, body6), "[2001:db8::7]:1234", nil},
		{"IPv4 in IPv6", header(0x21, tcp6, mapped), "192.0.2.7:1234", nil},
		{"TLVs", header(0x21, tcp4, body4+tlv+tlv), "192.0.2.7:1234", nil},
		{"TLVs beyond what is held", header(0x21, tcp6, body6+strings.Repeat(tlv, 300)), "[2001:db8::7]:1234", nil},
		{"the longest", header(0x21, tcp4, body4+strings.Repeat("x", 2048-len(body4))), "192.0.2.7:1234", nil},
		{"local", header(0x20, unspec, ""), own, nil},
		{"local with addresses", header(0x20, tcp4, body4), own, nil},
		{"local with an unknown family", header(0x20, 0xff, "x"), own, nil},
		{"unspecified", header(0x21, unspec, ""), own, nil},
		{"unspecified with something", header(0x21, unspec, body4), own, nil},
		{"datagrams", header(0x21, udp4, body4), own, nil},
		{"datagrams over IPv6", header(0x21, udp6, body6), own, nil},
		{"a Unix socket", header(0x21, unixSeq, strings.Repeat("/", 216)), own, nil},
		{"a Unix socket's datagrams", header(0x21, unixGrams, ""), own, nil},

		{"a request", "GET / HTTP/1.1\r\n\r\n", "", ErrSignature},
		{"version 1", "PROXY TCP4 192.0.2.7 10.0.0.1 1234 80\r\n", "", ErrSignature},
		{"a signature with a wrong end", signature[:11] + "\r\x21\x11\x00\x00", "", ErrSignature},
		{"version 1 in binary", header(0x11, tcp4, body4), "", ErrVersion},
		{"version 3", header(0x31, tcp4, body4), "", ErrVersion},
		{"an unknown command", header(0x22, tcp4, body4), "", ErrVersion},
		{"an unknown family", header(0x21, 0x41, body4), "", ErrFamily},
		{"an unknown transport", header(0x21, 0x13, body4), "", ErrFamily},
		{"a family without a transport", header(0x21, 0x10, body4), "", ErrFamily},
		{"too short for IPv4", header(0x21, tcp4, body4[1:]), "", ErrLength},
		{"too short for IPv6", header(0x21, tcp6, body6[1:]), "", ErrLength},
		{"too long", header(0x21, tcp4, body4+strings.Repeat("x", 2049-len(body4))), "", ErrLength},
		{"much too long", header(0x20, unspec, strings.Repeat("x", 65535)), "", ErrLength},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, step := range []int{1 << 20, 1, 5, 13, 16, 17} {
				const behind = "GET / HTTP/1.1"
				used, done, source, err := feed(tt.in+behind, step)
				if !errors.Is(err, tt.err) || source != tt.source || done != (err == nil) {
					t.Fatalf("in pieces of %d: %q, %v, %v, want %q, %v", step, source, done, err, tt.source, tt.err)
				}
				if done && used != len(tt.in) {
					t.Errorf("in pieces of %d: %d bytes read, want the header's %d", step, used, len(tt.in))
				}
			}
		})
	}
}

// What is wrong is known with the byte that is: whoever waits for more would wait
// for the peer's time to run out.
func TestWrongAtOnce(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		at       int
		err      error
	}{
		{"a request", "GET /", 1, ErrSignature},
		{"a signature", signature[:6] + "x", 7, ErrSignature},
		{"a version", header(0x31, tcp4, body4), 13, ErrVersion},
		{"a family", header(0x21, 0x44, body4), 14, ErrFamily},
		{"a length", header(0x21, tcp4, ""), 16, ErrLength},
	} {
		used, _, _, err := feed(tt.in, 1)
		if used != tt.at || !errors.Is(err, tt.err) {
			t.Errorf("%s: %v at byte %d, want %v at %d", tt.name, err, used, tt.err, tt.at)
		}
	}
}

// A header without its end is asked on for, whatever its length.
func TestMore(t *testing.T) {
	whole := header(0x21, tcp6, body6+tlv)
	for end := range len(whole) {
		if used, done, _, err := feed(whole[:end], 7); used != end || done || err != nil {
			t.Errorf("%d bytes: %d read, %v, %v", end, used, done, err)
		}
	}
}

func TestAllocations(t *testing.T) {
	in := []byte(header(0x21, tcp4, body4+strings.Repeat(tlv, 100)))
	if n := testing.AllocsPerRun(100, func() {
		var p Parser
		for i := range in {
			if _, _, err := p.Next(in[i : i+1]); err != nil {
				t.Fatal(err)
			}
		}
		_ = p.Source()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzHeader: no input panics, the result does not depend on how it is cut, and
// nothing behind the header is touched.
func FuzzHeader(f *testing.F) {
	for i, s := range []string{
		header(0x21, tcp4, body4), header(0x21, tcp6, body6+tlv), header(0x20, unspec, ""), header(0x21, unixSeq, "x"),
		header(0x21, tcp4, "") + body4, header(0x21, 0x99, body4), header(0x12, tcp4, body4),
		signature, "GET / HTTP/1.1\r\n\r\n", "PROXY TCP4 192.0.2.7 10.0.0.1 1234 80\r\n", signature + "\x21\x11\xff\xff",
	} {
		f.Add([]byte(s+"GET /"), uint8(i))
	}
	f.Fuzz(func(t *testing.T, in []byte, step uint8) {
		used, done, source, err := feed(string(in), max(1, len(in)))
		if done && err != nil || used > min(len(in), MaxLen) {
			t.Fatalf("%d of %d bytes, %v, %v", used, len(in), done, err)
		}
		if !done && err == nil && used < len(in) {
			t.Fatalf("%d of %d bytes read, and no end", used, len(in))
		}
		for _, n := range []int{1, int(step) + 2} {
			u, d, s, e := feed(string(in), n)
			if d != done || s != source || !errors.Is(e, err) || err == nil && u != used {
				t.Fatalf("whole: %d %v %q %v\nby %d: %d %v %q %v", used, done, source, err, n, u, d, s, e)
			}
		}
		if done && used != fixed+int(binary.BigEndian.Uint16(in[14:])) {
			t.Fatalf("%d bytes read", used)
		}
	})
}

func BenchmarkParser(b *testing.B) {
	in := []byte(header(0x21, tcp6, body6+tlv))
	b.ReportAllocs()
	for b.Loop() {
		var p Parser
		if n, done, err := p.Next(in); n != len(in) || !done || err != nil || !p.Source().IsValid() {
			b.Fatal(n, done, err)
		}
	}
}

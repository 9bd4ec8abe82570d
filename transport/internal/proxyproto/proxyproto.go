// Package proxyproto reads the header by which a proxy says, at the beginning of
// a connection, on whose behalf it connects: version 2 of HAProxy's PROXY
// protocol (proxy-protocol.txt, section 2.2).
package proxyproto

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

const (
	// signature begins every header. It is no beginning of an HTTP request.
	signature = "\r\n\r\n\x00\r\nQUIT\n"
	// fixed is the part of a header that all have: the signature, version and
	// command, family and transport, and the length of what follows.
	fixed = len(signature) + 4
	// MaxLen is the most bytes that a header may have. What follows the
	// addresses may be long, with certificates in it, but a proxy that sends so
	// much is not set up as it should be.
	MaxLen = fixed + 2048
)

const (
	versionTwo = 2
	local      = 0 // command: the proxy's own connection
	proxy      = 1 // command: on behalf of somebody else

	unspec    = 0x00 // families and transports, as one byte has both
	tcp4      = 0x11
	udp4      = 0x12
	tcp6      = 0x21
	udp6      = 0x22
	unixSeq   = 0x31
	unixGrams = 0x32
)

// How long the addresses are: source, destination and their ports.
const (
	len4 = 4 + 4 + 2 + 2
	len6 = 16 + 16 + 2 + 2
)

// The errors of [Parser.Next]. None of them says what was sent, as it may be
// anything.
var (
	ErrSignature = errors.New("proxyproto: no PROXY header of version 2")
	ErrVersion   = errors.New("proxyproto: a version other than 2, or an unknown command")
	ErrFamily    = errors.New("proxyproto: an unknown family or transport")
	ErrLength    = errors.New("proxyproto: the header is too long, or too short for its addresses")
)

// A Parser reads one header, in as many pieces as it comes in. The zero value is
// ready. It holds the addresses and no more, however long the header is.
type Parser struct {
	seen int // bytes of the header so far
	buf  [fixed + len6]byte
}

// Next reads on in b, which it does not keep. n is how many of its bytes are the
// header's: all of them, unless done says that the header ends with them. An error
// comes with the first byte that is wrong, and is final.
func (p *Parser) Next(b []byte) (n int, done bool, err error) {
	// Nothing is known of the length before the fixed part is there.
	if p.seen < fixed {
		n = p.take(b, fixed)
		if err := p.check(); err != nil || p.seen < fixed {
			return n, false, err
		}
	}
	end := fixed + p.length()
	n += p.take(b[n:], end)
	return n, p.seen == end, nil
}

// take takes bytes from b up to the header's byte number end. It returns how many.
func (p *Parser) take(b []byte, end int) int {
	n := min(len(b), end-p.seen)
	if p.seen < len(p.buf) {
		copy(p.buf[p.seen:], b[:n])
	}
	p.seen += n
	return n
}

// check judges what is there of the fixed part.
func (p *Parser) check() error {
	switch seen := min(p.seen, len(signature)); {
	case string(p.buf[:seen]) != signature[:seen]:
		return ErrSignature
	case p.seen > 12 && (p.buf[12]>>4 != versionTwo || p.command() > proxy):
		return ErrVersion
	case p.seen > 13 && p.command() == proxy && !known(p.buf[13]):
		return ErrFamily
	case p.seen >= fixed && (fixed+p.length() > MaxLen || p.length() < p.addresses()):
		return ErrLength
	}
	return nil
}

func known(family byte) bool {
	switch family {
	case unspec, tcp4, udp4, tcp6, udp6, unixSeq, unixGrams:
		return true
	}
	return false
}

func (p *Parser) command() byte { return p.buf[12] & 0xf }

// length is that of what follows the fixed part.
func (p *Parser) length() int { return int(binary.BigEndian.Uint16(p.buf[14:])) }

// addresses is how much of it are addresses that Source looks at.
func (p *Parser) addresses() int {
	switch {
	case p.command() != proxy:
		return 0
	case p.buf[13] == tcp4:
		return len4
	case p.buf[13] == tcp6:
		return len6
	}
	return 0
}

// Source returns the address of whom the proxy has connected for, once Next has
// said that the header is there. It is the zero AddrPort if that is the proxy
// itself, or somebody without a TCP address: the connection's own address then
// stands.
func (p *Parser) Source() netip.AddrPort {
	b := p.buf[fixed:]
	var ip netip.Addr
	switch p.addresses() {
	case len4:
		ip = netip.AddrFrom4([4]byte(b))
		b = b[4+4:]
	case len6:
		ip = netip.AddrFrom16([16]byte(b)).Unmap()
		b = b[16+16:]
	default:
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(ip, binary.BigEndian.Uint16(b))
}

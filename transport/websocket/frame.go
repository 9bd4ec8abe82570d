package websocket

import "strconv"

// An Opcode says what a frame carries (RFC 6455, section 5.2).
type Opcode byte

// The opcodes that RFC 6455 defines. All others are reserved, and a frame that
// bears one is a protocol error.
const (
	OpContinuation Opcode = 0
	OpText         Opcode = 1
	OpBinary       Opcode = 2
	OpClose        Opcode = 8
	OpPing         Opcode = 9
	OpPong         Opcode = 10
)

// IsControl reports whether op is Close, Ping, Pong or one of the opcodes
// reserved for further control frames.
func (op Opcode) IsControl() bool { return op&8 != 0 }

// String returns the opcode's name in lower case.
func (op Opcode) String() string {
	switch op {
	case OpContinuation:
		return "continuation"
	case OpText:
		return "text"
	case OpBinary:
		return "binary"
	case OpClose:
		return "close"
	case OpPing:
		return "ping"
	case OpPong:
		return "pong"
	}
	return "opcode(" + strconv.Itoa(int(op)) + ")"
}

const (
	finBit  = 0x80
	rsv1Bit = 0x40
	rsvBits = 0x70
	maskBit = 0x80

	len16 = 126 // the length is in the next 2 bytes
	len64 = 127 // the length is in the next 8 bytes

	// MaxControlPayload is what a Close, Ping or Pong may carry, in bytes
	// (RFC 6455, section 5.5).
	MaxControlPayload = 125

	maxHeader = 14 // two bytes, a 64-bit length, a mask
)

// header is a frame header as read from the wire.
type header struct {
	op   Opcode
	fin  bool
	rsv1 bool
	size int
	key  uint32 // little-endian, so that byte 0 masks payload byte 0
}

// framing is what decides whether a header is acceptable at this point.
type framing struct {
	open     Opcode // opcode of the unfinished message, 0 if there is none
	deflated bool   // that message is compressed
	held     int    // its payload bytes so far
	deflate  bool   // permessage-deflate was negotiated
	limit    int    // bytes a message may have
}

// parseHeader reads the header at the start of b into h and returns its length,
// 0 while bytes are missing. Each byte is judged as soon as it is there and in
// the same order, so that a header split over reads fails as a whole one does.
func parseHeader(h *header, b []byte, s *framing) (int, *CloseError) {
	if len(b) == 0 {
		return 0, nil
	}
	op := Opcode(b[0] & 0x0f)
	fin, rsv1 := b[0]&finBit != 0, b[0]&rsv1Bit != 0
	switch op {
	case OpText, OpBinary:
		if s.open != 0 {
			return 0, protocolError("data frame inside a fragmented message")
		}
		if b[0]&rsvBits != 0 && (b[0]&rsvBits != rsv1Bit || !s.deflate) {
			return 0, protocolError("reserved bit set")
		}
	case OpContinuation:
		if s.open == 0 {
			return 0, protocolError("continuation without a message")
		}
		if b[0]&rsvBits != 0 {
			return 0, protocolError("reserved bit set")
		}
	case OpClose, OpPing, OpPong:
		if b[0]&rsvBits != 0 {
			return 0, protocolError("reserved bit set")
		}
		if !fin {
			return 0, protocolError("fragmented control frame")
		}
	default:
		return 0, protocolError("reserved opcode")
	}
	if len(b) < 2 {
		return 0, nil
	}
	if b[1]&maskBit == 0 {
		return 0, protocolError("client frame not masked")
	}
	size, n := uint64(b[1]&0x7f), 2
	if op.IsControl() {
		if size > MaxControlPayload {
			return 0, protocolError("control frame too long")
		}
		if op == OpClose && size == 1 {
			return 0, protocolError("close frame of one byte")
		}
	}
	switch size {
	case len16:
		if len(b) < 4 {
			return 0, nil
		}
		size, n = uint64(b[2])<<8|uint64(b[3]), 4
		if size < len16 {
			return 0, protocolError("length not in its shortest form")
		}
	case len64:
		if len(b) < 10 {
			return 0, nil
		}
		size, n = 0, 10
		for _, c := range b[2:10] {
			size = size<<8 | uint64(c)
		}
		if size>>63 != 0 {
			return 0, protocolError("length above 63 bits")
		}
		if size <= 0xffff {
			return 0, protocolError("length not in its shortest form")
		}
	}
	if !op.IsControl() {
		bound := s.limit
		if s.deflated || rsv1 {
			bound = deflatedLimit(bound)
		}
		if s.held > bound || size > uint64(bound-s.held) {
			return 0, errTooBig()
		}
	}
	if len(b) < n+4 {
		return 0, nil
	}
	h.op, h.fin, h.rsv1, h.size = op, fin, rsv1, int(size)
	h.key = uint32(b[n]) | uint32(b[n+1])<<8 | uint32(b[n+2])<<16 | uint32(b[n+3])<<24
	return n + 4, nil
}

// deflatedLimit bounds the compressed form of a message that may have limit
// bytes. A compressor can make data longer: nine bits a byte with the fixed
// Huffman code and nothing to match, and a few bytes of block headers.
func deflatedLimit(limit int) int {
	const slack = 64
	if bound := limit + limit/8 + slack; bound > limit {
		return bound
	}
	return limit // overflow: limit is as good as none
}

package websocket

import "encoding/binary"

// FrameSize returns how many bytes a server's frame with n bytes of payload
// takes on the wire (RFC 6455, section 5.2).
func FrameSize(n int) int {
	switch {
	case n < len16:
		return 2 + n
	case n <= 0xffff:
		return 4 + n
	}
	return 10 + n
}

// AppendFrame appends a server's frame to dst and returns the extended slice:
// FIN set, no mask, payload copied (RFC 6455, section 5.2). compressed sets
// RSV1, for a data message whose payload comes from
// [Compressor.AppendCompressed] (RFC 7692, section 6). The caller keeps control
// frames to MaxControlPayload bytes and text to UTF-8; nothing is checked here.
// Safe for concurrent use; dst and payload belong to the caller and may not
// overlap.
func AppendFrame(dst []byte, op Opcode, compressed bool, payload []byte) []byte {
	b0 := finBit | byte(op)
	if compressed {
		b0 |= rsv1Bit
	}
	dst = appendHeader(dst, b0, 0, len(payload))
	return append(dst, payload...)
}

// AppendMaskedFrame appends a client's frame to dst and returns the extended
// slice: payload is copied and masked with mask (RFC 6455, section 5.3). It
// serves tests and tools; any flag and opcode goes, valid or not. Safe for
// concurrent use; dst and payload belong to the caller and may not overlap.
func AppendMaskedFrame(dst []byte, fin, rsv1 bool, op Opcode, mask [4]byte, payload []byte) []byte {
	b0 := byte(op)
	if fin {
		b0 |= finBit
	}
	if rsv1 {
		b0 |= rsv1Bit
	}
	dst = appendHeader(dst, b0, maskBit, len(payload))
	dst = append(dst, mask[:]...)
	n := len(dst)
	dst = append(dst, payload...)
	unmask(dst[n:], binary.LittleEndian.Uint32(mask[:]))
	return dst
}

func appendHeader(dst []byte, b0, b1 byte, n int) []byte {
	switch {
	case n < len16:
		return append(dst, b0, b1|byte(n))
	case n <= 0xffff:
		return append(dst, b0, b1|len16, byte(n>>8), byte(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, b0, b1|len64), uint64(n))
}

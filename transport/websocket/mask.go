package websocket

import (
	"encoding/binary"
	"math/bits"
)

// unmask XORs b with the repeated key (RFC 6455, section 5.3). The lowest byte
// of key goes with b[0].
func unmask(b []byte, key uint32) {
	k := uint64(key)<<32 | uint64(key)
	// Four words a turn: the loop's own cost is a fifth of the work at one.
	for len(b) >= 32 {
		w := b[:32:32]
		binary.LittleEndian.PutUint64(w[0:], binary.LittleEndian.Uint64(w[0:])^k)
		binary.LittleEndian.PutUint64(w[8:], binary.LittleEndian.Uint64(w[8:])^k)
		binary.LittleEndian.PutUint64(w[16:], binary.LittleEndian.Uint64(w[16:])^k)
		binary.LittleEndian.PutUint64(w[24:], binary.LittleEndian.Uint64(w[24:])^k)
		b = b[32:]
	}
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^k)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= byte(k)
		k >>= 8
	}
}

// rotate returns the key for the bytes after the next n.
func rotate(key uint32, n int) uint32 {
	return bits.RotateLeft32(key, -8*(n&3))
}

package cluster

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"sync"
)

// historySize is how many of its last messages a node can say the subjects of.
const historySize = 1 << 16

// A history is what a node has sent last: of each message the sum of its subject, at
// the place of its number. A node that was cut off asks for it to find out what it
// has missed.
type history struct {
	mu   sync.Mutex
	sums [historySize]uint32
	last uint64 // the number given last
}

// sumOf is the sum of a subject, which is never 0. Two subjects may share one.
func sumOf(subject string) uint32 {
	return crc32.Checksum([]byte(subject), crc32.MakeTable(crc32.Castagnoli)) | 1
}

// next gives a message its number. sum is 0 if it is not one that can be missed.
func (h *history) next(sum uint32) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last++
	h.sums[h.last%historySize] = sum
	return h.last
}

// undo notes that the message of that number was not sent after all.
func (h *history) undo(number uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sums[number%historySize] = 0
}

// between appends to b the numbers and sums of the messages behind from and up to
// to, as far as they are known: the first number, and 4 bytes for each.
func (h *history) between(b []byte, from, to uint64) []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	to = min(to, h.last)
	first := from + 1
	if h.last >= historySize {
		first = max(first, h.last-historySize+1)
	}
	b = binary.BigEndian.AppendUint64(b, first)
	for n := first; n <= to; n++ {
		b = binary.BigEndian.AppendUint32(b, h.sums[n%historySize])
	}
	return b
}

// recalled reads what between has written.
func recalled(b []byte) (first uint64, sums []uint32, err error) {
	if len(b) < 8 || len(b)%4 != 0 {
		return 0, nil, errors.New("cluster: a recall that cannot be read")
	}
	first = binary.BigEndian.Uint64(b)
	for b = b[8:]; len(b) > 0; b = b[4:] {
		sums = append(sums, binary.BigEndian.Uint32(b))
	}
	return first, sums, nil
}

package websocket

import (
	"bufio"
	"io"
	"math"

	"github.com/klauspost/compress/flate"
)

const (
	// What RFC 7692, section 7.2.2 has a receiver put back, and an empty final
	// block, so that the reader finds a proper end.
	deflateTail = "\x00\x00\xff\xff" + "\x01\x00\x00\xff\xff"

	window = 32 << 10

	// Each final block inside a message costs a copy of the window to go on
	// after it. Real senders end a message with one at most.
	maxFinalBlocks = 64

	keepInflated = 64 << 10
	keepFailed   = 2 << 20
	leanMessages = 64
)

// An Inflater inflates compressed messages (RFC 7692, section 7.2.2). The zero
// value is ready; the first use sets up about 40 KB. It serves one goroutine at
// a time: a loop has one for all its connections.
//
// It keeps its output buffer for the next message. One of more than 64 KiB is
// let go after 64 messages in a row that failed or filled less than a quarter of it,
// and one of more than 2 MiB at once after a message that failed. Peers that send what
// is too large, one after the other, so do not cost a new buffer each.
type Inflater struct {
	src  tailReader
	buf  *bufio.Reader
	zr   io.Reader // also a flate.Resetter
	out  []byte
	lean int // messages in a row much smaller than out
}

// Inflate returns src, the payload of one message without context takeover,
// inflated. The result is valid until the next call; src is not kept.
//
// An error is a [*CloseError]: CloseMessageTooBig when the result would exceed
// limit bytes (inflating stops there), CloseInvalidPayload when src is not
// DEFLATE data. RFC 7692 leaves that code open: the framing is in order, it is
// the payload that is not what its frame says, which is what 1007 stands for.
//
// Blocks with BFINAL set may stand anywhere in src (section 7.2.3.4), at most
// 64 of them. An empty src gives an empty result, as receivers on zlib have it.
func (f *Inflater) Inflate(src []byte, limit int) ([]byte, error) {
	out, fail := f.inflate(src, limit)
	if fail != nil {
		return nil, fail
	}
	return out, nil
}

func (f *Inflater) inflate(src []byte, limit int) (out []byte, fail *CloseError) {
	if len(src) == 0 {
		return nil, nil
	}
	defer func() {
		// src is the peer's: should the decompressor trip over it, that ends
		// one connection, not the process.
		if recover() != nil {
			f.zr = nil
			fail = &CloseError{Code: CloseInternalError, Reason: "decompressor failed"}
		}
		f.src.src = nil
		f.settle(len(out), fail != nil)
		if fail != nil {
			out = nil
		}
	}()
	f.src = tailReader{src: src, tail: deflateTail}
	f.start()

	limit = min(max(limit, 0), math.MaxInt-1)
	out = f.out[:0]
	for finals := 0; ; {
		if len(out) == cap(out) {
			out = grow(out, 1, limit+1-len(out))
			f.out = out
		}
		n, err := f.zr.Read(out[len(out):min(cap(out), limit+1)])
		out = out[:len(out)+n]
		if len(out) > limit {
			return out, errTooBig()
		}
		if err == nil {
			continue
		}
		if err != io.EOF {
			return out, &CloseError{Code: CloseInvalidPayload, Reason: "corrupt compressed data"}
		}
		left := f.buf.Buffered() + f.src.left()
		if left == 0 || left == len(deflateTail) {
			return out, nil
		}
		// A final block that is not ours: go on at the next byte.
		if finals++; finals > maxFinalBlocks {
			return out, &CloseError{Code: CloseInvalidPayload, Reason: "too many final blocks"}
		}
		_ = f.zr.(flate.Resetter).Reset(f.buf, out[max(0, len(out)-window):])
	}
}

// start points the reader at f.src.
func (f *Inflater) start() {
	if f.zr == nil {
		f.buf = bufio.NewReaderSize(&f.src, 4<<10)
		f.zr = flate.NewReader(f.buf)
		return
	}
	f.buf.Reset(&f.src)
	_ = f.zr.(flate.Resetter).Reset(f.buf, nil)
}

// settle applies the shrink rule after a message of n bytes.
func (f *Inflater) settle(n int, failed bool) {
	switch {
	case cap(f.out) <= keepInflated || n >= cap(f.out)/4 && !failed:
		f.lean = 0
		return
	case !failed || cap(f.out) <= keepFailed:
		if f.lean++; f.lean < leanMessages {
			return
		}
	}
	f.lean = 0
	f.out = nil
}

// tailReader reads src, then tail.
type tailReader struct {
	src  []byte
	tail string
}

func (r *tailReader) left() int { return len(r.src) + len(r.tail) }

func (r *tailReader) Read(p []byte) (int, error) {
	n := copy(p, r.src)
	r.src = r.src[n:]
	k := copy(p[n:], r.tail)
	r.tail = r.tail[k:]
	if n+k == 0 {
		return 0, io.EOF
	}
	return n + k, nil
}

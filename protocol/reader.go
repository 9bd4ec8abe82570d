package protocol

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
)

const (
	// minBuffer is what a reader starts with: most packets are small, and most connections quiet.
	minBuffer = 4 << 10
	// keepBuffer is what a reader or writer may hold on to between packets.
	keepBuffer = 64 << 10

	maxEmptyReads = 100
)

// Reader takes packets off a stream. It reads ahead, so that one read of the stream may yield many packets, and is for
// one goroutine at a time.
//
// Its memory follows the bytes that arrived, never the length a header claims, and shrinks again after a large packet.
type Reader struct {
	src       io.Reader
	limit     int
	heartbeat []byte

	buf   []byte
	start int // buf[start:end] has been read from src and not yet been consumed
	end   int
	used  int   // bytes of the packet returned last, which stay in place until the next call
	err   error // came from src together with bytes; due once they are consumed
}

// NewReader returns a reader of packets from src. The limit is the largest packet it accepts, in bytes of command number
// and body, heartbeats included; 0 or less means [DefaultLimit], and values above 2 GiB count as 2 GiB. A packet equal
// to heartbeat, which is copied, counts as a heartbeat; empty means [DefaultHeartbeat].
func NewReader(src io.Reader, limit int, heartbeat []byte) *Reader {
	if len(heartbeat) == 0 {
		heartbeat = []byte(DefaultHeartbeat)
	}
	return &Reader{src: src, limit: limitOf(limit), heartbeat: bytes.Clone(heartbeat)}
}

// Next returns the next packet, waiting for it if need be. Heartbeats are returned too, so that the caller can renew a
// deadline for them as for any packet. The body belongs to the reader and is valid until the following call to Next;
// copy what must live longer.
//
// The error is io.EOF where the stream ends between two packets, and io.ErrUnexpectedEOF where it ends inside one. A
// packet above the limit gives a [*PacketTooLargeError] as soon as its length is known, and one that can hold neither a
// command nor a heartbeat gives [ErrShortPacket]: there is no way on from either, and the connection should be closed.
// Errors of the stream are returned as they are. What has arrived is kept, so that Next may be called again after one
// that passes, such as a time-out.
func (r *Reader) Next() (Packet, error) {
	r.release()
	if err := r.fill(lengthSize); err != nil {
		return Packet{}, err
	}
	declared := binary.BigEndian.Uint32(r.buf[r.start:])
	if err := r.check(declared); err != nil {
		return Packet{}, err
	}
	size := int(declared)
	if err := r.fill(lengthSize + size); err != nil {
		return Packet{}, err
	}
	content := r.buf[r.start+lengthSize:][:size:size]
	var p Packet
	switch {
	case bytes.Equal(content, r.heartbeat):
		p.heartbeat = true
	case size < cmdSize:
		return Packet{}, ErrShortPacket
	default:
		p.Cmd = Cmd_Number(int32(binary.BigEndian.Uint32(content)))
		p.Body = content[cmdSize:]
	}
	r.used = lengthSize + size
	return p, nil
}

// Ready reports whether the next call to [Reader.Next] can answer out of what has been read already. A server that
// batches its replies flushes them when Ready is false, before it waits. It must not be called during Next.
func (r *Reader) Ready() bool {
	unread := r.buf[r.start+r.used : r.end]
	if len(unread) < lengthSize {
		return r.err != nil
	}
	declared := binary.BigEndian.Uint32(unread)
	return r.err != nil || r.check(declared) != nil || len(unread)-lengthSize >= int(declared)
}

// check judges a packet by its length alone.
func (r *Reader) check(declared uint32) error {
	if int64(declared) > int64(r.limit) {
		return &PacketTooLargeError{Size: int64(declared), Limit: r.limit}
	}
	if declared < cmdSize && int(declared) != len(r.heartbeat) {
		return ErrShortPacket
	}
	return nil
}

// release gives up the packet returned last, and the buffer with it if that packet made it large.
func (r *Reader) release() {
	r.start += r.used
	r.used = 0
	unread := r.end - r.start
	switch {
	case len(r.buf) > keepBuffer && unread <= keepBuffer:
		var small []byte
		if unread > 0 {
			small = make([]byte, max(unread, minBuffer))
			copy(small, r.buf[r.start:r.end])
		}
		r.buf, r.start, r.end = small, 0, unread
	case unread == 0 && r.end < len(r.buf):
		r.start, r.end = 0, 0
	}
}

// fill reads until n bytes of the stream are at hand.
func (r *Reader) fill(n int) error {
	for empty := 0; r.end-r.start < n; {
		if err := r.err; err != nil {
			r.err = nil
			return r.ended(err)
		}
		r.makeRoom(n)
		count, err := r.src.Read(r.buf[r.end:])
		if count < 0 || count > len(r.buf)-r.end {
			return errors.New("protocol: stream returned an impossible count from Read")
		}
		r.end += count
		r.err = err
		if count > 0 || err != nil {
			empty = 0
			continue
		}
		if empty++; empty == maxEmptyReads {
			return io.ErrNoProgress
		}
	}
	return nil
}

// makeRoom leaves space for at least one byte behind r.end, on the way to n bytes from r.start. A buffer that was
// filled to the brim doubles: either the packet needs it, or the stream is busy enough to be read in larger pieces.
func (r *Reader) makeRoom(n int) {
	buf := r.buf
	switch {
	case r.end == len(buf):
		if size := min(max(2*len(buf), minBuffer), max(n, keepBuffer)); size > len(buf) {
			buf = make([]byte, size)
		}
	case r.start == 0 || len(buf)-r.start >= n:
		return
	}
	r.end = copy(buf, r.buf[r.start:r.end])
	r.start = 0
	r.buf = buf
}

func (r *Reader) ended(err error) error {
	if err == io.EOF && r.end > r.start { //nolint:errorlint // io.Reader ends with io.EOF itself
		return io.ErrUnexpectedEOF
	}
	return err
}

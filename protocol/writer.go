package protocol

import (
	"io"

	"google.golang.org/protobuf/proto"
)

// Writer puts packets on a stream. It gathers them until Flush, or until 64 KiB are waiting, and is for one goroutine at
// a time.
//
// A failed write may have sent half a packet: after one, every call returns its error, and nothing more is sent. The
// connection should be closed. Those that add a packet may be the ones that write.
type Writer struct {
	dst   io.Writer
	limit int
	buf   []byte
	err   error
}

// NewWriter returns a writer of packets to dst. The limit is the largest packet it lets through, in bytes of command
// number and body: set it to what the other side accepts. 0 or less means [DefaultLimit], and values above 2 GiB count
// as 2 GiB.
func NewWriter(dst io.Writer, limit int) *Writer {
	return &Writer{dst: dst, limit: limitOf(limit)}
}

// Write adds the packet of command cmd with m as its body; a nil m stands for an empty body. The message is encoded
// before Write returns. A message above the limit gives a [*PacketTooLargeError] and one that cannot be encoded its own
// error; neither leaves anything in the stream, and the writer stays usable. Write blocks on the stream only when
// enough is waiting.
func (w *Writer) Write(cmd Cmd_Number, m proto.Message) error {
	if w.err != nil {
		return w.err
	}
	buf, err := appendPacket(w.buf, cmd, m, w.limit)
	return w.added(buf, err)
}

// WriteRaw is [Writer.Write] for a body that is encoded already, which is copied.
func (w *Writer) WriteRaw(cmd Cmd_Number, body []byte) error {
	if w.err != nil {
		return w.err
	}
	buf, err := appendRawPacket(w.buf, cmd, body, w.limit)
	return w.added(buf, err)
}

// WriteHeartbeat adds a heartbeat; the text is copied, and an empty one stands for [DefaultHeartbeat].
func (w *Writer) WriteHeartbeat(heartbeat []byte) error {
	if w.err != nil {
		return w.err
	}
	return w.added(AppendHeartbeat(w.buf, heartbeat), nil)
}

// Buffered returns the number of bytes that wait for [Writer.Flush].
func (w *Writer) Buffered() int { return len(w.buf) }

// Flush sends what is waiting with one call to the stream's Write, and blocks as long as that does. It does nothing when
// nothing is.
func (w *Writer) Flush() error {
	if w.err != nil || len(w.buf) == 0 {
		return w.err
	}
	n, err := w.dst.Write(w.buf)
	if err == nil && n != len(w.buf) {
		err = io.ErrShortWrite
	}
	w.err = err
	w.buf = w.buf[:0]
	if cap(w.buf) > 2*keepBuffer || err != nil {
		w.buf = nil
	}
	return err
}

func (w *Writer) added(buf []byte, err error) error {
	w.buf = buf
	if err != nil {
		return err
	}
	if len(buf) >= keepBuffer {
		return w.Flush()
	}
	return nil
}

package load

import (
	"encoding/binary"

	"github.com/sluicegate/sluice/transport/websocket"
)

// frames finds the messages in what a server has sent. Of a message that does not
// fit into the reader's buffer only the beginning is kept, as that says all.
type frames struct {
	skip int  // bytes of the payload under way that are still to come, and not looked at
	fin  bool // the frame under way ends its message
	kept []byte
}

// keep is how much of a message that comes in pieces is kept.
const keep = 128

// next takes the first frame of b, or what there is of it. It returns how many
// bytes it has used, and the opcode and data of the message or control frame that
// has come to its end, if there is one. data is part of b, or valid until the next
// call. If it uses nothing, it needs more than b.
func (f *frames) next(b []byte) (used int, op websocket.Opcode, data []byte, done bool) {
	if f.skip > 0 {
		used = min(f.skip, len(b))
		if f.skip -= used; f.skip > 0 || !f.fin {
			return used, 0, nil, false
		}
		data, f.kept = f.kept, f.kept[:0]
		return used, websocket.OpText, data, true
	}
	if len(b) < 2 {
		return 0, 0, nil, false
	}
	op = websocket.Opcode(b[0] & 15)
	fin := b[0]&0x80 != 0
	head, size := 2, int(b[1]&0x7f)
	switch size {
	case 126:
		if len(b) < 4 {
			return 0, 0, nil, false
		}
		head, size = 4, int(binary.BigEndian.Uint16(b[2:]))
	case 127:
		if len(b) < 10 {
			return 0, 0, nil, false
		}
		head, size = 10, int(binary.BigEndian.Uint64(b[2:])&(1<<62-1))
	}
	end := head + size
	if fin && len(b) >= end && op != websocket.OpContinuation {
		return end, op, b[head:end], true
	}
	if op.IsControl() || size <= keep && len(b) < end {
		return 0, 0, nil, false
	}
	return f.begin(b, head, size, fin)
}

// begin takes the first piece of a frame that is one of several, or too large.
func (f *frames) begin(b []byte, head, size int, fin bool) (used int, op websocket.Opcode, data []byte, done bool) {
	want := min(size, max(0, keep-len(f.kept)))
	if len(b) < head+want {
		return 0, 0, nil, false
	}
	f.kept = append(f.kept, b[head:head+want]...)
	f.skip, f.fin = size-want, fin
	if f.skip > 0 || !fin {
		return head + want, 0, nil, false
	}
	data, f.kept = f.kept, f.kept[:0]
	return head + want, websocket.OpText, data, true
}

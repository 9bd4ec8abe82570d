package load

import (
	"bytes"
	"slices"
	"testing"

	"github.com/sluicegate/sluice/transport/websocket"
)

func TestFramesAreFoundHoweverTheyAreCut(t *testing.T) {
	t.Parallel()
	small, long := bytes.Repeat([]byte("s"), 100), bytes.Repeat([]byte("l"), 300)
	huge := bytes.Repeat([]byte("h"), 70_000)
	piece := func(fin bool, op websocket.Opcode, data []byte) []byte {
		f := websocket.AppendFrame(nil, op, false, data)
		if !fin {
			f[0] &^= 0x80
		}
		return f
	}
	in := slices.Concat(
		piece(true, websocket.OpText, small), piece(true, websocket.OpPing, []byte("ping")),
		piece(true, websocket.OpText, nil), piece(true, websocket.OpText, long), piece(true, websocket.OpBinary, huge),
		piece(false, websocket.OpText, small), piece(false, websocket.OpContinuation, small), piece(true, websocket.OpContinuation, small),
		piece(true, websocket.OpText, []byte("end")),
	)
	want := []string{string(small), "ping", "", string(long), string(huge), string(small) + string(small) + string(small), "end"}
	for _, size := range []int{1, 2, 7, 127, 128, 129, 1000, 4096} {
		var f frames
		var got []string
		var buf []byte
		for rest := in; len(rest) > 0; {
			n := min(size, len(rest))
			buf, rest = append(buf, rest[:n]...), rest[n:]
			for {
				used, _, data, done := f.next(buf)
				if done {
					got = append(got, string(data))
				}
				buf = buf[used:]
				if used == 0 {
					break
				}
			}
			if len(buf) > keep+10 {
				t.Fatalf("cut to %d: %d bytes wait", size, len(buf))
			}
		}
		if len(got) != len(want) {
			t.Fatalf("cut to %d: %d messages, want %d", size, len(got), len(want))
		}
		for i := range want {
			if w := want[i]; got[i] != w && (len(w) <= keep || got[i] != w[:keep]) {
				t.Errorf("cut to %d: message %d is %q", size, i, got[i])
			}
		}
	}
}

package websocket

import (
	"bytes"
	"encoding/binary"
	"testing"
)

func TestUnmask(t *testing.T) {
	key := [4]byte{1, 2, 3, 4}
	k := binary.LittleEndian.Uint32(key[:])
	for n := range 200 {
		for off := range 9 {
			buf := make([]byte, off+n+9)
			for i := range buf {
				buf[i] = byte(i * 7)
			}
			want := bytes.Clone(buf)
			for i := range n {
				want[off+i] ^= key[i&3]
			}
			got := bytes.Clone(buf)
			unmask(got[off:off+n], k)
			if !bytes.Equal(got, want) {
				t.Fatalf("%d bytes at %d:\ngot  % x\nwant % x", n, off, got, want)
			}
			for cut := range min(n+1, 12) {
				got = append(got[:0], buf...)
				unmask(got[off:off+cut], k)
				unmask(got[off+cut:off+n], rotate(k, cut))
				if !bytes.Equal(got, want) {
					t.Fatalf("%d bytes at %d cut at %d", n, off, cut)
				}
			}
		}
	}
}

package websocket

import (
	"sync"

	"github.com/klauspost/compress/flate"
)

// A Compressor compresses messages without context takeover (RFC 7692, section
// 7.2.1), so that one compressed message serves any number of receivers. It is
// safe for concurrent use.
//
// Its working memory, about a megabyte for each call that runs at the same time
// (0.3 MB at levels -2 and 0), is kept in a pool of its own and given back to
// the garbage collector when unused.
type Compressor struct {
	level int
	pool  sync.Pool // of *deflater
}

type deflater struct {
	zw  *flate.Writer
	dst sliceWriter
}

type sliceWriter struct{ b []byte }

func (w *sliceWriter) Write(p []byte) (int, error) {
	w.b = append(w.b, p...)
	return len(p), nil
}

// NewCompressor returns a Compressor for a level from 1 (fast) to 9 (small), 0
// (stored), -1 (a default) or -2 (Huffman coding only). Other levels are an
// error.
func NewCompressor(level int) (*Compressor, error) {
	c := &Compressor{level: level}
	d, err := c.newDeflater()
	if err != nil {
		return nil, err
	}
	c.pool.Put(d)
	return c, nil
}

func (c *Compressor) newDeflater() (*deflater, error) {
	d := new(deflater)
	zw, err := flate.NewWriter(&d.dst, c.level)
	d.zw = zw
	return d, err
}

// AppendCompressed appends payload to dst, compressed and without the four
// bytes 00 00 ff ff at its end, and returns the extended slice: what
// [AppendFrame] takes with compressed set. Neither slice is kept; they may not
// overlap. The result can be longer than payload, for which sending it plain
// is then the better choice.
func (c *Compressor) AppendCompressed(dst, payload []byte) []byte {
	d, _ := c.pool.Get().(*deflater)
	if d == nil {
		d, _ = c.newDeflater() // NewCompressor has tried this level
	}
	d.dst.b = dst
	d.zw.Reset(&d.dst)
	_, _ = d.zw.Write(payload) // a sliceWriter never fails, so neither does this
	_ = d.zw.Flush()
	dst = d.dst.b
	d.dst.b = nil
	c.pool.Put(d)
	return dst[:len(dst)-4]
}

package gateway

import (
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/websocket"
)

// encode makes the one frame that all recipients of a message share.
// Compressing is left out while no client could read the result.
func (g *Gateway) encode(data []byte) *transport.Frame {
	op := websocket.OpText
	if g.cfg.Binary {
		op = websocket.OpBinary
	}
	f, room := newFrame(websocket.FrameSize(len(data)))
	f.Plain, f.Messages = websocket.AppendFrame(room, op, false, data), 1
	if g.deflate != nil && len(data) >= g.cfg.CompressionMin && g.deflating.Load() > 0 {
		if small := g.deflate.AppendCompressed(nil, data); len(small) < len(data) {
			f.Deflated = websocket.AppendFrame(make([]byte, 0, websocket.FrameSize(len(small))), op, true, small)
		}
	}
	return f
}

// smallFrame is how many bytes of a frame are held in one piece of memory with it:
// most messages are small, and each takes one allocation less.
const smallFrame = 128

// newFrame returns a frame, and room for so many bytes of it.
func newFrame(size int) (*transport.Frame, []byte) {
	if size > smallFrame {
		return new(transport.Frame), make([]byte, 0, size)
	}
	f := new(struct {
		transport.Frame
		bytes [smallFrame]byte
	})
	return &f.Frame, f.bytes[:0]
}

// farewell is encode for data that are sent only if there are any.
func (g *Gateway) farewell(data []byte) *transport.Frame {
	if len(data) == 0 {
		return nil
	}
	return g.encode(data)
}

// join makes one frame of several.
func join(frames []*transport.Frame) *transport.Frame {
	all := new(transport.Frame)
	var plain, deflated int
	compressed := false
	for _, f := range frames {
		plain += len(f.Plain)
		deflated += len(variant(f))
		compressed = compressed || f.Deflated != nil
		all.Messages += f.Messages
	}
	all.Plain = make([]byte, 0, plain)
	for _, f := range frames {
		all.Plain = append(all.Plain, f.Plain...)
	}
	if compressed {
		all.Deflated = make([]byte, 0, deflated)
		for _, f := range frames {
			all.Deflated = append(all.Deflated, variant(f)...)
		}
	}
	return all
}

// variant is f for a client with compression.
func variant(f *transport.Frame) []byte {
	if f.Deflated != nil {
		return f.Deflated
	}
	return f.Plain
}

// size is what f holds in memory.
func size(f *transport.Frame) int {
	if f == nil {
		return 0
	}
	return len(f.Plain) + len(f.Deflated)
}

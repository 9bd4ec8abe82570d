package gateway

import (
	"math"

	"github.com/sluicegate/sluice/transport"
)

// gapTeller returns which of the GapTellers, counted from 1, a client has asked
// for, or 0.
func (g *Gateway) gapTeller(hs transport.Handshake) uint8 {
	for i, t := range g.hooks.gaps[:min(len(g.hooks.gaps), math.MaxUint8)] {
		if t.WantsGaps(hs.Request()) {
			return uint8(i + 1)
		}
	}
	return 0
}

// gap words what c is told of messages that are missing.
func (g *Gateway) gap(c transport.Conn, messages int64) *transport.Frame {
	p := peerOf(c)
	if p.gaps == 0 {
		return nil
	}
	data := g.hooks.gaps[p.gaps-1].Gap(uniqIDOf(p), messages)
	if len(data) == 0 {
		return nil
	}
	f := g.encode(data)
	f.Messages = 0 // no command has sent it
	return f
}

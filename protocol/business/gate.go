package business

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"sync/atomic"

	"github.com/sluicegate/sluice/internal/spread"
	"github.com/sluicegate/sluice/protocol"
)

// A gate is one gateway: its worker connection and its lanes.
type gate struct {
	addr  Gateway
	lanes []*lane
	link  *link // nil if no events are wanted
	// node is how the ids of its clients begin, 0 if not known yet. What
	// clients' ids show goes before the address at which it is reached.
	node  atomic.Uint64
	fixed bool
	shown atomic.Bool
}

func newGate(c *Client, addr Gateway) *gate {
	g := &gate{addr: addr}
	if addr.Node != (protocol.Node{}) {
		g.node.Store(nodeNumber(addr.Node))
		g.fixed = true
	}
	for range c.cfg.TaskConns {
		g.lanes = append(g.lanes, newLane(c, g))
	}
	if addr.Worker != "" && c.cfg.Router != nil {
		g.link = newLink(c, g)
	}
	return g
}

// barrier returns when everything that was put into the lanes has been carried
// out.
func (g *gate) barrier(ctx context.Context) error {
	return spread.Each(g.lanes, func(l *lane) error { return l.barrier(ctx) })
}

// learnAddr takes the address at which the gateway is reached for its node.
func (g *gate) learnAddr(a net.Addr) {
	if g.fixed || g.shown.Load() {
		return
	}
	if ap, err := netip.ParseAddrPort(a.String()); err == nil {
		if node, err := protocol.NodeFromAddr(ap); err == nil {
			g.node.Store(nodeNumber(node))
		}
	}
}

// learnID takes the node out of the id of one of the gateway's clients.
func (g *gate) learnID(uniqID string) {
	if g.fixed || g.shown.Load() {
		return
	}
	if id, err := protocol.ParseUniqID(uniqID); err == nil {
		g.node.Store(nodeNumber(id.Node))
		g.shown.Store(true)
	}
}

// nodeNumber is a node as a number that can be stored atomically. It is not 0,
// whatever the node.
func nodeNumber(n protocol.Node) uint64 {
	return 1<<48 | uint64(binary.BigEndian.Uint32(n[:4]))<<16 | uint64(binary.BigEndian.Uint16(n[4:]))
}

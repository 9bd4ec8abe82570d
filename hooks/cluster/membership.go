package cluster

import (
	"context"
	"encoding/binary"
	"time"
)

// announce asks the others to say that they are there.
func (c *Cluster) announce() { c.control(c.subjects.all(), c.presence(kindHello)) }

// establish tells them that this node accepts clients.
func (c *Cluster) establish() {
	c.established.Store(true)
	c.control(c.subjects.all(), c.presence(kindAlive))
}

// takeLeave tells them that it goes, and waits a while for that to be sent.
func (c *Cluster) takeLeave() {
	b, _ := c.encode(header{kind: kindLeave}, nil, nil) // nothing to encode
	c.control(c.subjects.all(), b)
	c.outbox.close()
	select {
	case <-c.sent:
	case <-time.After(flushTime):
	}
	if c.link.up.Load() {
		_ = c.link.conn.FlushTimeout(flushTime) // if not, they will miss us
	}
}

// presence makes a message that says that the node is there, and what holds for all.
func (c *Cluster) presence(k kind) []byte {
	h := header{kind: k}
	if c.established.Load() {
		h.flags = flagEstablished
	}
	dead := time.Duration(c.cfg.MissedHeartbeats) * c.cfg.Heartbeat
	b, _ := c.encode(h, c.limits.put(binary.AppendUvarint(nil, uint64(dead))), nil) // nothing to encode
	return b
}

// beat says again and again that the node is there, and looks for those that no
// longer are, until ctx ends.
func (c *Cluster) beat(ctx context.Context) {
	tick := time.NewTicker(c.cfg.Heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			if !c.link.up.Load() {
				continue // whom it does not hear may be there
			}
			c.control(c.subjects.all(), c.presence(kindAlive))
			c.reportUnsent()
			for _, m := range c.members.silent(now) {
				c.remove(m, MemberLost)
			}
		}
	}
}

// present handles a hello and a sign of life.
func (c *Cluster) present(h *header, body []byte) {
	if h.kind != kindHello && h.kind != kindAlive {
		return
	}
	dead, size := binary.Uvarint(body)
	if size <= 0 || dead > uint64(24*time.Hour) {
		c.malformed(h, errShort)
		return
	}
	if h.from.node == c.self.node {
		c.rival(h)
		return
	}
	if h.kind == kindHello {
		c.control(c.subjects.node(h.from.node), c.presence(kindAlive))
	}
	c.takeLimits(body[size:])
	if h.flags&flagEstablished == 0 {
		return
	}
	m := c.members.of(h.from.node)
	if m != nil && m.instance == h.from.instance {
		return
	}
	if m != nil { // it came back, and has not taken its leave
		c.remove(m, MemberLost)
	}
	c.members.change(newMember(h.from, time.Duration(dead)), nil)
	c.counts.joined.Add(1)
	c.log.Info("node joined", "node", h.from.node.String(), "nodes", len(c.members.all()))
	c.tellMember(MemberEvent{Node: h.from.node, Change: MemberJoined, Nodes: len(c.members.all())})
}

// rival handles a message from another process that has the same node. Of two that
// come at the same time, or find each other when both are there, one goes on.
func (c *Cluster) rival(h *header) {
	theirs, mine := h.flags&flagEstablished != 0, c.established.Load()
	if theirs != mine {
		if theirs {
			c.fail(ErrNodeTaken)
		} else {
			c.control(c.subjects.node(c.self.node), c.presence(kindAlive))
		}
		return
	}
	if h.from.instance < c.self.instance {
		c.fail(ErrNodeTaken)
	} else if h.kind == kindHello || mine {
		c.control(c.subjects.node(c.self.node), c.presence(kindAlive))
	}
}

// left handles a node's leave.
func (c *Cluster) left(h *header) {
	if m := c.members.of(h.from.node); m != nil && m.instance == h.from.instance {
		c.remove(m, MemberLeft)
	}
}

// remove takes a node off the list. Whoever waits for its answer waits no longer.
func (c *Cluster) remove(m *member, why MemberChange) {
	c.members.change(nil, m)
	c.questions.gone(m, why == MemberLeft)
	count := &c.counts.left
	if why == MemberLost {
		count = &c.counts.lost
	}
	count.Add(1)
	c.log.Info("node gone", "node", m.node.String(), "change", string(why), "nodes", len(c.members.all()))
	c.tellMember(MemberEvent{Node: m.node, Change: why, Nodes: len(c.members.all())})
}

func (c *Cluster) tellMember(e MemberEvent) {
	if c.cfg.OnMember == nil {
		return
	}
	c.telling.Lock()
	defer c.telling.Unlock()
	defer c.rescue("OnMember")
	c.cfg.OnMember(e)
}

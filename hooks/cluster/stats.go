package cluster

import (
	"sync/atomic"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/sampled"
)

// counts are what a node has counted.
type counts struct {
	sent, sentBytes, received, receivedBytes atomic.Int64
	unsent, unsentTold, missed               atomic.Int64
	malformed, silent, reconnects            atomic.Int64
	joined, left, lost                       atomic.Int64
}

// noise are log records that others can cause.
type noise struct {
	trouble, full, failed, malformed, panics sampled.Event
}

// Stats implements [hooks.Cluster].
func (c *Cluster) Stats() hooks.ClusterStats {
	n := &c.counts
	return hooks.ClusterStats{
		Connected: c.link.up.Load(), Nodes: len(c.members.all()), Topics: c.interest.size(),
		Sent: n.sent.Load(), SentBytes: n.sentBytes.Load(), Received: n.received.Load(), ReceivedBytes: n.receivedBytes.Load(),
		Unsent: n.unsent.Load(), Missed: n.missed.Load(), Malformed: n.malformed.Load(), Silent: n.silent.Load(),
		Outgoing: c.outbox.waits(), OutgoingLimit: int64(c.cfg.OutgoingLimit),
		Incoming: c.inbox.waits(), IncomingLimit: int64(c.cfg.IncomingLimit),
		Joined: n.joined.Load(), Left: n.left.Load(), Lost: n.lost.Load(), Reconnects: n.reconnects.Load(),
	}
}

// logTrouble logs what goes wrong with NATS.
func (c *Cluster) logTrouble(what string, err error) {
	if n, ok := c.noise.trouble.Next(); ok {
		c.log.Warn("cluster trouble", "what", what, "error", err, "suppressed", n)
	}
}

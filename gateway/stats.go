package gateway

import (
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/transport"
)

// Stats is what a gateway has counted since it was made. When nothing is under
// way, the counts are exact: every message for a client that a command was
// taken for is in MessagesOut or in one of Drops. Bytes are without frame headers
// unless it says otherwise.
type Stats struct {
	// Clients is how many clients are open now.
	Clients int
	// Customers and Topics are how many of them clients have now.
	Customers, Topics int
	// Held is how many bytes of Config.MemoryBudget are in use now, and HeldLimit
	// how many there are.
	Held, HeldLimit int64
	// Opened and Closed count clients.
	Opened, Closed int64
	// Closes counts those that are closed by how they ended. The map is the
	// caller's.
	Closes map[CloseKind]int64
	// Heartbeats counts heartbeat messages, pings and pongs.
	Heartbeats int64
	// MessagesIn and BytesIn count messages from clients, heartbeats aside.
	MessagesIn, BytesIn int64
	// Events and EventBytes count what was forwarded to the Router: opens,
	// messages and closes, and the bytes of the messages.
	Events, EventBytes int64
	// MessagesOut and BytesOut count messages that clients' sockets have
	// taken, and their bytes with frame headers.
	MessagesOut, BytesOut int64
	// Stuck is how many calls of the Router, of Authenticators and of Admitters
	// have been under way for longer than Config.StuckAfter, and how many event
	// loops are held up for so long. Each is logged.
	Stuck int64
	// OpensLimited counts handshakes that the Limiter refused.
	OpensLimited int64
	// Refused counts handshakes that were valid and refused all the same, by
	// reason; all reasons are there. The map is the caller's.
	Refused map[RefuseReason]int64
	// FailedSends counts events that hooks.Forwarders could not hand over.
	FailedSends int64
	// Drops counts, by reason, what was not delivered; all reasons are there.
	// Messages for clients that a command names but that are not there count
	// one for each name. The map is the caller's.
	Drops map[hooks.DropReason]DropCount

	// Workers is what those goroutines do that call the Router. With
	// Config.Inline they have nothing to do.
	Workers WorkerStats
	// Loops is what each event loop does, by transport and index. The slice is
	// the caller's.
	Loops []LoopStats
	// LoopLag is how long loops take to get to what is posted to them, in
	// seconds: each that has clients is asked once a second.
	LoopLag transport.Histogram
	// Cluster is what Config.Cluster has counted; all zero without one.
	Cluster hooks.ClusterStats
	// LoopLate is how long a loop has been asked that has not answered yet, the
	// longest if there are several.
	LoopLate time.Duration
}

// WorkerStats is what workers do now.
type WorkerStats struct {
	// Limit is Config.Workers.
	Limit int
	// Running is how many there are, and Busy how many of them are in a call.
	Running, Busy int
	// Waiting is how many clients have something for the Router and no worker.
	Waiting int
}

// DropCount is how much was dropped.
type DropCount struct {
	// Messages and Bytes are as in a hooks.DropEvent.
	Messages, Bytes int64
}

const reasonCount = 12

// reasons fixes the order of the drop counters.
func reasons() [reasonCount]hooks.DropReason {
	return [...]hooks.DropReason{
		hooks.DropClosed, hooks.DropSlow, hooks.DropFailed, hooks.DropUnknown, hooks.DropOverload,
		hooks.DropStopped, hooks.DropLimited, hooks.DropClientLimited, hooks.DropBacklog, hooks.DropMalformed,
		hooks.DropSuperseded, hooks.DropBudget,
	}
}

type counters struct {
	opened, closed, heartbeats, messagesIn, bytesIn, events, eventBytes,
	messagesOut, bytesOut atomic.Int64
	closes  closes
	refused [refuseCount]atomic.Int64
	drops   [reasonCount]struct{ messages, bytes atomic.Int64 }
}

func (c *counters) forwarded(bytes int) {
	c.events.Add(1)
	c.eventBytes.Add(int64(bytes))
}

// Stats returns the counts so far.
func (g *Gateway) Stats() Stats {
	c := &g.stats
	s := Stats{
		Clients: g.reg.Len(), Customers: g.reg.CustomerLen(), Topics: g.reg.TopicLen(),
		Held: g.budget.Used(), HeldLimit: int64(g.cfg.MemoryBudget), Stuck: g.watch.stuck.Load(), Opened: c.opened.Load(), Closed: c.closed.Load(), Heartbeats: c.heartbeats.Load(),
		MessagesIn: c.messagesIn.Load(), BytesIn: c.bytesIn.Load(), Events: c.events.Load(), EventBytes: c.eventBytes.Load(),
		MessagesOut: c.messagesOut.Load(), BytesOut: c.bytesOut.Load(),
		OpensLimited: c.refused[refusedLimited].Load(), FailedSends: g.failedSends(),
		Closes: c.closes.counts(), Refused: make(map[RefuseReason]int64), Drops: make(map[hooks.DropReason]DropCount),
		Workers: g.workers.stats(), Loops: g.loops.stats(), LoopLag: g.lag.times.Snapshot(), LoopLate: g.lag.late(),
	}
	if c := g.cfg.Cluster; c != nil {
		s.Cluster = c.Stats()
	}
	for i, r := range refuseReasons() {
		s.Refused[r] = c.refused[i].Load()
	}
	for i, r := range reasons() {
		s.Drops[r] = DropCount{c.drops[i].messages.Load(), c.drops[i].bytes.Load()}
	}
	return s
}

func (g *Gateway) failedSends() (n int64) {
	for _, f := range g.hooks.forwarders {
		n += g.failedSendsOf(f)
	}
	return n
}

// drop counts messages that are not delivered and tells the observers.
func (g *Gateway) drop(uniqID string, reason hooks.DropReason, messages, bytes int64) {
	for i, r := range reasons() {
		if r == reason {
			g.stats.drops[i].messages.Add(messages)
			g.stats.drops[i].bytes.Add(bytes)
		}
	}
	if len(g.hooks.drops) > 0 {
		g.tell(hooks.DropEvent{UniqID: uniqID, Reason: reason, Messages: messages, Bytes: bytes})
	}
}

// tell keeps an observer's panic away from whoever delivers.
func (g *Gateway) tell(e hooks.DropEvent) {
	defer g.rescue("drop observer", e.UniqID, nil)
	for _, o := range g.hooks.drops {
		o.Dropped(e)
	}
}

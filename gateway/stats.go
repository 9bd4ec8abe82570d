package gateway

import (
	"sync/atomic"

	"github.com/sluicegate/sluice/hooks"
)

// Stats is what a gateway has counted since it was made. When nothing is under
// way, the counts are exact: every message for a client that a command was
// taken for is in MessagesOut or in one of Drops. Bytes are without frame headers
// unless it says otherwise.
type Stats struct {
	// Clients is how many clients are open now.
	Clients int
	// Held is how many bytes of Config.MemoryBudget are in use now.
	Held int64
	// Opened and Closed count clients.
	Opened, Closed int64
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
	// FailedSends counts events that hooks.Forwarders could not hand over.
	FailedSends int64
	// Drops counts, by reason, what was not delivered; all reasons are there.
	// Messages for clients that a command names but that are not there count
	// one for each name. The map is the caller's.
	Drops map[hooks.DropReason]DropCount
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
	messagesOut, bytesOut, opensLimited atomic.Int64
	drops [reasonCount]struct{ messages, bytes atomic.Int64 }
}

func (c *counters) forwarded(bytes int) {
	c.events.Add(1)
	c.eventBytes.Add(int64(bytes))
}

// Stats returns the counts so far.
func (g *Gateway) Stats() Stats {
	c := &g.stats
	s := Stats{
		Clients: g.reg.Len(), Held: g.budget.Used(), Stuck: g.watch.stuck.Load(), Opened: c.opened.Load(), Closed: c.closed.Load(), Heartbeats: c.heartbeats.Load(),
		MessagesIn: c.messagesIn.Load(), BytesIn: c.bytesIn.Load(), Events: c.events.Load(), EventBytes: c.eventBytes.Load(),
		MessagesOut: c.messagesOut.Load(), BytesOut: c.bytesOut.Load(), OpensLimited: c.opensLimited.Load(),
		FailedSends: g.failedSends(),
		Drops:       make(map[hooks.DropReason]DropCount),
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

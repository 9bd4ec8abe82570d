package business

import "sync/atomic"

// Stats is what a Client has counted since it was made.
type Stats struct {
	// Received counts events from gateways, Handled those whose handler has
	// returned.
	Received, Handled int64
	// Sent counts commands that were written, questions aside.
	Sent int64
	// Lost counts commands that were written to a connection which broke
	// before anything showed that they were carried out, and those that were
	// left over when Run ended.
	Lost int64
	// Dropped counts commands that were given up as connections ended, again
	// and again, while they were written. They are not among those lost.
	Dropped int64
	// Reconnects counts connections that broke or could not be made.
	Reconnects int64
}

type counters struct{ received, handled, sent, lost, dropped, reconnects atomic.Int64 }

// Stats returns the counts so far. It may be called while Run runs and after.
func (c *Client) Stats() Stats {
	s := &c.stats
	return Stats{
		Received: s.received.Load(), Handled: s.handled.Load(), Sent: s.sent.Load(),
		Lost: s.lost.Load(), Dropped: s.dropped.Load(), Reconnects: s.reconnects.Load(),
	}
}

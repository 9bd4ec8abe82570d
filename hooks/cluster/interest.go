package cluster

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sluicegate/sluice/hooks"
)

// An interest is the topics whose messages a node gets from the others: those with a
// subscriber here, and for a while those that had one. There is one NATS
// subscription for each.
//
// It follows the registry from both ends. Before a client is subscribed, the topic is
// wanted, so that nothing is missed from then on, and again afterwards, in case that
// took so long that it has left meanwhile. When a client is not
// subscribed any more, the topic is looked at after a while, and leaves if it has
// no subscribers and nobody has wanted it lately.
type interest struct {
	linger  time.Duration
	wake    chan struct{}
	version atomic.Uint64 // how often it has changed

	mu      sync.Mutex
	topics  map[string]*entry
	fresh   []*entry // to be subscribed
	stale   []*entry // to be unsubscribed
	checks  []check  // topics to be looked at, in the order of their times
	pending *pending // who waits for fresh
	closed  bool     // nothing is told to NATS any more
}

type entry struct {
	topic   string
	wanted  time.Time
	listed  bool     // among the checks
	pending *pending // nil when NATS has it
	sub     *nats.Subscription
}

// pending is closed when NATS has what was fresh at the same time.
type pending struct{ done chan struct{} }

type check struct {
	topic string
	due   time.Time
}

func newInterest(linger time.Duration) *interest {
	return &interest{linger: linger, wake: make(chan struct{}, 1), topics: make(map[string]*entry)}
}

// want makes sure that topics are here. If it may wait, it returns when NATS knows of
// them, or was told in vain.
func (i *interest) want(ctx context.Context, topics []string, up bool) {
	now := time.Now()
	var waits []*pending
	i.mu.Lock()
	for _, t := range topics {
		if t == "" || i.closed {
			continue
		}
		e := i.topics[t]
		if e == nil {
			if i.pending == nil {
				i.pending = &pending{make(chan struct{})}
			}
			e = &entry{topic: t, pending: i.pending}
			i.topics[t] = e
			i.fresh = append(i.fresh, e)
			i.version.Add(1)
		}
		e.wanted = now
		i.list(e, now)
		if e.pending != nil && (len(waits) == 0 || waits[len(waits)-1] != e.pending) {
			waits = append(waits, e.pending)
		}
	}
	i.mu.Unlock()
	if len(waits) == 0 {
		return
	}
	i.knock()
	if !up || !hooks.MayWait(ctx) {
		return
	}
	for _, p := range waits {
		select {
		case <-p.done:
		case <-ctx.Done():
			return
		}
	}
}

// unwant has topics looked at later.
func (i *interest) unwant(topics []string) {
	now := time.Now()
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, t := range topics {
		if e := i.topics[t]; e != nil {
			i.list(e, now)
		}
	}
}

func (i *interest) list(e *entry, now time.Time) {
	if !e.listed {
		e.listed = true
		i.checks = append(i.checks, check{e.topic, now.Add(i.linger)})
	}
}

func (i *interest) knock() {
	select {
	case i.wake <- struct{}{}:
	default:
	}
}

// changes returns what is to be told to NATS.
func (i *interest) changes() (fresh, stale []*entry, p *pending) {
	i.mu.Lock()
	defer i.mu.Unlock()
	fresh, stale, p = i.fresh, i.stale, i.pending
	i.fresh, i.stale, i.pending = nil, nil, nil
	return fresh, stale, p
}

// settle notes that NATS was told.
func (i *interest) settle(fresh []*entry, p *pending) {
	i.mu.Lock()
	for _, e := range fresh {
		e.pending = nil
	}
	i.mu.Unlock()
	if p != nil {
		close(p.done)
	}
}

// close has nobody wait any more.
func (i *interest) close() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.closed = true
	if i.pending != nil {
		close(i.pending.done)
		i.pending = nil
	}
}

// checkBatch bounds how many topics the registry is asked about at once.
const checkBatch = 1024

// due returns topics whose time has come, which are no longer listed.
func (i *interest) due(now time.Time) (topics []string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for len(i.checks) > 0 && len(topics) < checkBatch && !i.checks[0].due.After(now) {
		t := i.checks[0].topic
		i.checks = i.checks[1:]
		if e := i.topics[t]; e != nil && e.listed {
			e.listed = false
			topics = append(topics, t)
		}
	}
	return topics
}

// leave removes those of topics that have no subscribers, by counts, were not
// wanted lately, and of which NATS has been told. The others are listed again.
func (i *interest) leave(topics []string, counts map[string]int, now time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, t := range topics {
		e := i.topics[t]
		switch {
		case e == nil, counts[t] > 0:
		case now.Sub(e.wanted) < i.linger, e.pending != nil:
			i.list(e, now)
		case !e.listed: // else it was unwanted since, and will be looked at again
			delete(i.topics, t)
			i.stale = append(i.stale, e)
			i.version.Add(1)
		}
	}
}

func (i *interest) size() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.topics)
}

// sums returns the sums of the topics' subjects.
func (i *interest) sums(s subjects) map[uint32]bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	all := make(map[uint32]bool, len(i.topics)+2)
	for t := range i.topics {
		all[sumOf(s.topic(t))] = true
	}
	return all
}

// tendInterest tells NATS what the node wants until ctx ends.
func (c *Cluster) tendInterest(ctx context.Context) {
	tick := time.NewTicker(max(c.cfg.Linger/8, 10*time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			c.interest.close()
			return
		case <-c.interest.wake:
		case <-tick.C:
			c.checkInterest(ctx)
		}
		c.tellInterest()
	}
}

// checkInterest looks for topics without subscribers.
func (c *Cluster) checkInterest(ctx context.Context) {
	for {
		topics := c.interest.due(time.Now())
		if len(topics) == 0 {
			return
		}
		counts, err := c.local.TopicUniqIDCounts(ctx, topics, false)
		if err != nil {
			c.interest.unwant(topics) // again, later
			return
		}
		c.interest.leave(topics, counts, time.Now())
	}
}

// tellInterest tells NATS what has changed and lets those go on who wait for it.
func (c *Cluster) tellInterest() {
	fresh, stale, p := c.interest.changes()
	if len(fresh)+len(stale) == 0 {
		return
	}
	nc := c.link.conn
	for _, e := range stale {
		if e.sub != nil {
			_ = e.sub.Unsubscribe() // it fails when the connection is closed
		}
	}
	for _, e := range fresh {
		sub, err := nc.ChanSubscribe(c.subjects.topic(e.topic), c.inbox.ch)
		if err != nil {
			c.logTrouble("a topic's messages cannot be had", err)
		}
		e.sub = sub
	}
	if len(fresh) > 0 && c.link.up.Load() {
		if err := nc.FlushTimeout(flushTime); err != nil && c.link.up.Load() {
			c.logTrouble("a topic's messages may come late", err)
		}
	}
	c.interest.settle(fresh, p)
}

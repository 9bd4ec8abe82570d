package registry

import (
	"sync/atomic"

	"github.com/sluicegate/sluice/transport"
)

// A Client is one connection as a Registry knows it. Gateways embed it in
// what they keep per client, so that both are one object; its zero value is
// ready to be added. It must not be copied.
type Client struct {
	uniqID string
	conn   transport.Conn
	// owner is nil for a client with neither session nor customer.
	owner *owner
	subs  []subscription
	// info caches what handlers are told; a change clears it.
	info atomic.Pointer[Info]

	place  int32 // in the list of everyone on its loop
	loop   int32
	listed bool
}

// owner is whose a client is.
type owner struct {
	session  string
	customer *customer
	place    int32 // in the customer's list
}

// own returns c's owner, to put something into.
func (c *Client) own() *owner {
	if c.owner == nil {
		c.owner = new(owner)
	}
	return c.owner
}

// customer is the customer that c belongs to, or nil.
func (c *Client) customer() *customer {
	if c.owner == nil {
		return nil
	}
	return c.owner.customer
}

// disown gives up an owner with nothing in it.
func (c *Client) disown() {
	if o := c.owner; o != nil && o.session == "" && o.customer == nil {
		c.owner = nil
	}
}

// subscription is a client's side of one topic.
type subscription struct {
	topic *topic
	place int32 // in the topic's list for the client's loop
}

// searchLimit is the number of subscriptions that are searched one by one.
// Below it a client costs no map.
const searchLimit = 16

// UniqID returns the client's id, also after the client was removed. It may be
// called on any goroutine once the client was added, and is empty before.
func (c *Client) UniqID() string { return c.uniqID }

// Conn returns the client's connection, also after the client was removed. It may
// be called on any goroutine once the client was added, and is nil before. Of the
// connection's own methods most are for its loop alone.
func (c *Client) Conn() transport.Conn { return c.conn }

// find returns where t is in c.subs, or -1.
func (m *Memory) find(c *Client, t *topic) int32 {
	if len(c.subs) > searchLimit {
		if i, ok := m.indexes[c][t]; ok {
			return i
		}
		return -1
	}
	for i := range c.subs {
		if c.subs[i].topic == t {
			return int32(i)
		}
	}
	return -1
}

func (m *Memory) addSub(c *Client, s subscription) int32 {
	i := int32(len(c.subs))
	c.subs = append(c.subs, s)
	if index, ok := m.indexes[c]; ok {
		index[s.topic] = i
	} else if len(c.subs) > searchLimit {
		m.buildIndex(c)
	}
	return i
}

// buildIndex makes c's index anew, or drops it if it is not needed.
func (m *Memory) buildIndex(c *Client) {
	if len(c.subs) <= searchLimit {
		delete(m.indexes, c)
		return
	}
	index := make(map[*topic]int32, 2*len(c.subs))
	for i := range c.subs {
		index[c.subs[i].topic] = int32(i)
	}
	m.indexes[c] = index
}

// dropSub takes c's entry i out. If another one moved into its place, it
// returns that one.
func (m *Memory) dropSub(c *Client, i int32) (moved *subscription) {
	index := m.indexes[c] // nil for most
	last := int32(len(c.subs) - 1)
	delete(index, c.subs[i].topic)
	if i != last {
		c.subs[i] = c.subs[last]
		moved = &c.subs[i]
		if index != nil {
			index[moved.topic] = i
		}
	}
	c.subs[last] = subscription{}
	c.subs = c.subs[:last]
	if last == 0 {
		c.subs = nil
		delete(m.indexes, c)
	} else if subs := trim(c.subs); cap(subs) < cap(c.subs) {
		c.subs = subs
		m.buildIndex(c) // a map does not shrink
	}
	return moved
}

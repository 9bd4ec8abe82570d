package registry

import (
	"sync/atomic"

	"github.com/sluicegate/sluice/transport"
)

// A Client is one connection as a Registry knows it. Gateways embed it in
// what they keep per client, so that both are one object; its zero value is
// ready to be added. It must not be copied.
type Client struct {
	uniqID   string
	conn     transport.Conn
	session  string
	customer *customer
	subs     []subscription
	// index finds a subscription by topic once there are too many to search.
	index map[*topic]int32
	// info caches what handlers are told; a change clears it.
	info atomic.Pointer[Info]

	place         int32 // in the list of everyone on its loop
	customerPlace int32
	loop          int32
	listed        bool
}

// subscription is a client's side of one topic.
type subscription struct {
	topic *topic
	place int32 // in the topic's list for the client's loop
}

// searchLimit is the number of subscriptions that are searched one by one.
// Below it a client costs no map.
const searchLimit = 16

// UniqID returns the client's id. It may be called on any goroutine once the
// client was added.
func (c *Client) UniqID() string { return c.uniqID }

// Conn returns the client's connection. It may be called on any goroutine once
// the client was added.
func (c *Client) Conn() transport.Conn { return c.conn }

// find returns where t is in c.subs, or -1.
func (c *Client) find(t *topic) int32 {
	if c.index != nil {
		if i, ok := c.index[t]; ok {
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

func (c *Client) addSub(s subscription) int32 {
	i := int32(len(c.subs))
	c.subs = append(c.subs, s)
	if c.index != nil {
		c.index[s.topic] = i
	} else if len(c.subs) > searchLimit {
		c.buildIndex()
	}
	return i
}

// buildIndex makes the index anew, or drops it if it is not needed.
func (c *Client) buildIndex() {
	if c.index = nil; len(c.subs) > searchLimit {
		c.index = make(map[*topic]int32, 2*len(c.subs))
		for i := range c.subs {
			c.index[c.subs[i].topic] = int32(i)
		}
	}
}

// removeSub takes entry i out. If another one moved into its place, it returns
// that one.
func (c *Client) removeSub(i int32) (moved *subscription) {
	last := int32(len(c.subs) - 1)
	if c.index != nil {
		delete(c.index, c.subs[i].topic)
	}
	if i != last {
		c.subs[i] = c.subs[last]
		moved = &c.subs[i]
		if c.index != nil {
			c.index[moved.topic] = i
		}
	}
	c.subs[last] = subscription{}
	c.subs = c.subs[:last]
	if last == 0 {
		c.subs, c.index = nil, nil
	} else if subs := trim(c.subs); cap(subs) < cap(c.subs) {
		c.subs = subs
		c.buildIndex() // a map does not shrink
	}
	return moved
}

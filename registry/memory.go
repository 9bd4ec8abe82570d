package registry

import (
	"slices"
	"sync"

	"github.com/sluicegate/sluice/transport"
)

// Memory is the default [Registry]. It is made by [NewMemory], and its methods may
// be called on any goroutine. It holds its lists of recipients by loop, so
// that a loop is handed its own part of a topic. One lock guards the whole, but
// for the way from a uniqId to its client. A change of one client and taking an
// audience hold it for a few instructions, a query for as long as its answer is,
// and deleting a topic for as long as it takes to end its subscriptions. It is
// never held while something is delivered.
type Memory struct {
	mu        sync.RWMutex
	clients   *directory
	customers map[string]*customer
	topics    map[string]*topic
	loops     map[transport.Loop]int32
	everyone  []list // by loop
	// indexes find a client's subscription by topic, for clients with too
	// many to search.
	indexes map[*Client]map[*topic]int32
}

type customer struct {
	id      string
	clients []*Client
}

// topic exists while it has a subscriber.
type topic struct {
	name        string
	subscribers int
	parts       []*part // by loop, nil where nobody ever was
}

// part is a topic's subscribers on one loop. back[i] is where the topic is
// among the subscriptions of clients[i]; audiences do not see it.
type part struct {
	list
	back []int32
}

// NewMemory returns an empty registry.
func NewMemory() *Memory {
	return &Memory{
		clients:   newDirectory(),
		customers: make(map[string]*customer),
		topics:    make(map[string]*topic),
		loops:     make(map[transport.Loop]int32),
		indexes:   make(map[*Client]map[*topic]int32),
	}
}

// Add implements [Registry].
func (m *Memory) Add(c *Client, e Entry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.clients.get(e.UniqID); ok || c.listed {
		return ErrDuplicate
	}
	loop, ok := m.loops[e.Conn.Loop()]
	if !ok {
		loop = int32(len(m.everyone))
		m.loops[e.Conn.Loop()] = loop
		m.everyone = append(m.everyone, list{})
	}
	c.uniqID, c.conn, c.loop, c.listed = e.UniqID, e.Conn, loop, true
	c.info.Store(nil) // somebody may have asked already
	c.place = m.everyone[loop].add(c)
	m.clients.add(c)
	c.setSession(e.Session)
	m.setCustomer(c, e.CustomerID)
	m.subscribe(c, e.Topics)
	return nil
}

// Remove implements [Registry].
func (m *Memory) Remove(c *Client) (Info, bool) {
	return m.RemoveIf(c, func(Info) bool { return true })
}

// RemoveIf implements [Registry].
func (m *Memory) RemoveIf(c *Client, cond func(Info) bool) (Info, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !c.listed {
		return Info{}, false
	}
	info := m.infoLocked(c)
	if !cond(info) {
		return Info{}, false
	}
	c.listed = false
	m.clients.remove(c.uniqID)
	if moved := m.everyone[c.loop].remove(c.place); moved != nil {
		moved.place = c.place
	}
	c.setSession("")
	m.setCustomer(c, "")
	for len(c.subs) > 0 {
		m.removeSub(c, int32(len(c.subs)-1))
	}
	c.info.Store(&info)
	return info, true
}

// Info implements [Registry].
func (m *Memory) Info(c *Client) Info {
	if i := c.info.Load(); i != nil {
		return *i
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.infoLocked(c)
}

func (m *Memory) infoLocked(c *Client) Info {
	if i := c.info.Load(); i != nil {
		return *i
	}
	var i Info
	if o := c.owner; o != nil {
		i.Session = o.session
		if o.customer != nil {
			i.CustomerID = o.customer.id
		}
	}
	if len(c.subs) > 0 {
		i.Topics = make([]string, len(c.subs))
		for j := range c.subs {
			i.Topics[j] = c.subs[j].topic.name
		}
	}
	c.info.Store(&i)
	return i
}

// Lookup implements [Registry].
func (m *Memory) Lookup(uniqID string) (*Client, bool) { return m.clients.lookup(uniqID) }

// Find implements [Registry].
func (m *Memory) Find(dst []*Client, uniqIDs ...string) []*Client {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for i, id := range uniqIDs {
		if c, ok := m.clients.get(id); ok {
			if len(dst) == cap(dst) {
				dst = slices.Grow(dst, len(uniqIDs)-i) // once
			}
			dst = append(dst, c)
		}
	}
	return dst
}

// FindByCustomer implements [Registry].
func (m *Memory) FindByCustomer(dst []*Client, customerIDs ...string) []*Client {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, id := range customerIDs {
		if cu, ok := m.customers[id]; ok {
			dst = append(dst, cu.clients...)
		}
	}
	return dst
}

// Everyone implements [Registry].
func (m *Memory) Everyone(dst []Audience) []Audience {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for i := range m.everyone {
		dst = m.everyone[i].audience(dst)
	}
	return dst
}

// Subscribers implements [Registry].
func (m *Memory) Subscribers(dst []Audience, name string) []Audience {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if t, ok := m.topics[name]; ok {
		for _, p := range t.parts {
			if p != nil {
				dst = p.audience(dst)
			}
		}
	}
	return dst
}

// Change implements [Registry].
func (m *Memory) Change(uniqID string, ch Change) (*Client, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.clients.get(uniqID)
	if !ok {
		return nil, ErrNotListed
	}
	if ch.Topics != nil && ch.MaxTopics > 0 && distinct(*ch.Topics, ch.MaxTopics) > ch.MaxTopics {
		return nil, ErrTooManyTopics
	}
	c.info.Store(nil)
	if ch.CustomerID != nil {
		m.setCustomer(c, *ch.CustomerID)
	}
	if ch.Session != nil {
		c.setSession(*ch.Session)
	}
	if ch.Topics != nil {
		m.replaceTopics(c, *ch.Topics)
	}
	return c, nil
}

// distinct is how many different topics there are, the empty one aside. It need
// not be known exactly while it is within enough.
func distinct(topics []string, enough int) int {
	if len(topics) <= enough {
		return len(topics)
	}
	seen := make(map[string]struct{}, enough)
	for _, t := range topics {
		if t != "" {
			seen[t] = struct{}{}
		}
	}
	return len(seen)
}

// replaceTopics keeps the subscriptions that stay: a publish that comes
// meanwhile must not miss them, and their topics must not vanish and return.
func (m *Memory) replaceTopics(c *Client, topics []string) {
	keep := make(map[string]bool, len(topics))
	for _, name := range topics {
		keep[name] = true
	}
	for i := int32(len(c.subs)) - 1; i >= 0; i-- {
		if !keep[c.subs[i].topic.name] {
			m.removeSub(c, i)
		}
	}
	m.subscribe(c, topics)
}

// Subscribe implements [Registry].
func (m *Memory) Subscribe(uniqID string, topics []string, most int) (*Client, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.clients.get(uniqID)
	if !ok {
		return nil, ErrNotListed
	}
	if len(c.subs)+len(topics) > most && len(c.subs)+m.fresh(c, topics) > most {
		return nil, ErrTooManyTopics
	}
	m.subscribe(c, topics)
	return c, nil
}

// fresh is how many different ones of topics c does not subscribe to.
func (m *Memory) fresh(c *Client, topics []string) int {
	seen := make(map[string]struct{})
	for _, name := range topics {
		if t, ok := m.topics[name]; name == "" || ok && m.find(c, t) >= 0 {
			continue
		}
		seen[name] = struct{}{}
	}
	return len(seen)
}

// Unsubscribe implements [Registry].
func (m *Memory) Unsubscribe(uniqID string, topics []string) (*Client, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.clients.get(uniqID)
	if !ok {
		return nil, ErrNotListed
	}
	for _, name := range topics {
		if t, ok := m.topics[name]; ok {
			if i := m.find(c, t); i >= 0 {
				m.removeSub(c, i)
			}
		}
	}
	return c, nil
}

// DeleteTopics implements [Registry].
func (m *Memory) DeleteTopics(topics []string) []*Client {
	m.mu.Lock()
	defer m.mu.Unlock()
	var lost []*Client
	seen := make(map[*Client]bool)
	for _, name := range topics {
		t, ok := m.topics[name]
		if !ok {
			continue
		}
		for _, p := range t.parts {
			for p != nil && len(p.clients) > 0 {
				c := p.clients[len(p.clients)-1]
				m.removeSub(c, p.back[len(p.back)-1])
				if !seen[c] {
					seen[c] = true
					lost = append(lost, c)
				}
			}
		}
	}
	return lost
}

func (c *Client) setSession(session string) {
	if session != "" || c.owner != nil {
		c.own().session = session
		c.disown()
	}
}

func (m *Memory) setCustomer(c *Client, id string) {
	if old := c.customer(); old != nil {
		if old.id == id {
			return
		}
		place, last := c.owner.place, len(old.clients)-1
		moved := old.clients[last]
		old.clients[place], moved.owner.place = moved, place
		old.clients[last] = nil
		if old.clients = trim(old.clients[:last]); last == 0 {
			delete(m.customers, old.id)
		}
		c.owner.customer = nil
		c.disown()
	}
	if id == "" {
		return
	}
	cu, ok := m.customers[id]
	if !ok {
		cu = &customer{id: id}
		m.customers[id] = cu
	}
	o := c.own()
	o.customer, o.place = cu, int32(len(cu.clients))
	cu.clients = append(cu.clients, c)
}

func (m *Memory) subscribe(c *Client, topics []string) {
	for _, name := range topics {
		if name == "" {
			continue
		}
		t, ok := m.topics[name]
		if !ok {
			t = &topic{name: name}
			m.topics[name] = t
		}
		if m.find(c, t) >= 0 {
			continue
		}
		for int(c.loop) >= len(t.parts) {
			t.parts = append(t.parts, nil)
		}
		p := t.parts[c.loop]
		if p == nil {
			p = new(part)
			t.parts[c.loop] = p
		}
		place := p.add(c)
		p.back = append(p.back, m.addSub(c, subscription{topic: t, place: place}))
		t.subscribers++
		c.info.Store(nil)
	}
}

// removeSub ends c's subscription i.
func (m *Memory) removeSub(c *Client, i int32) {
	s := c.subs[i]
	t, p := s.topic, s.topic.parts[c.loop]
	if moved := p.remove(s.place); moved != nil {
		back := p.back[len(p.back)-1]
		p.back[s.place] = back
		moved.subs[back].place = s.place
	}
	p.back = trim(p.back[:len(p.back)-1])
	if moved := m.dropSub(c, i); moved != nil {
		moved.topic.parts[c.loop].back[moved.place] = i
	}
	if t.subscribers--; t.subscribers == 0 {
		delete(m.topics, t.name)
	}
	c.info.Store(nil)
}

var _ Registry = (*Memory)(nil)

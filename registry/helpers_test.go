package registry

import (
	"errors"
	"fmt"
	"strconv"
	"testing"

	"go.uber.org/goleak"

	"github.com/sluicegate/sluice/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testLoop and testConn answer what a registry asks; anything else panics.
type testLoop struct {
	transport.Loop
	index int
}

type testConn struct {
	transport.Conn
	loop *testLoop
}

func (c *testConn) Loop() transport.Loop { return c.loop }

func newLoops(n int) []*testLoop {
	loops := make([]*testLoop, n)
	for i := range loops {
		loops[i] = &testLoop{index: i}
	}
	return loops
}

// entry returns what Add wants for a client on l.
func entry(l *testLoop, id string, topics ...string) Entry {
	return Entry{UniqID: id, Topics: topics, Conn: &testConn{loop: l}}
}

// add lists a new client.
func add(t testing.TB, m *Memory, e Entry) *Client {
	t.Helper()
	c := new(Client)
	if err := m.Add(c, e); err != nil {
		t.Fatalf("Add(%q): %v", e.UniqID, err)
	}
	return c
}

// addMany lists n clients, spread over loops, with the given topics.
func addMany(t testing.TB, m *Memory, loops []*testLoop, n int, topics ...string) []*Client {
	t.Helper()
	clients := make([]*Client, n)
	for i := range clients {
		clients[i] = add(t, m, entry(loops[i%len(loops)], strconv.Itoa(i), topics...))
	}
	return clients
}

// names returns n names with a prefix.
func names(prefix string, n int) []string {
	s := make([]string, n)
	for i := range s {
		s[i] = prefix + strconv.Itoa(i)
	}
	return s
}

func releaseAll(as []Audience) {
	for _, a := range as {
		a.Release()
	}
}

// mustVerify fails the test if m contradicts itself.
func mustVerify(t testing.TB, m *Memory) {
	t.Helper()
	if err := verify(m); err != nil {
		t.Fatal(err)
	}
}

// verify checks that whatever m holds twice agrees: every back pointer, place,
// index and count. It also checks what makes changes cheap, namely that a
// client with many topics has an index, and that arrays keep no client alive
// that has left them.
func verify(m *Memory) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	byID := make(map[string]*Client)
	for i := range m.clients.parts {
		for id, c := range m.clients.parts[i].clients {
			if m.clients.part(id) != i {
				fail("client %q is in a part where nobody looks for it", id)
			}
			byID[id] = c
		}
	}
	subs, members := 0, 0
	for id, c := range byID {
		subs += len(c.subs)
		if c.uniqID != id || !c.listed {
			fail("client %q is listed as %q (listed %t)", c.uniqID, id, c.listed)
		}
		if l, ok := m.loops[c.conn.Loop()]; !ok || l != c.loop {
			fail("client %q is on loop %d, want %d", id, c.loop, l)
		}
		if at(m.everyone[c.loop].clients, c.place) != c {
			fail("client %q is not at its place %d of everyone", id, c.place)
		}
		if cu := c.customer(); cu != nil {
			members++
			if m.customers[cu.id] != cu || at(cu.clients, c.owner.place) != c {
				fail("client %q is not at its place %d of customer %q", id, c.owner.place, cu.id)
			}
		}
		if o := c.owner; o != nil && o.session == "" && o.customer == nil {
			fail("client %q keeps memory for an owner it has not", id)
		}
		errs = append(errs, verifySubs(m, c))
	}

	for c := range m.indexes {
		if byID[c.uniqID] != c {
			fail("the index of client %q outlived it", c.uniqID)
		}
	}

	everyone := 0
	for i := range m.everyone {
		everyone += len(m.everyone[i].clients)
		errs = append(errs, verifyList("everyone", &m.everyone[i]))
	}
	if everyone != len(byID) {
		fail("everyone has %d clients, want %d", everyone, len(byID))
	}

	for id, cu := range m.customers {
		members -= len(cu.clients)
		if cu.id != id || id == "" || len(cu.clients) == 0 {
			fail("customer %q is listed as %q with %d clients", cu.id, id, len(cu.clients))
		}
		errs = append(errs, verifyTail("customer "+id, cu.clients))
	}
	if members != 0 {
		fail("customers lack %d clients", members)
	}

	for name, t := range m.topics {
		n := 0
		for _, p := range t.parts {
			if p == nil {
				continue
			}
			n += len(p.clients)
			if len(p.back) != len(p.clients) {
				fail("topic %q has %d back references, want %d", name, len(p.back), len(p.clients))
			}
			errs = append(errs, verifyList("topic "+name, &p.list))
		}
		subs -= n
		if t.name != name || name == "" || t.subscribers != n || n == 0 {
			fail("topic %q is listed as %q and counts %d subscribers, want %d", t.name, name, t.subscribers, n)
		}
	}
	if subs != 0 {
		fail("topics lack %d subscriptions", subs)
	}
	return errors.Join(errs...)
}

func verifySubs(m *Memory, c *Client) error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for i, s := range c.subs {
		if m.topics[s.topic.name] != s.topic {
			fail("client %q holds topic %q, which is gone", c.uniqID, s.topic.name)
			continue
		}
		if int(c.loop) >= len(s.topic.parts) {
			fail("topic %q has no part for loop %d", s.topic.name, c.loop)
			continue
		}
		p := s.topic.parts[c.loop]
		if p == nil {
			fail("topic %q has no part for loop %d", s.topic.name, c.loop)
			continue
		}
		if at(p.clients, s.place) != c {
			fail("client %q is not at its place %d of topic %q", c.uniqID, s.place, s.topic.name)
		} else if int(s.place) >= len(p.back) || int(p.back[s.place]) != i {
			fail("topic %q has a wrong way back to client %q", s.topic.name, c.uniqID)
		}
		if got := m.find(c, s.topic); int(got) != i {
			fail("client %q finds topic %q at %d, want %d", c.uniqID, s.topic.name, got, i)
		}
	}
	index := m.indexes[c]
	switch {
	case index == nil && len(c.subs) > searchLimit:
		fail("client %q searches %d topics without an index", c.uniqID, len(c.subs))
	case index != nil && len(index) != len(c.subs):
		fail("client %q has an index of %d topics, want %d", c.uniqID, len(index), len(c.subs))
	case len(c.subs) == 0 && (c.subs != nil || index != nil):
		fail("client %q without topics keeps memory for them", c.uniqID)
	}
	for _, s := range c.subs[len(c.subs):cap(c.subs)] {
		if s.topic != nil {
			fail("client %q keeps topic %q alive", c.uniqID, s.topic.name)
		}
	}
	return errors.Join(errs...)
}

func verifyList(what string, l *list) error {
	if l.gen == nil {
		if len(l.clients) > 0 {
			return fmt.Errorf("%s has clients and no generation", what)
		}
		return nil
	}
	if n := l.gen.readers.Load(); n < 0 {
		return fmt.Errorf("%s has %d readers", what, n)
	}
	return verifyTail(what, l.clients)
}

func verifyTail(what string, clients []*Client) error {
	for _, c := range clients[len(clients):cap(clients)] {
		if c != nil {
			return fmt.Errorf("%s keeps client %q alive, which has left", what, c.uniqID)
		}
	}
	return nil
}

func at(clients []*Client, place int32) *Client {
	if int(place) >= len(clients) {
		return nil
	}
	return clients[place]
}

// lists are all lists that audiences can be taken of.
func lists(m *Memory) []*list {
	var ls []*list
	for i := range m.everyone {
		ls = append(ls, &m.everyone[i])
	}
	for _, t := range m.topics {
		for _, p := range t.parts {
			if p != nil {
				ls = append(ls, &p.list)
			}
		}
	}
	return ls
}

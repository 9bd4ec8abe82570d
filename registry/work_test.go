package registry

import (
	"math"
	"math/bits"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"testing"
)

// copyCounter counts how often, and how many elements of, a list's array are
// copied, by looking whether the array is still the same.
type copyCounter struct {
	list     *list
	array    **Client
	copies   int
	elements int
}

func (c *copyCounter) look() {
	if len(c.list.clients) == 0 {
		return
	}
	if now := &c.list.clients[0]; now != c.array {
		c.array = now
		c.copies++
		c.elements += len(c.list.clients)
	}
}

// Removing many while audiences are held copies a list at most once for each
// audience, and a few times more to give memory back: the work is of the
// order of what is removed and delivered, not of its square.
func TestRemovalCopies(t *testing.T) {
	for _, test := range []struct {
		name    string
		clients int
		every   int // removals between two audiences; none if 0
	}{
		{"no audiences", 100_000, 0},
		{"a few audiences", 100_000, 2_000},
		{"an audience for each removal", 2_000, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, l := NewMemory(), newLoops(1)
			clients := addMany(t, m, l, test.clients, "topic")
			counters := []*copyCounter{{list: &m.everyone[0]}, {list: &m.topics["topic"].parts[0].list}}
			for _, c := range counters {
				c.look()
				c.copies, c.elements = 0, 0
			}
			audiences, delivered := 0, 0
			var held []Audience
			for i, c := range clients {
				if test.every > 0 && i%test.every == 0 {
					releaseAll(held)
					held = m.Subscribers(m.Everyone(held[:0]), "topic")
					audiences++
					delivered += len(held[0].Clients())
				}
				m.Remove(c)
				for _, c := range counters {
					c.look()
				}
			}
			releaseAll(held)
			for i, c := range counters {
				if limit := audiences + bits.Len(uint(test.clients)); c.copies > limit {
					t.Errorf("list %d was copied %d times, want at most %d", i, c.copies, limit)
				}
				if limit := delivered + test.clients; c.elements > limit {
					t.Errorf("%d elements of list %d were copied, want at most %d", c.elements, i, limit)
				}
			}
			if m.Len() != 0 || m.TopicLen() != 0 {
				t.Errorf("%d clients and %d topics are left", m.Len(), m.TopicLen())
			}
		})
	}
}

// One client with very many topics: verify sees that it never searches them
// one by one. Each way of ending its subscriptions is tried.
func TestManyTopics(t *testing.T) {
	const n = 100_000
	topics := names("topic", n)
	reversed := slices.Clone(topics)
	slices.Reverse(reversed)
	for _, test := range []struct {
		name string
		end  func(*Memory, *Client)
	}{
		{"Unsubscribe", func(m *Memory, _ *Client) { m.Unsubscribe("id", topics) }},
		{"Unsubscribe, the last one first", func(m *Memory, _ *Client) { m.Unsubscribe("id", reversed) }},
		{"Unsubscribe one by one", func(m *Memory, _ *Client) {
			for i := range topics {
				m.Unsubscribe("id", topics[i:i+1])
			}
		}},
		{"Change", func(m *Memory, _ *Client) { m.Change("id", Change{Topics: new([]string)}) }},
		{"DeleteTopics", func(m *Memory, _ *Client) { m.DeleteTopics(topics) }},
		{"Remove", func(m *Memory, c *Client) { m.Remove(c) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, l := NewMemory(), newLoops(1)[0]
			c := add(t, m, entry(l, "id"))
			m.Subscribe("id", topics[:n/2], math.MaxInt)
			m.Subscribe("id", topics, math.MaxInt) // half of them are there
			if got := m.TopicLen(); got != n {
				t.Fatalf("%d topics, want %d", got, n)
			}
			mustVerify(t, m)
			test.end(m, c)
			if got := m.TopicLen(); got != 0 {
				t.Errorf("%d topics are left", got)
			}
			mustVerify(t, m)
		})
	}
}

// What was big once does not keep its memory when it is small.
func TestGivesMemoryBack(t *testing.T) {
	const n, few, limit = 10_000, 20, 200
	m, l := NewMemory(), newLoops(1)
	clients := addMany(t, m, l, n, "topic")
	customer := "customer"
	for _, c := range clients {
		m.Change(c.UniqID(), Change{CustomerID: &customer})
	}
	for _, c := range clients[few:] {
		m.Remove(c)
	}
	topics := names("t", n)
	m.Subscribe("0", topics, math.MaxInt)
	large := reflect.ValueOf(m.indexes[clients[0]]).Pointer()
	m.Unsubscribe("0", topics[few/2:])
	mustVerify(t, m)

	p := m.topics["topic"].parts[0]
	for what, got := range map[string]int{
		"everyone":          cap(m.everyone[0].clients),
		"the topic":         cap(p.clients),
		"the ways back":     cap(p.back),
		"the customer":      cap(m.customers[customer].clients),
		"the subscriptions": cap(clients[0].subs),
	} {
		if got > limit {
			t.Errorf("%s keeps room for %d", what, got)
		}
	}
	if reflect.ValueOf(m.indexes[clients[0]]).Pointer() == large {
		t.Errorf("a client keeps the index of many topics for %d", len(clients[0].subs))
	}
}

// heap returns the bytes in use once garbage is gone.
func heap() uint64 {
	// Twice: what the first run finalizes is freed by the second.
	runtime.GC()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

// memoryCases are shapes of 100,000 subscriptions and more to large topics.
var memoryCases = []struct {
	name            string
	clients, topics int
	loops           int
}{
	{"1 topic", 100_000, 1, 4},
	{"10 topics", 20_000, 10, 4},
	{"100 topics", 5_000, 100, 4},
	{"1 topic, 32 loops", 100_000, 1, 32},
}

// bytesPer returns what a client costs, without its uniqId, and what a
// subscription costs, with what is cached for handlers.
func bytesPer(t testing.TB, clients, topics, loops int) (client, subscription float64) {
	entries := make([]Entry, clients)
	l := newLoops(loops)
	for i := range entries {
		entries[i] = entry(l[i%loops], strconv.Itoa(i))
	}
	subscribed := names("topic", topics)
	cs := make([]*Client, clients)

	start := heap()
	m := NewMemory()
	for i := range entries {
		cs[i] = add(t, m, entries[i])
		m.Info(cs[i])
	}
	added := heap()
	for i := range entries {
		m.Subscribe(entries[i].UniqID, subscribed, math.MaxInt)
		m.Info(cs[i])
	}
	end := heap()
	runtime.KeepAlive(m)
	runtime.KeepAlive(cs)
	runtime.KeepAlive(entries)
	return float64(added-start) / float64(clients), float64(end-added) / float64(clients*topics)
}

// A subscription in a large topic costs at most 100 bytes.
func TestSubscriptionBytes(t *testing.T) {
	for _, test := range memoryCases {
		t.Run(test.name, func(t *testing.T) {
			client, subscription := bytesPer(t, test.clients, test.topics, test.loops)
			t.Logf("%.0f bytes for each client, %.0f for each subscription", client, subscription)
			if subscription > 100 {
				t.Errorf("a subscription costs %.0f bytes, want at most 100", subscription)
			}
		})
	}
}

// Taking an audience copies and allocates nothing, however large the topic.
func TestSubscribersDoesNotAllocate(t *testing.T) {
	m, loops := NewMemory(), newLoops(4)
	addMany(t, m, loops, 10_000, "topic")
	as := make([]Audience, 0, len(loops))
	if n := testing.AllocsPerRun(100, func() {
		releaseAll(m.Subscribers(as, "topic"))
		releaseAll(m.Everyone(as))
	}); n != 0 {
		t.Errorf("taking audiences allocates %v times", n)
	}
}

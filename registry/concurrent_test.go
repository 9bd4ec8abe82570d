package registry

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
)

// Publishers take, read and release audiences while clients come, go and
// change their topics. Run it under the race detector. It also holds each
// caller to contract 3: what it changed shows in what it asks next.
func TestConcurrent(t *testing.T) {
	rounds := 300
	if testing.Short() {
		rounds = 50
	}
	const workers, publishers = 4, 3
	topics := names("t", 4)
	m, loops := NewMemory(), newLoops(3)
	// Some stay all the time, so that audiences are never empty.
	stay := addMany(t, m, loops, 90, topics[0])

	var changing sync.WaitGroup
	for w := range workers {
		changing.Go(func() { changeConcurrently(t, m, loops, w, rounds, topics) })
	}
	changed := make(chan struct{})
	go func() { changing.Wait(); close(changed) }()

	var publishing sync.WaitGroup
	for p := range publishers {
		publishing.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-changed:
					return
				default:
				}
				if err := publishOnce(m, topics[i%len(topics)], p == 0, stay); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	publishing.Wait()
	<-changed

	mustVerify(t, m)
	if m.Len() != len(stay) || m.CustomerLen() != 0 || m.TopicLen() != 1 {
		t.Errorf("%d clients, %d customers, %d topics are left, want %d, 0, 1", m.Len(), m.CustomerLen(), m.TopicLen(), len(stay))
	}
	for _, l := range lists(m) {
		if l.gen != nil && l.gen.readers.Load() != 0 {
			t.Errorf("a list has %d readers when all were released", l.gen.readers.Load())
		}
	}
}

// publishOnce takes audiences twice, reads them, and reads them again after
// others had a chance to change the lists.
func publishOnce(m *Memory, topic string, everyone bool, stay []*Client) error {
	take := func(dst []Audience) []Audience {
		if everyone {
			return m.Everyone(dst)
		}
		return m.Subscribers(dst, topic)
	}
	as := take(nil)
	mine := len(as)
	var seen [][]*Client
	for _, a := range as {
		seen = append(seen, slices.Clone(a.Clients()))
	}
	runtime.Gosched()
	as = take(as)
	defer releaseAll(as)
	found := 0
	for i, a := range as[:mine] {
		if !slices.Equal(a.Clients(), seen[i]) {
			return fmt.Errorf("an audience of %q has changed before it was released", topic)
		}
		for _, c := range a.Clients() {
			if c.Conn().Loop() != a.Loop() {
				return fmt.Errorf("%q is in the audience of another loop", c.UniqID())
			}
			// Whatever it holds by now, it is what one change left.
			if i := m.Info(c); i.CustomerID != "" && i.CustomerID != c.UniqID() {
				return fmt.Errorf("%q belongs to %q", c.UniqID(), i.CustomerID)
			}
			if n, err := strconv.Atoi(c.UniqID()); err == nil && stay[n] == c {
				found++
			}
		}
		for _, b := range as[mine:] {
			if a.Same(b) && !slices.Equal(a.Clients(), b.Clients()) {
				return fmt.Errorf("audiences of different clients of %q are the same", topic)
			}
		}
	}
	if (everyone || topic == "t0") && found != len(stay) {
		return fmt.Errorf("an audience of %q has %d of the %d clients that are always there", topic, found, len(stay))
	}
	return nil
}

// changeConcurrently leads clients of its own through their lives.
func changeConcurrently(t *testing.T, m *Memory, loops []*testLoop, worker, rounds int, topics []string) {
	own := fmt.Sprintf("own %d", worker)
	for i := range rounds {
		id := fmt.Sprintf("w%d", worker)
		e := entry(loops[i%len(loops)], id, topics...)
		e.CustomerID, e.Session = id, strconv.Itoa(i)
		c := new(Client)
		if err := m.Add(c, e); err != nil {
			t.Errorf("Add: %v", err)
			return
		}
		m.Unsubscribe(id, topics[:1+i%2])
		m.Subscribe(id, []string{own, topics[0]}, math.MaxInt)
		mine := m.Subscribers(nil, own)
		if len(mine) != 1 || !slices.Equal(mine[0].Clients(), []*Client{c}) {
			t.Errorf("%q has subscribed and finds %v", id, mine)
		}
		if got := m.TopicCustomers([]string{own})[own]; !slices.Equal(got, []string{id}) {
			t.Errorf("customers of %q: got %v", own, got)
		}
		var lost []*Client
		switch i % 3 {
		case 0:
			m.Unsubscribe(id, []string{own})
		case 1:
			m.Change(id, Change{Topics: &topics, CustomerID: new(string)})
		case 2:
			// Others' own topics are not named: they would lose them.
			if lost = m.DeleteTopics([]string{own}); !slices.Equal(lost, []*Client{c}) {
				t.Errorf("DeleteTopics: got %v", lost)
			}
		}
		if as := m.Subscribers(nil, own); len(as) != 0 {
			t.Errorf("%q has unsubscribed and is still found", id)
		}
		releaseAll(mine)
		if got := m.Info(c); got.Session != e.Session || slices.Contains(got.Topics, own) {
			t.Errorf("%q: got %+v", id, got)
		}
		if i, ok := m.Remove(c); !ok || i.Session != e.Session {
			t.Errorf("removing %q returned %+v, %t", id, i, ok)
		}
		if c, ok := m.Lookup(id); ok {
			t.Errorf("Lookup has found %v", c)
		}
		if got := m.Find(nil, id); len(got) != 0 {
			t.Errorf("%q was removed and is still found", id)
		}
	}
}

// Several at once remove the same client: one of them does, and the others
// are told so.
func TestConcurrentRemove(t *testing.T) {
	m, l := NewMemory(), newLoops(1)[0]
	for i := range 200 {
		c := add(t, m, entry(l, "id", "topic"))
		var group sync.WaitGroup
		removed := make(chan bool, 4)
		for range cap(removed) {
			group.Go(func() {
				_, ok := m.Remove(c)
				removed <- ok
				if got := m.Info(c).Topics; !slices.Equal(got, []string{"topic"}) {
					t.Errorf("round %d: a removed client held %v", i, got)
				}
			})
		}
		group.Wait()
		n := 0
		for range cap(removed) {
			if <-removed {
				n++
			}
		}
		if n != 1 {
			t.Fatalf("round %d: %d removals of one client succeeded", i, n)
		}
	}
	mustVerify(t, m)
}

package registry

import (
	"errors"
	"math"
	"reflect"
	"slices"
	"testing"
)

// A close that comes late, after its client's ids were taken by another one,
// removes nothing.
func TestLateRemove(t *testing.T) {
	for _, test := range []struct {
		name   string
		remove func(*Memory, *Client) (Info, bool)
	}{
		{"Remove", (*Memory).Remove},
		{"RemoveIf", func(m *Memory, c *Client) (Info, bool) {
			return m.RemoveIf(c, func(Info) bool { return true })
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, l := NewMemory(), newLoops(1)[0]
			e := entry(l, "id", "topic")
			e.CustomerID, e.Session = "customer", "old"
			c1 := add(t, m, e)
			if _, ok := test.remove(m, c1); !ok {
				t.Fatal("the first removal removed nothing")
			}
			e = entry(l, "id", "topic")
			e.CustomerID, e.Session = "customer", "new"
			c2 := add(t, m, e)

			if i, ok := test.remove(m, c1); ok || !reflect.DeepEqual(i, Info{}) {
				t.Errorf("the late removal returned %+v, %t", i, ok)
			}
			want := []*Client{c2}
			if got := m.Find(nil, "id"); !slices.Equal(got, want) {
				t.Errorf("Find: got %v, want the newer client", got)
			}
			if got := m.FindByCustomer(nil, "customer"); !slices.Equal(got, want) {
				t.Errorf("FindByCustomer: got %v, want the newer client", got)
			}
			for what, as := range map[string][]Audience{
				"Everyone": m.Everyone(nil), "Subscribers": m.Subscribers(nil, "topic"),
			} {
				if len(as) != 1 || !slices.Equal(as[0].Clients(), want) {
					t.Errorf("%s: got %v, want the newer client", what, as)
				}
				releaseAll(as)
			}
			if got := m.Info(c2).Session; got != "new" {
				t.Errorf("the newer client's session is %q", got)
			}
			if got := m.Info(c1).Session; got != "old" {
				t.Errorf("the older client's session is %q", got)
			}
			mustVerify(t, m)
		})
	}
}

// What a client held is known after its removal, whether or not somebody had
// asked before, and whatever happens to its customer and topics then.
func TestInfoOfRemoved(t *testing.T) {
	for _, ask := range []bool{false, true} {
		m, l := NewMemory(), newLoops(1)[0]
		e := entry(l, "id", "x", "y")
		e.CustomerID, e.Session = "customer", "session"
		c := add(t, m, e)
		m.Subscribe("id", []string{"z"}, math.MaxInt)
		if ask {
			m.Info(c)
		}
		want := Info{CustomerID: "customer", Session: "session", Topics: []string{"x", "y", "z"}}
		got, ok := m.Remove(c)
		if !ok || !reflect.DeepEqual(plain(got), want) {
			t.Errorf("asked %t: Remove returned %+v, %t, want %+v", ask, got, ok, want)
		}

		e.CustomerID, e.Session, e.Topics = "other", "other", []string{"x"}
		add(t, m, e)
		m.DeleteTopics([]string{"x", "y"})
		session := "changed"
		m.Change("id", Change{Session: &session})
		if got := m.Info(c); !reflect.DeepEqual(plain(got), want) {
			t.Errorf("asked %t: Info is %+v, want %+v", ask, got, want)
		}
	}
}

// Each step of a client's life shows in the next Info, though it is cached.
func TestInfoIsFresh(t *testing.T) {
	m, l := NewMemory(), newLoops(1)[0]
	c := new(Client)
	text := func(s string) *string { return &s }
	for _, step := range []struct {
		name string
		do   func()
		want Info
	}{
		{"not added yet", func() {}, Info{}},
		{"Add", func() { _ = m.Add(c, Entry{UniqID: "id", Session: "s", Conn: &testConn{loop: l}}) }, Info{Session: "s"}},
		{"Subscribe", func() { m.Subscribe("id", []string{"a", "b", "a", ""}, math.MaxInt) }, Info{Session: "s", Topics: []string{"a", "b"}}},
		{"Unsubscribe", func() { m.Unsubscribe("id", []string{"a", "", "unknown"}) }, Info{Session: "s", Topics: []string{"b"}}},
		{"Change the customer", func() { m.Change("id", Change{CustomerID: text("c")}) }, Info{CustomerID: "c", Session: "s", Topics: []string{"b"}}},
		{"Change the topics", func() { m.Change("id", Change{Topics: &[]string{"d", "b"}}) }, Info{CustomerID: "c", Session: "s", Topics: []string{"b", "d"}}},
		{"DeleteTopics", func() { m.DeleteTopics([]string{"d"}) }, Info{CustomerID: "c", Session: "s", Topics: []string{"b"}}},
		{"Change to nothing", func() { m.Change("id", Change{CustomerID: text(""), Session: text(""), Topics: new([]string)}) }, Info{}},
	} {
		step.do()
		if got := plain(m.Info(c)); !reflect.DeepEqual(got, step.want) {
			t.Errorf("%s: got %+v, want %+v", step.name, got, step.want)
		}
		mustVerify(t, m)
	}
}

// An Add that fails leaves both clients as they were.
func TestAddTwice(t *testing.T) {
	for _, test := range []struct {
		name string
		id   string // by which it is added again
		same bool   // the same client
	}{
		{"another client by the same id", "id", false},
		{"the same client by the same id", "id", true},
		{"the same client by another id", "other", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, loops := NewMemory(), newLoops(2)
			c := add(t, m, entry(loops[0], "id", "topic"))
			again := new(Client)
			if test.same {
				again = c
			}
			e := entry(loops[1], test.id, "topic", "another")
			e.CustomerID = "customer"
			if err := m.Add(again, e); !errors.Is(err, ErrDuplicate) {
				t.Fatalf("Add: %v", err)
			}
			if m.Len() != 1 || m.CustomerLen() != 0 || m.TopicLen() != 1 || c.UniqID() != "id" || c.Conn().Loop() != loops[0] {
				t.Error("a failed Add left something behind")
			}
			mustVerify(t, m)
			if !test.same {
				if err := m.Add(again, entry(loops[1], "free")); err != nil {
					t.Errorf("a client that was refused cannot be added by a free id: %v", err)
				}
			}
		})
	}
}

// Replacing topics keeps a client's place in those that stay, so that a
// publisher meets it there all the time.
func TestChangeKeepsTopics(t *testing.T) {
	m, l := NewMemory(), newLoops(1)[0]
	c := add(t, m, entry(l, "id", "goes", "stays"))
	before := m.topics["stays"]
	m.Change("id", Change{Topics: &[]string{"comes", "stays"}})
	if m.topics["stays"] != before {
		t.Error("a topic that stays was made anew")
	}
	if got, want := plain(m.Info(c)).Topics, []string{"comes", "stays"}; !slices.Equal(got, want) {
		t.Errorf("topics: got %v, want %v", got, want)
	}
	mustVerify(t, m)
}

// A registry is usable after a host's condition has panicked.
func TestPanicInCondition(t *testing.T) {
	m, l := NewMemory(), newLoops(1)[0]
	c := add(t, m, entry(l, "id", "topic"))
	func() {
		defer func() { _ = recover() }()
		m.RemoveIf(c, func(Info) bool { panic("in cond") })
	}()
	if _, ok := m.Remove(c); !ok {
		t.Error("the client was lost")
	}
	mustVerify(t, m)
}

func TestAudienceSame(t *testing.T) {
	m, l := NewMemory(), newLoops(1)[0]
	first := add(t, m, entry(l, "first", "topic"))
	add(t, m, entry(l, "second", "topic"))
	take := func() Audience { return m.Subscribers(nil, "topic")[0] }
	var all []Audience
	defer func() { releaseAll(all) }()
	a := take()
	all = append(all, a)
	for _, test := range []struct {
		name string
		do   func()
		want bool
	}{
		{"no change", func() {}, true},
		{"a change of another topic", func() { m.Subscribe("first", []string{"other"}, math.MaxInt) }, true},
		{"one more", func() { add(t, m, entry(l, "third", "topic")) }, false},
		{"one fewer, as many as at first", func() { m.Remove(first) }, false},
		{"the same ones by another way", func() {
			m.Unsubscribe("third", []string{"topic"})
			add(t, m, entry(l, "first", "topic"))
		}, false},
	} {
		test.do()
		b := take()
		all = append(all, b)
		if got := a.Same(b); got != test.want || b.Same(a) != got {
			t.Errorf("%s: Same is %t, want %t", test.name, got, test.want)
		}
	}
	own := NewAudience([]*Client{first})
	if own.Same(own) || own.Loop() != l {
		t.Error("an audience that somebody made is not the same as a list's")
	}
	own.Release() // harmless
}

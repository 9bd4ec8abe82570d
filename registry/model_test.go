package registry

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// The model is a registry written for nothing but to be plainly right: one
// record for each client, searched from end to end for every answer.
type model struct {
	real   *Memory
	loops  []*testLoop
	listed map[string]*record
	gone   []*record // the latest of those that were removed
	held   []held
	serial int // numbers the sessions, so that no two are alike
}

type record struct {
	client   *Client
	loop     *testLoop
	id       string
	customer string
	session  string
	topics   map[string]bool
}

// held is an audience that was taken and not released yet, with a copy of
// what it was.
type held struct {
	audience Audience
	want     []*Client
}

const (
	modelLoops = 3
	keepGone   = 20
	// crowd passes the size from which lists give memory back.
	crowd = 150
)

// The universe is small, so that actions meet each other. There are more
// topics than a client searches without an index.
var (
	genID       = rapid.Map(rapid.IntRange(0, 8), strconv.Itoa)
	genCustomer = rapid.SampledFrom([]string{"", "", "a", "b", "c"})
	topicNames  = names("t", 2*searchLimit)
	genTopic    = rapid.OneOf(rapid.SampledFrom(topicNames[:3]), rapid.SampledFrom(append([]string{""}, topicNames...)))
	genTopics   = rapid.OneOf(rapid.SliceOfN(genTopic, 0, 4), rapid.Custom(func(t *rapid.T) []string {
		// Many at once, so that clients pass the limit both ways.
		from := rapid.IntRange(0, searchLimit).Draw(t, "from")
		return topicNames[from:rapid.IntRange(from, len(topicNames)).Draw(t, "to")]
	}))
)

func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{real: NewMemory(), loops: newLoops(modelLoops), listed: make(map[string]*record)}
		t.Repeat(map[string]func(*rapid.T){
			"":             m.check,
			"add":          m.add,
			"crowd":        m.crowd,
			"disperse":     m.disperse,
			"remove":       m.remove,
			"remove late":  m.removeLate,
			"change":       m.change,
			"subscribe":    m.subscribe,
			"unsubscribe":  m.unsubscribe,
			"deleteTopics": m.deleteTopics,
			"take":         m.take,
			"release":      m.release,
		})
		for len(m.held) > 0 {
			m.releaseAt(t, 0)
		}
		for _, l := range lists(m.real) {
			if l.gen != nil && l.gen.readers.Load() != 0 {
				t.Fatalf("a list has %d readers when all were released", l.gen.readers.Load())
			}
		}
	})
}

func topicSet(topics []string) map[string]bool {
	set := make(map[string]bool)
	for _, name := range topics {
		if name != "" {
			set[name] = true
		}
	}
	return set
}

func (m *model) session() string {
	m.serial++
	return "session " + strconv.Itoa(m.serial)
}

func (m *model) list(t *rapid.T, c *Client, e Entry) {
	old := m.listed[e.UniqID]
	err := m.real.Add(c, e)
	if old != nil {
		if !errors.Is(err, ErrDuplicate) {
			t.Fatalf("Add of a listed id: %v", err)
		}
		return
	}
	if err != nil {
		t.Fatalf("Add: %v", err)
	}
	m.listed[e.UniqID] = &record{
		client: c, loop: e.Conn.Loop().(*testLoop), id: e.UniqID, customer: e.CustomerID, session: e.Session,
		topics: topicSet(e.Topics),
	}
}

func (m *model) unlist(t *rapid.T, r *record, info Info, ok bool) {
	if !ok {
		t.Fatalf("%q was not removed", r.id)
	}
	if got, want := plain(info), r.info(); !reflect.DeepEqual(got, want) {
		t.Fatalf("removing %q returned %+v, want %+v", r.id, got, want)
	}
	delete(m.listed, r.id)
	m.gone = append(m.gone, r)
	if len(m.gone) > keepGone {
		m.gone = m.gone[1:]
	}
}

func (m *model) add(t *rapid.T) {
	c := new(Client)
	// Asking about a client before it is listed must not decide what is
	// answered afterwards.
	if rapid.Bool().Draw(t, "ask first") {
		m.real.Info(c)
	}
	e := entry(rapid.SampledFrom(m.loops).Draw(t, "loop"), genID.Draw(t, "id"), genTopics.Draw(t, "topics")...)
	e.CustomerID, e.Session = genCustomer.Draw(t, "customer"), m.session()
	m.list(t, c, e)
}

// crowd adds clients that have a topic and a customer in common.
func (m *model) crowd(t *rapid.T) {
	topic, customer := genTopic.Draw(t, "topic"), genCustomer.Draw(t, "customer")
	for _, id := range names("crowd", rapid.IntRange(1, crowd).Draw(t, "n")) {
		e := entry(m.loops[0], id, topic)
		e.CustomerID, e.Session = customer, m.session()
		m.list(t, new(Client), e)
	}
}

// disperse removes most of a crowd.
func (m *model) disperse(t *rapid.T) {
	keep := rapid.IntRange(2, 20).Draw(t, "keep one of")
	for i, id := range names("crowd", crowd) {
		if r := m.listed[id]; r != nil && i%keep != 0 {
			info, ok := m.real.Remove(r.client)
			m.unlist(t, r, info, ok)
		}
	}
}

func (m *model) remove(t *rapid.T) {
	id := genID.Draw(t, "id")
	r := m.listed[id]
	if r == nil {
		t.Skip("not listed")
	}
	switch rapid.IntRange(0, 2).Draw(t, "how") {
	case 0:
		info, ok := m.real.Remove(r.client)
		m.unlist(t, r, info, ok)
	case 1:
		info, ok := m.real.RemoveIf(r.client, func(i Info) bool { return reflect.DeepEqual(plain(i), r.info()) })
		m.unlist(t, r, info, ok)
	case 2:
		if i, ok := m.real.RemoveIf(r.client, func(Info) bool { return false }); ok || !reflect.DeepEqual(i, Info{}) {
			t.Fatalf("RemoveIf of a client that is spared returned %+v, %t", i, ok)
		}
	}
}

// removeLate removes clients that are gone, whatever is listed by their ids.
func (m *model) removeLate(t *rapid.T) {
	if len(m.gone) == 0 {
		t.Skip("nobody is gone")
	}
	r := rapid.SampledFrom(m.gone).Draw(t, "gone")
	if i, ok := m.real.Remove(r.client); ok {
		t.Fatalf("%q was removed twice, now as %+v", r.id, i)
	}
	if _, ok := m.real.RemoveIf(r.client, func(Info) bool { t.Fatal("cond was asked about a client that is gone"); return true }); ok {
		t.Fatalf("%q was removed twice", r.id)
	}
}

// changed checks what a change of a client returned, and returns its record.
func (m *model) changed(t *rapid.T, id string, c *Client, ok bool) *record {
	r := m.listed[id]
	if r == nil {
		if ok || c != nil {
			t.Fatalf("%q was changed and is not listed", id)
		}
		return &record{topics: make(map[string]bool)} // takes the change and is forgotten
	}
	if !ok || c != r.client {
		t.Fatalf("changing %q returned %p, %t, want %p", id, c, ok, r.client)
	}
	return r
}

func (m *model) change(t *rapid.T) {
	id, topics := genID.Draw(t, "id"), genTopics.Draw(t, "topics")
	customer, session := genCustomer.Draw(t, "customer"), m.session()
	var ch Change
	if rapid.Bool().Draw(t, "change customer") {
		ch.CustomerID = &customer
	}
	if rapid.Bool().Draw(t, "change session") {
		ch.Session = &session
	}
	if rapid.Bool().Draw(t, "change topics") {
		ch.Topics, ch.MaxTopics = &topics, rapid.IntRange(0, 4).Draw(t, "at most")
	}
	c, err := m.real.Change(id, ch)
	if ch.MaxTopics > 0 && m.tooMany(t, id, err, len(topicSet(topics)) > ch.MaxTopics) {
		return
	}
	r := m.changed(t, id, c, err == nil)
	if ch.CustomerID != nil {
		r.customer = customer
	}
	if ch.Session != nil {
		r.session = session
	}
	if ch.Topics != nil {
		r.topics = topicSet(topics)
	}
}

func (m *model) subscribe(t *rapid.T) {
	id, topics := genID.Draw(t, "id"), genTopics.Draw(t, "topics")
	most := rapid.IntRange(1, 6).Draw(t, "at most")
	all := topicSet(topics)
	if r := m.listed[id]; r != nil {
		maps.Copy(all, r.topics)
	}
	c, err := m.real.Subscribe(id, topics, most)
	if m.tooMany(t, id, err, len(all) > most) {
		return
	}
	maps.Copy(m.changed(t, id, c, err == nil).topics, topicSet(topics))
}

// tooMany reports whether a change of a client that is listed was refused, as it
// must be if so says.
func (m *model) tooMany(t *rapid.T, id string, err error, so bool) bool {
	refused := errors.Is(err, ErrTooManyTopics)
	if listed := m.listed[id] != nil; refused != (listed && so) {
		t.Fatalf("refused %t: %v", refused, err)
	}
	return refused
}

func (m *model) unsubscribe(t *rapid.T) {
	id, topics := genID.Draw(t, "id"), genTopics.Draw(t, "topics")
	c, err := m.real.Unsubscribe(id, topics)
	r := m.changed(t, id, c, err == nil)
	for _, name := range topics {
		delete(r.topics, name)
	}
}

func (m *model) deleteTopics(t *rapid.T) {
	topics := genTopics.Draw(t, "topics")
	want := make(map[*Client]bool)
	for _, r := range m.listed {
		for _, name := range topics {
			if r.topics[name] {
				delete(r.topics, name)
				want[r.client] = true
			}
		}
	}
	for _, c := range m.real.DeleteTopics(topics) {
		if !want[c] {
			t.Fatalf("DeleteTopics returned %q, which lost nothing or was returned before", c.UniqID())
		}
		delete(want, c)
	}
	if len(want) > 0 {
		t.Fatalf("DeleteTopics left out %d clients", len(want))
	}
}

func (m *model) take(t *rapid.T) {
	from := func() []Audience { return m.real.Everyone(nil) }
	if rapid.IntRange(0, 3).Draw(t, "whom") > 0 {
		topic := genTopic.Draw(t, "topic")
		from = func() []Audience { return m.real.Subscribers(nil, topic) }
	}
	first, second := from(), from()
	for i := range first {
		// This is what lets two publishes in a row become one write.
		if !first[i].Same(second[i]) {
			t.Fatal("two audiences with no change between them are not the same")
		}
		m.held = append(m.held, held{first[i], slices.Clone(first[i].Clients())})
	}
	releaseAll(second)
}

func (m *model) release(t *rapid.T) {
	if len(m.held) == 0 {
		t.Skip("nothing is held")
	}
	m.releaseAt(t, rapid.IntRange(0, len(m.held)-1).Draw(t, "which"))
}

func (m *model) releaseAt(t *rapid.T, i int) {
	if h := m.held[i]; !slices.Equal(h.audience.Clients(), h.want) {
		t.Fatal("an audience has changed before it was released")
	}
	m.held[i].audience.Release()
	m.held = slices.Delete(m.held, i, i+1)
}

// info is what the registry should say of r.
func (r *record) info() Info {
	i := Info{CustomerID: r.customer, Session: r.session}
	if len(r.topics) > 0 {
		i.Topics = sortedKeys(r.topics)
	}
	return i
}

// plain is i with its topics in a copy and in order.
func plain(i Info) Info {
	i.Topics = slices.Clone(i.Topics)
	slices.Sort(i.Topics)
	return i
}

// check compares every answer, and everything that is held, with the model.
func (m *model) check(t *rapid.T) {
	if err := verify(m.real); err != nil {
		t.Fatal(err)
	}
	for _, q := range m.queries() {
		if !reflect.DeepEqual(q.got, q.want) {
			t.Fatalf("%s: got %v, want %v", q.name, q.got, q.want)
		}
	}
	for id, r := range m.listed {
		if r.client.UniqID() != id || r.client.Conn().Loop() != r.loop {
			t.Fatalf("%q has id %q or another loop", id, r.client.UniqID())
		}
		if got, want := plain(m.real.Info(r.client)), r.info(); !reflect.DeepEqual(got, want) {
			t.Fatalf("Info(%q): got %+v, want %+v", id, got, want)
		}
	}
	for _, r := range m.gone {
		if got, want := plain(m.real.Info(r.client)), r.info(); !reflect.DeepEqual(got, want) {
			t.Fatalf("Info(%q), which is gone: got %+v, want %+v", r.id, got, want)
		}
	}
	readers := make(map[*generation]int32)
	for i, h := range m.held {
		readers[h.audience.shared]++
		if !slices.Equal(h.audience.Clients(), h.want) {
			t.Fatal("an audience has changed before it was released")
		}
		for _, other := range m.held[:i] {
			if h.audience.Same(other.audience) && !slices.Equal(h.want, other.want) {
				t.Fatal("audiences of different clients are the same")
			}
		}
	}
	for gen, n := range readers {
		if got := gen.readers.Load(); got != n {
			t.Fatalf("a generation counts %d readers, want %d", got, n)
		}
	}
}

type query struct {
	name      string
	got, want any
}

// queries are all questions to the registry. The names asked for include
// unknown ones, and some twice.
func (m *model) queries() []query {
	asked := append([]string{"", "unknown", topicNames[0]}, topicNames...)
	ids := []string{"8", "unknown", "0", "", "crowd3", "0", "1"}
	customers := []string{"b", "", "unknown", "a", "b"}

	var found []*Client
	for _, id := range ids {
		if r := m.listed[id]; r != nil {
			found = append(found, r.client)
		}
	}
	var byCustomer []string
	customerIDs := make(map[string][]string)
	uniqIDs := make(map[string][]string)
	topicCustomers := make(map[string]map[string][]string)
	for id, r := range m.listed {
		if r.customer != "" {
			customerIDs[r.customer] = append(customerIDs[r.customer], id)
		}
		for name := range r.topics {
			uniqIDs[name] = append(uniqIDs[name], id)
		}
	}
	for _, cu := range customers {
		byCustomer = append(byCustomer, customerIDs[cu]...)
	}
	for name, members := range uniqIDs {
		topicCustomers[name] = make(map[string][]string)
		for _, id := range members {
			if cu := m.listed[id].customer; cu != "" {
				topicCustomers[name][cu] = sorted(slices.Clone(customerIDs[cu]))
			}
		}
	}
	counts := mapValues(uniqIDs, func(ids []string) int { return len(ids) })
	customerCounts := mapValues(topicCustomers, func(cs map[string][]string) int { return len(cs) })

	got := m.real
	qs := []query{
		{"Len", got.Len(), len(m.listed)},
		{"CustomerLen", got.CustomerLen(), len(customerIDs)},
		{"TopicLen", got.TopicLen(), len(uniqIDs)},
		{"UniqIDs", sorted(got.UniqIDs()), sortedKeys(m.listed)},
		{"CustomerIDs", sorted(got.CustomerIDs()), sortedKeys(customerIDs)},
		{"Topics", sorted(got.Topics()), sortedKeys(uniqIDs)},
		{"TopicUniqIDs", mapValues(got.TopicUniqIDs(asked), sorted), mapValues(uniqIDs, sorted)},
		{"TopicCustomers", mapValues(got.TopicCustomers(asked), sorted), mapValues(topicCustomers, sortedKeys)},
		{
			"TopicCustomerUniqIDs",
			mapValues(got.TopicCustomerUniqIDs(asked), func(c map[string][]string) map[string][]string { return mapValues(c, sorted) }),
			topicCustomers,
		},
		{"TopicCounts", got.TopicCounts(asked, false), counts},
		{"TopicCounts of all", got.TopicCounts(nil, true), counts},
		{"TopicCustomerCounts", got.TopicCustomerCounts(asked, false), customerCounts},
		{"TopicCustomerCounts of all", got.TopicCustomerCounts(nil, true), customerCounts},
		{"Find", got.Find(nil, ids...), found},
		{"Lookup", lookups(got, ids), found},
		{"FindByCustomer", clientIDs(got.FindByCustomer(nil, customers...)), sorted(byCustomer)},
		m.audiences("Everyone", got.Everyone(nil), func(*record) bool { return true }),
	}
	for _, name := range asked[:6] {
		qs = append(qs, m.audiences(fmt.Sprintf("Subscribers(%q)", name), got.Subscribers(nil, name),
			func(r *record) bool { return r.topics[name] }))
	}
	return qs
}

// audiences compares as, and releases it, with those on each loop who belong.
func (m *model) audiences(name string, as []Audience, belongs func(*record) bool) query {
	got, want := make(map[int][]string), make(map[int][]string)
	for _, a := range as {
		i := a.Loop().(*testLoop).index
		if _, ok := got[i]; ok {
			name += " (a loop twice)"
			want[i] = nil
		}
		got[i] = clientIDs(a.Clients())
		a.Release()
	}
	for id, r := range m.listed {
		if belongs(r) {
			want[r.loop.index] = append(want[r.loop.index], id)
		}
	}
	return query{name, got, mapValues(want, sorted)}
}

func sorted(s []string) []string {
	slices.Sort(s)
	return s
}

func sortedKeys[V any](m map[string]V) []string { return sorted(keys(m)) }

func mapValues[K comparable, V, W any](m map[K]V, f func(V) W) map[K]W {
	r := make(map[K]W, len(m))
	for k, v := range m {
		r[k] = f(v)
	}
	return r
}

func clientIDs(clients []*Client) []string {
	var ids []string
	for _, c := range clients {
		ids = append(ids, c.UniqID())
	}
	return sorted(ids)
}

// lookups looks up ids one by one, and returns the clients that there are.
func lookups(r Registry, ids []string) (found []*Client) {
	for _, id := range ids {
		if c, ok := r.Lookup(id); ok {
			found = append(found, c)
		}
	}
	return found
}

package cluster

import (
	"slices"
	"testing"
	"time"

	"github.com/sluicegate/sluice/protocol"
)

func memberOf(node, instance byte) *member {
	return newMember(identity{protocol.Node{node}, uint64(instance)}, time.Second)
}

// A question hears each node once: its answer, that it has left, that it was lost, or
// that nobody waits any more.
func TestQuestions(t *testing.T) {
	q := newQuestions()
	a, b, c, d := memberOf(1, 1), memberOf(2, 1), memberOf(3, 1), memberOf(4, 1)
	one, two := q.ask([]*member{a, b, c, d}), q.ask(d.alone)
	if one.number == two.number {
		t.Fatal("two questions have one number")
	}
	q.answer(one.number, identity{a.node, 2}, nil, nil) // another process
	q.answer(9, a.identity, nil, nil)
	q.answer(one.number, a.identity, []byte("a"), nil)
	q.answer(one.number, a.identity, []byte("again"), nil)
	q.gone(b, true)
	q.gone(c, false)
	q.gone(memberOf(4, 1), false) // another member of that process
	if got := len(one.answers); got != 3 {
		t.Fatalf("%d answers", got)
	}
	if x := <-one.answers; x.from != a || string(x.body) != "a" || !x.there || x.left {
		t.Errorf("%+v", x)
	}
	if x := <-one.answers; x.from != b || !x.there || !x.left {
		t.Errorf("%+v", x)
	}
	if x := <-one.answers; x.from != c || x.there || x.left {
		t.Errorf("%+v", x)
	}
	if silent := q.forget(one); !slices.Equal(silent, []protocol.Node{d.node}) {
		t.Errorf("%v have not answered", silent)
	}
	q.answer(one.number, d.identity, nil, nil) // too late
	if len(one.answers) > 0 || len(q.open) != 1 {
		t.Error("a question that is forgotten is answered")
	}
	q.close()
	if x := <-two.answers; x.from != d || x.there {
		t.Errorf("%+v", x)
	}
	if x := <-q.ask(a.alone).answers; x.from != a || x.there {
		t.Errorf("after the end: %+v", x)
	}
}

// The list of nodes changes as a whole, and only by whom it knows.
func TestMembers(t *testing.T) {
	m := newMembers()
	m.join(identity{protocol.Node{1}, 1})
	was := m.all()
	b, again := memberOf(2, 1), memberOf(2, 2)
	m.change(b, nil)
	m.change(nil, again) // it is not there
	if m.of(b.node) != b || len(m.all()) != 2 || m.all()[0] != m.self() || m.self().node != (protocol.Node{1}) {
		t.Errorf("there are %v", m.nodes())
	}
	m.change(again, b)
	if m.of(b.node) != again || len(m.all()) != 2 || len(was) != 1 {
		t.Errorf("there are %v, and were %d", m.nodes(), len(was))
	}
	now := time.Now()
	if lost := m.silent(now); len(lost) != 0 {
		t.Errorf("%d are silent", len(lost))
	}
	if lost := m.silent(now.Add(2 * time.Second)); len(lost) != 1 || lost[0] != again {
		t.Errorf("%d are silent, want the other one", len(lost))
	}
	m.grace(now.Add(2 * time.Second))
	if lost := m.silent(now.Add(2 * time.Second)); len(lost) != 0 {
		t.Errorf("%d are silent in spite of it", len(lost))
	}
	m.change(nil, again)
	if m.of(b.node) != nil || len(m.nodes()) != 1 {
		t.Errorf("there are %v", m.nodes())
	}
}

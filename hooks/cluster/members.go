package cluster

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/protocol"
)

// A member is a node of the cluster, this one included.
type member struct {
	identity
	alone []*member     // itself, as a list
	heard atomic.Int64  // when last, in Unix nanoseconds
	dead  time.Duration // for how long it may not be heard; 0 for this node
}

func newMember(id identity, dead time.Duration) *member {
	m := &member{identity: id, dead: dead}
	m.alone = []*member{m}
	m.heard.Store(time.Now().UnixNano())
	return m
}

// A roll is who there is at one time. It does not change.
type roll struct {
	all    []*member // this node first
	byNode map[protocol.Node]*member
}

// members are the nodes that there are.
type members struct {
	now    atomic.Pointer[roll]
	mu     sync.Mutex // of changes
	absent *member    // stands for any that is not heard of while NATS is away
}

func newMembers() *members {
	m := &members{absent: newMember(identity{}, time.Second)}
	m.now.Store(&roll{byNode: make(map[protocol.Node]*member)})
	return m
}

// join puts the node itself in.
func (m *members) join(self identity) { m.change(newMember(self, 0), nil) }

// change replaces a node's member, or adds one, or removes one.
func (m *members) change(in, out *member) {
	m.mu.Lock()
	defer m.mu.Unlock()
	was := m.now.Load()
	next := &roll{all: slices.Clone(was.all), byNode: maps.Clone(was.byNode)}
	if out != nil && was.byNode[out.node] == out {
		delete(next.byNode, out.node)
		next.all = slices.DeleteFunc(next.all, func(o *member) bool { return o == out })
	}
	if in != nil {
		next.byNode[in.node] = in
		next.all = append(next.all, in)
	}
	m.now.Store(next)
}

// all returns the nodes, this one first.
func (m *members) all() []*member { return m.now.Load().all }

// self returns this node.
func (m *members) self() *member { return m.all()[0] }

// of returns a node, or nil if it is not there.
func (m *members) of(n protocol.Node) *member { return m.now.Load().byNode[n] }

func (m *members) nodes() []protocol.Node {
	all := m.all()
	nodes := make([]protocol.Node, len(all))
	for i, o := range all {
		nodes[i] = o.node
	}
	return nodes
}

// grace lets nobody be lost for want of what could not be heard until now.
func (m *members) grace(now time.Time) {
	for _, o := range m.all() {
		o.heard.Store(now.UnixNano())
	}
}

// silent returns the nodes that were not heard of for too long.
func (m *members) silent(now time.Time) (lost []*member) {
	for _, o := range m.all() {
		if o.dead > 0 && now.Sub(time.Unix(0, o.heard.Load())) > o.dead {
			lost = append(lost, o)
		}
	}
	return lost
}

package cluster

import (
	"sync"

	"github.com/sluicegate/sluice/protocol"
)

// An answer is what a node has said to a question.
type answer struct {
	from  *member
	body  []byte
	err   error
	there bool // false if the node was lost
	left  bool // it has taken its leave, and its clients are gone
}

// A question waits for the answers of some nodes.
type question struct {
	number  uint64
	answers chan answer // has room for one of each

	waits map[identity]*member // of questions.mu
}

// questions are those that wait.
type questions struct {
	mu     sync.Mutex
	last   uint64
	open   map[uint64]*question
	closed bool
}

func newQuestions() *questions { return &questions{open: make(map[uint64]*question)} }

// ask makes a question to nodes.
func (q *questions) ask(of []*member) *question {
	one := &question{answers: make(chan answer, len(of)), waits: make(map[identity]*member, len(of))}
	for _, m := range of {
		one.waits[m.identity] = m
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.last++
	one.number = q.last
	q.open[one.number] = one
	if q.closed {
		one.release()
	}
	return one
}

// release has nobody waited for any more.
func (one *question) release() {
	for id, m := range one.waits {
		delete(one.waits, id)
		one.answers <- answer{from: m}
	}
}

// answer hands an answer to who waits for it.
func (q *questions) answer(number uint64, from identity, body []byte, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	one := q.open[number]
	if one == nil {
		return // nobody waits any longer
	}
	if m := one.waits[from]; m != nil {
		delete(one.waits, from)
		one.answers <- answer{from: m, body: body, err: err, there: true}
	}
}

// gone says that a node will not answer, as it has left, or was lost.
func (q *questions) gone(m *member, left bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, one := range q.open {
		if one.waits[m.identity] == m {
			delete(one.waits, m.identity)
			one.answers <- answer{from: m, there: left, left: left}
		}
	}
}

// forget ends a question, and returns who has not answered.
func (q *questions) forget(one *question) (silent []protocol.Node) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.open, one.number)
	for _, m := range one.waits {
		silent = append(silent, m.node)
	}
	return silent
}

// close has nobody wait any more.
func (q *questions) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	for _, one := range q.open {
		one.release()
	}
}

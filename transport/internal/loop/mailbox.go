package loop

import (
	"context"
	"sync"

	"github.com/sluicegate/sluice/transport"
)

// mailbox is a loop's FIFO of tasks. The lock is held for a few instructions
// by either side, never across work.
//
// The loop is woken at most once per drain, and not at all while it is busy:
// it promises to look into the mailbox before it rests.
type mailbox struct {
	mu         sync.Mutex
	queue      []transport.Task
	recipients int  // of the tasks in queue
	bytes      int  // of the tasks in queue and of those taken but not freed
	limit      int  // of bytes
	busy       bool // the loop runs, and will look before it rests
	woken      bool // a wake is on its way
	closed     bool
	room       chan struct{} // closed when bytes falls below limit
}

// Post implements transport.Loop.
func (l *Loop) Post(t transport.Task) error { return l.post(t, false) }

// PostAlways implements transport.Loop.
func (l *Loop) PostAlways(t transport.Task) error { return l.post(t, true) }

// post appends t; a forced one also when the mailbox is full.
func (l *Loop) post(t transport.Task, force bool) error {
	recipients, bytes := t.Weight()
	m := &l.box
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return transport.ErrStopped
	}
	if m.bytes >= m.limit && !force {
		m.mu.Unlock()
		return transport.ErrMailboxFull
	}
	m.queue = append(m.queue, t)
	m.recipients += recipients
	m.bytes += bytes
	wake := !m.busy && !m.woken
	m.woken = m.woken || wake
	m.mu.Unlock()
	if wake {
		l.engine.Wake()
	}
	return nil
}

// Wait implements transport.Loop.
func (l *Loop) Wait(ctx context.Context) error {
	m := &l.box
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return transport.ErrStopped
	}
	if m.bytes < m.limit {
		m.mu.Unlock()
		return nil
	}
	if m.room == nil {
		m.room = make(chan struct{})
	}
	room := m.room
	m.mu.Unlock()
	select {
	case <-room:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// enter marks the loop busy, and reports whether it was not.
func (m *mailbox) enter() bool {
	m.mu.Lock()
	was := m.busy
	m.busy = true
	m.mu.Unlock()
	return !was
}

func (m *mailbox) enterWoken() {
	m.mu.Lock()
	m.busy, m.woken = true, false
	m.mu.Unlock()
}

// leave marks the loop at rest; freed is as in take. It returns true if the loop
// must be woken again, because of tasks that wait or because more says so.
func (m *mailbox) leave(freed int, more bool) (wake bool) {
	m.mu.Lock()
	m.free(freed)
	m.busy = false
	wake = !m.woken && !m.closed && (more || len(m.queue) > 0)
	m.woken = m.woken || wake
	m.mu.Unlock()
	return wake
}

// take empties the mailbox; spent, whose tasks are done, becomes its storage.
// freed is how many bytes were held by tasks that are done.
func (m *mailbox) take(spent []transport.Task, freed int) []transport.Task {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.free(freed)
	return m.swap(spent)
}

// takeLight is take if there is something in the mailbox, for no more than so many
// recipients. Otherwise it does nothing and returns false.
func (m *mailbox) takeLight(spent []transport.Task, freed, recipients int) ([]transport.Task, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.queue) == 0 || m.recipients > recipients {
		return nil, false
	}
	m.free(freed)
	return m.swap(spent), true
}

func (m *mailbox) swap(spent []transport.Task) []transport.Task {
	batch := m.queue
	m.queue, m.recipients = spent[:0], 0
	return batch
}

func (m *mailbox) free(bytes int) {
	m.bytes -= bytes
	m.signal()
}

func (m *mailbox) signal() {
	if m.room != nil && (m.bytes < m.limit || m.closed) {
		close(m.room)
		m.room = nil
	}
}

// close refuses later tasks and returns those that wait.
func (m *mailbox) close() []transport.Task {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	m.signal()
	left := m.queue
	m.queue = nil
	return left
}

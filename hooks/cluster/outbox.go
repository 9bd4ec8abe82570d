package cluster

import (
	"context"
	"sync"
	"time"

	"github.com/sluicegate/sluice/hooks"
)

// An outgoing is a message on its way to NATS.
type outgoing struct {
	subject string
	data    []byte
	// counted says that the message counts among those that can be lost: it is a
	// command, or the last part of one.
	counted bool
}

// messageOverhead is what a message counts for in a queue besides its bytes.
const messageOverhead = 128

func (m *outgoing) size() int { return len(m.subject) + len(m.data) + messageOverhead }

// An outbox is the queue of what is to be sent. Its order is that in which commands
// were issued. One goroutine takes from it, so that nobody else waits for a socket.
type outbox struct {
	limit int
	wake  chan struct{} // has a token while something waits

	mu      sync.Mutex
	queue   []outgoing
	spare   []outgoing
	bytes   int // of queue, and of what was taken and is not sent
	closed  bool
	room    chan struct{} // closed when there is some again
	waiting int
}

func newOutbox(limit int) *outbox {
	return &outbox{limit: limit, wake: make(chan struct{}, 1), room: make(chan struct{})}
}

// put adds messages, which stay together. If there is no room, it waits for it, not
// longer than patience and ctx, and not at all if ctx allows no waiting, and returns
// hooks.ErrOverloaded. An empty queue takes a message of any size.
func (o *outbox) put(ctx context.Context, patience time.Duration, ms ...outgoing) error {
	size := 0
	for i := range ms {
		size += ms[i].size()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	var late <-chan time.Time
	for !o.closed && o.bytes > 0 && o.bytes+size > o.limit {
		if !hooks.MayWait(ctx) {
			return hooks.ErrOverloaded
		}
		if late == nil {
			timer := time.NewTimer(patience)
			defer timer.Stop()
			late = timer.C
		}
		room := o.room
		o.waiting++
		o.mu.Unlock()
		var err error
		select {
		case <-room:
		case <-late:
			err = hooks.ErrOverloaded
		case <-ctx.Done():
			err = hooks.ErrOverloaded
		}
		o.mu.Lock()
		o.waiting--
		if err != nil {
			return err
		}
	}
	if o.closed {
		return hooks.ErrStopped
	}
	o.queue = append(o.queue, ms...)
	o.bytes += size
	select {
	case o.wake <- struct{}{}:
	default:
	}
	return nil
}

// take returns all that waits, and false when nothing will come any more. Its bytes
// count until they are given back with sent.
func (o *outbox) take() (batch []outgoing, more bool) {
	for {
		o.mu.Lock()
		closed := o.closed
		if len(o.queue) > 0 {
			batch, o.queue, o.spare = o.queue, o.spare[:0], nil
		}
		o.mu.Unlock()
		if len(batch) > 0 || closed {
			return batch, len(batch) > 0
		}
		<-o.wake
	}
}

// sent gives back the room of messages, and the list that they were in when all of
// them are done.
func (o *outbox) sent(size int, done []outgoing) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.bytes -= size
	if done != nil {
		clear(done)
		o.spare = done
	}
	if o.waiting > 0 {
		close(o.room)
		o.room = make(chan struct{})
	}
}

// close lets nothing more in.
func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return
	}
	o.closed = true
	close(o.room)
	o.room = make(chan struct{})
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

func (o *outbox) waits() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return int64(o.bytes)
}

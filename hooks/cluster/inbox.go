package cluster

import (
	"sync"

	"github.com/nats-io/nats.go"
)

// arrivals is how many messages nats.go may hold until the goroutine that receives
// comes to take them: on a busy machine that can be some milliseconds, in which as many
// small ones come. Each is of a part's size at most.
const arrivals = 16 << 10

// An inbox is the queue of what has arrived and is not carried out. All subscriptions
// put into one channel, so that a node's messages stay in their order whatever their
// subjects are; from there they come here, where bytes are counted.
type inbox struct {
	ch    chan *nats.Msg
	limit int
	wake  chan struct{}

	mu    sync.Mutex
	queue []*nats.Msg
	spare []*nats.Msg
	bytes int // of queue, and of what was taken and is not done
}

func newInbox(limit int) *inbox {
	return &inbox{ch: make(chan *nats.Msg, arrivals), limit: limit, wake: make(chan struct{}, 1)}
}

func sizeOf(m *nats.Msg) int { return len(m.Data) + len(m.Subject) + messageOverhead }

// put adds messages and returns how many there was no room for.
func (i *inbox) put(ms []*nats.Msg) (dropped int) {
	i.mu.Lock()
	for n, m := range ms {
		size := sizeOf(m)
		if i.bytes > 0 && i.bytes+size > i.limit {
			dropped = len(ms) - n
			break
		}
		i.queue = append(i.queue, m)
		i.bytes += size
	}
	i.mu.Unlock()
	select {
	case i.wake <- struct{}{}:
	default:
	}
	return dropped
}

// take returns all that waits, which may be nothing.
func (i *inbox) take() (batch []*nats.Msg) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.queue) > 0 {
		batch, i.queue, i.spare = i.queue, i.spare[:0], nil
	}
	return batch
}

// done gives back the room of a message.
func (i *inbox) done(m *nats.Msg) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.bytes -= sizeOf(m)
}

// reuse gives back a list that take has returned.
func (i *inbox) reuse(batch []*nats.Msg) {
	if batch == nil {
		return
	}
	clear(batch)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.spare = batch
}

func (i *inbox) waits() int64 {
	i.mu.Lock()
	defer i.mu.Unlock()
	return int64(i.bytes)
}

package business

import (
	"fmt"
	"runtime/debug"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/wire"
	"github.com/sluicegate/sluice/protocol"
)

// event is one call of the Router.
type event struct {
	reg     *registration
	uniqID  string
	message proto.Message
	size    int
}

// eventOverhead is what a waiting event counts for besides its bytes.
const eventOverhead = 64

// handlers run events: one at a time for each client, on a bounded number of
// goroutines.
type handlers struct {
	c     *Client
	slots chan struct{}

	mu      sync.Mutex
	queues  map[string]*queue
	bytes   int           // of events that wait or run
	room    chan struct{} // closed when there is some again; nil if nobody waits
	quiet   chan struct{} // closed when no event waits or runs; nil if nobody waits
	running sync.WaitGroup
}

// queue is one client's events, while there are any.
type queue struct {
	events []event
	head   int
}

// queueKept is how many events a queue may have room for to be used again.
const queueKept = 64

// next takes the first event off. It gives back the room of those before, as a
// client that is never idle keeps its queue.
func (q *queue) next() event {
	e := q.events[q.head]
	q.events[q.head] = event{}
	q.head++
	switch left := q.events[q.head:]; {
	case len(left) == 0 && cap(q.events) <= queueKept:
		q.events, q.head = q.events[:0], 0
	case q.head >= queueKept && len(left) <= q.head:
		q.events, q.head = append([]event(nil), left...), 0
	}
	return e
}

func newHandlers(c *Client) *handlers {
	return &handlers{c: c, slots: make(chan struct{}, c.cfg.Workers), queues: make(map[string]*queue)}
}

// add has e handled when those of its client before it are. It waits while too
// much does, and returns false when the Client has given up.
func (h *handlers) add(e event) bool {
	h.mu.Lock()
	for h.bytes > 0 && h.bytes+e.size > h.c.cfg.Backlog {
		if h.room == nil {
			h.room = make(chan struct{})
		}
		room := h.room
		h.mu.Unlock()
		select {
		case <-room:
		case <-h.c.dead:
			return false
		}
		h.mu.Lock()
	}
	h.bytes += e.size
	q := h.queues[e.uniqID]
	if q != nil {
		q.events = append(q.events, e)
		h.mu.Unlock()
		return true
	}
	q = &queue{events: []event{e}}
	h.queues[e.uniqID] = q
	h.mu.Unlock()
	select {
	case h.slots <- struct{}{}:
		h.running.Go(func() { h.run(e.uniqID, q) })
		return true
	case <-h.c.dead:
		return false
	}
}

// run handles a client's events until there are none.
func (h *handlers) run(uniqID string, q *queue) {
	defer func() { <-h.slots }()
	bus := h.c.Lane(uniqID)
	h.mu.Lock()
	for q.head < len(q.events) {
		e := q.next()
		h.mu.Unlock()
		h.handle(bus, e)
		h.mu.Lock()
		h.bytes -= e.size
		if h.room != nil {
			close(h.room)
			h.room = nil
		}
	}
	delete(h.queues, uniqID)
	if len(h.queues) == 0 && h.quiet != nil {
		close(h.quiet)
		h.quiet = nil
	}
	h.mu.Unlock()
}

// idle returns when no event waits or runs. Its one caller sees to it that no
// more come.
func (h *handlers) idle() {
	h.mu.Lock()
	if len(h.queues) == 0 {
		h.mu.Unlock()
		return
	}
	h.quiet = make(chan struct{})
	quiet := h.quiet
	h.mu.Unlock()
	<-quiet
}

// handle makes one call of the Router.
func (h *handlers) handle(bus hooks.Bus, e event) {
	defer func() {
		if r := recover(); r != nil {
			if n, ok := h.c.noise.panics.Next(); ok {
				h.c.log.Error("handler panicked", "uniqId", e.uniqID, "panic", fmt.Sprint(r), "stack", string(debug.Stack()), "suppressed", n)
			}
		}
		h.c.stats.handled.Add(1)
		e.reg.done()
	}()
	ctx, router := h.c.handling, h.c.cfg.Router
	switch m := e.message.(type) {
	case *protocol.ConnOpen:
		router.Open(ctx, bus, wire.OpenEvent(m))
	case *protocol.Transfer:
		router.Message(ctx, bus, wire.MessageEvent(m))
	case *protocol.ConnClose:
		router.Close(ctx, bus, wire.CloseEvent(m))
	}
}

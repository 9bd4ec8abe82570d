package load

import (
	"sync"
	"time"

	"github.com/sluicegate/sluice/internal/load/message"
)

// An audience is who gets what its senders say: all clients of a broadcast, a
// group, or one client alone whose messages come back.
type audience struct {
	window *window

	mu   sync.Mutex
	here int64    // listeners that are connected
	said []uint32 // how much, by sender
	due  int64    // deliveries that should come of it
}

func newAudience(w *window, senders int) *audience {
	return &audience{window: w, said: make([]uint32, senders)}
}

// say returns the number of what a sender is about to say.
func (a *audience) say(from int) (seq uint32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	seq = a.said[from]
	a.said[from]++
	a.due += a.here
	a.window.sent(a.here)
	return seq
}

// A listener is the player of one client in an audience.
type listener struct {
	c        *client
	audience *audience
	class    int
	from     []tracker // by sender
	settled  int64     // deliveries that the window has yet to be told of

	// Messages of a number below later are of class early: they are from the
	// part of the phase before.
	later uint32
	early int

	// heard, if not nil, is called for each message that has not come before.
	heard func(h message.Head, now time.Duration)
}

// join makes c a listener.
func (a *audience) join(c *client, class int) *listener {
	l := &listener{c: c, audience: a, class: class, from: make([]tracker, len(a.said))}
	a.mu.Lock()
	a.here++
	a.mu.Unlock()
	return l
}

func (l *listener) received(h message.Head, _ []byte, now time.Duration) {
	if uint64(h.From) >= uint64(len(l.from)) {
		l.c.other++
		return
	}
	t, class := &l.from[h.From], l.class
	if h.Seq < l.later {
		class = l.early
	}
	before := t.next
	if !l.c.shard.deliver(t, class, h, now) {
		return
	}
	// What was left out was lost, or comes late: nobody waits for it.
	l.settled += int64(t.next - before)
	if l.heard != nil {
		l.heard(h, now)
	}
}

func (l *listener) caughtUp() {
	if l.settled > 0 {
		l.audience.window.done(l.settled)
		l.settled = 0
	}
}

func (l *listener) gone() {
	a := l.audience
	a.mu.Lock()
	defer a.mu.Unlock()
	a.here--
	var owed int64
	for i := range l.from {
		owed += int64(a.said[i] - l.from[i].next)
	}
	a.window.done(owed)
}

package loop

import (
	"net/http"
	"time"

	"github.com/sluicegate/sluice/transport/websocket"
)

// wheel holds one deadline per connection. Setting, moving and removing one
// costs a few instructions, and a tick costs what is in its slot; a deadline
// beyond the horizon, or one that activity has moved, is put back when its
// slot comes round.
type wheel struct {
	now   uint32 // in whole ticks since the loop began
	soon  uint32 // the first tick that is not in the past
	slots [wheelSlots][]*Conn
}

const (
	wheelSlots = 256
	noSlot     = -1
	dueSlot    = -2 // taken out of its slot, to be looked at
)

// set gives c a deadline so many ticks from soon, in place of any other.
func (w *wheel) set(c *Conn, after uint32) { w.setDue(c, w.soon+after) }

func (w *wheel) setDue(c *Conn, due uint32) {
	w.remove(c)
	c.due = due
	slot := (w.now + min(due-w.now, wheelSlots-1)) % wheelSlots
	c.slot, c.slotIndex = int16(slot), uint32(len(w.slots[slot]))
	w.slots[slot] = append(w.slots[slot], c)
}

func (w *wheel) remove(c *Conn) {
	if c.slot < 0 {
		c.slot = noSlot
		return
	}
	s := w.slots[c.slot]
	last := s[len(s)-1]
	s[c.slotIndex], last.slotIndex = last, c.slotIndex
	s[len(s)-1] = nil
	w.slots[c.slot] = s[:len(s)-1]
	c.slot = noSlot
}

// advance moves the clock and calls expire for each connection whose deadline
// has passed. What expire sets counts from then, however far the clock has
// leapt.
func (w *wheel) advance(elapsed time.Duration, expire func(*Conn)) {
	now := uint32(elapsed / tick)
	passed := now - w.now
	if int32(passed) < 0 {
		return
	}
	w.now, w.soon = now, now
	if elapsed%tick > 0 {
		w.soon++
	}
	// Once round, every slot has come up.
	for i := min(passed, wheelSlots); i > 0; i-- {
		slot := (now - i + 1) % wheelSlots
		due := w.slots[slot]
		w.slots[slot] = nil
		for _, c := range due {
			c.slot = dueSlot
		}
		for j, c := range due {
			due[j] = nil
			switch {
			case c.slot != dueSlot: // removed or moved by an earlier expire
			case int32(c.due-now) > 0:
				w.setDue(c, c.due)
			default:
				c.slot = noSlot
				expire(c)
			}
		}
		if w.slots[slot] == nil && cap(due) <= 1024 {
			w.slots[slot] = due[:0]
		}
	}
}

// expire ends c, whose deadline has passed, unless it was heard of since.
func (l *Loop) expire(c *Conn) {
	defer l.guard(c)
	switch c.state {
	case stateOpen:
		if due := c.lastSeen + ticks(l.opts.IdleTimeout); int32(due-l.wheel.now) > 0 {
			l.wheel.setDue(c, due)
			return
		}
		c.Close(websocket.CloseGoingAway, "heartbeat timeout")
	case stateHead:
		c.refuse(refusal(http.StatusRequestTimeout, nil, "the request head did not arrive in time"))
	case stateDeciding:
		c.refuse(refusal(http.StatusServiceUnavailable, nil, "the handshake took too long"))
	default:
		c.cutOff()
	}
}

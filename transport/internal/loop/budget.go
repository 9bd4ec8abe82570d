package loop

import (
	"cmp"
	"slices"

	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/websocket"
)

// account brings up to date what the budget knows of c.
func (c *Conn) account() {
	b := c.loop.opts.Budget
	if b == nil {
		return
	}
	c.charged = int32(b.Account(int(c.charged), c.holds()))
	if c.charged > 0 && b.Over() {
		c.loop.press()
	}
}

// holds is how many bytes c holds that its peer could make less.
func (c *Conn) holds() (bytes int) {
	switch c.state {
	case stateHead, stateDeciding:
		return cap(c.handshake().buf)
	case stateGone:
		return 0
	}
	bytes = c.dec.Buffered()
	if c.backlog != nil {
		bytes += c.backlog.bytes + c.backlog.left
	}
	return bytes
}

// press has the loop look at the budget soon. Until it is kept, ticks come often.
func (l *Loop) press() {
	if !l.pressed {
		l.pressed = true
		l.setStalled()
		l.engine.Hurry()
	}
}

// setStalled says whether ticks must come often.
func (l *Loop) setStalled() { l.isStalled.Store(len(l.stalled) > 0 || l.pressed) }

// shedPart is the part of what a loop holds that it lets go of at a tick, while
// the budget is passed: others do the same, and it may be enough.
const shedPart = 8

// shed closes those of the loop's connections that hold the most, if all
// together hold too much.
func (l *Loop) shed() {
	b := l.opts.Budget
	if !b.Over() {
		if l.pressed {
			l.pressed = false
			l.setStalled()
		}
		return
	}
	l.press() // another loop's connections may have passed it
	var much []*Conn
	held := 0
	for _, c := range l.conns {
		held += int(c.charged)
		if b.Excess(int(c.charged)) {
			much = append(much, c)
		}
	}
	if len(much) == 0 {
		return
	}
	slices.SortFunc(much, func(x, y *Conn) int { return cmp.Compare(y.charged, x.charged) })
	closed, freed := 0, 0
	for _, c := range much {
		closed++
		freed += int(c.charged)
		l.sacrifice(c)
		if freed >= held/shedPart || !b.Over() {
			break
		}
	}
	l.log.Warn("connections closed: all together hold more than the memory budget", "connections", closed, "bytes", freed)
}

// sacrifice ends c at once, with a word if it can still be said.
func (l *Loop) sacrifice(c *Conn) {
	defer l.guard(nil)
	c.discard(transport.DropBudget)
	c.Close(websocket.CloseTryAgainLater, "memory budget")
	c.flush()
	c.cutOff()
}

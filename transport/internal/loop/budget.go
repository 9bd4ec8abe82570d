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
	// A host may allow more than an int32 holds; so much is excess in any case.
	c.charged = int32(b.Account(int(c.charged), min(c.holds(), 1<<30)))
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

// press has the loop look at the budget, when it has done what it is doing. Where
// it finds nothing to close, it looks again at the next tick: it is others who hold
// too much.
func (l *Loop) press() {
	if !l.pressed {
		l.pressed = true
		_ = l.PostAlways(&shed{l}) // a loop that has stopped holds nothing
	}
}

// shed is the task of closing those of the loop's connections that hold the most,
// until all together hold no more than they may.
type shed struct{ l *Loop }

func (t *shed) Run(int) (steps int, done bool) {
	l, b := t.l, t.l.opts.Budget
	var much []*Conn
	for _, c := range l.conns {
		if b.Excess(int(c.charged)) {
			much = append(much, c)
		}
	}
	slices.SortFunc(much, func(x, y *Conn) int { return cmp.Compare(y.charged, x.charged) })
	closed, freed := 0, 0
	for _, c := range much {
		if !b.Over() {
			break
		}
		closed++
		freed += int(c.charged)
		l.sacrifice(c)
	}
	l.pressed = b.Over()
	if closed > 0 {
		if n, ok := l.overBudget.Next(); ok {
			l.log.Warn("memory budget exceeded", "connections", closed, "bytes", freed, "suppressed", n)
		}
	}
	return len(l.conns), true
}

func (t *shed) Weight() (recipients, bytes int) { return 1, 0 }

func (t *shed) Drop() {}

// sacrifice ends c at once, with a word if it can still be said.
func (l *Loop) sacrifice(c *Conn) {
	defer l.guard(nil)
	c.discard(transport.DropBudget)
	c.Close(websocket.CloseTryAgainLater, "memory budget")
	c.flush()
	c.cutOff()
}

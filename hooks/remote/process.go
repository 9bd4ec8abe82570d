package remote

import (
	"math/bits"
	"slices"
	"time"

	"github.com/sluicegate/sluice/protocol"
)

// kind is one of the three kinds of event.
type kind uint8

const (
	kindOpen kind = iota
	kindClose
	kindMessage
	kinds
)

// bit is the kind's bit in a registration.
func (k kind) bit() int32 {
	return int32([...]protocol.Event_Bit{protocol.Event_OnOpen, protocol.Event_OnClose, protocol.Event_OnMessage}[k])
}

// knownEvents are the bits of all kinds.
const knownEvents = int32(protocol.Event_OnOpen | protocol.Event_OnClose | protocol.Event_OnMessage)

type processState uint8

const (
	// active: the process is registered.
	active processState = iota
	// leaving: it has unregistered or died, and may have commands under way
	// that what other processes do for its clients must not overtake.
	leaving
	// gone: its clients may go to others.
	gone
)

// A process is a registration. The Router's lock guards it.
type process struct {
	conn   *workerConn
	birth  uint64 // counts registrations, for choosing by hash
	connID string
	events int32
	state  processState
	since  time.Time
	load   int // how often clients are tied to it
	// clients counts those that are tied to it, for one kind of event or several.
	clients int
	// sent counts the events that the socket has taken, handled those that
	// the process says it has handled; receipts is whether it ever said so.
	// before is how many there were when it registered, from which on it
	// counts.
	sent, handled, before uint64
	receipts              bool
}

func (p *process) wants(k kind) bool { return p.state == active && p.events&k.bit() != 0 }

// preferable reports whether p is the better choice for a new client: one that
// wants more kinds of event, and of these the one with fewer clients.
func (p *process) preferable(other *process) bool {
	if other == nil {
		return true
	}
	a, b := bits.OnesCount32(uint32(p.events&knownEvents)), bits.OnesCount32(uint32(other.events&knownEvents))
	return a > b || a == b && p.load < other.load
}

// A client is what the Router knows of one of the gateway's clients.
type client struct {
	id string
	// procs is, for each kind, the process that gets the client's events.
	procs [kinds]*process
	// held counts the client's events in the buffer.
	held [kinds]int
	// passing is set for a client whose Open the Router has not seen, and
	// whose Close it therefore cannot count on: it is known only while
	// events of it wait.
	passing bool
	// forgotten is set when its Close has been sent or dropped.
	forgotten bool
}

// unsettled reports whether commands of a process that has left could still be
// under way for c.
func (c *client) unsettled() bool {
	for _, p := range c.procs {
		if p != nil && p.state == leaving {
			return true
		}
	}
	return false
}

func (c *client) waiting() bool { return c.held != [kinds]int{} }

// tie makes p the process for events of kind k.
func (c *client) tie(k kind, p *process) {
	old, fresh := c.procs[k], !c.tied(p)
	c.procs[k] = p
	if c.forgotten {
		return
	}
	if old != nil {
		old.load--
		if !c.tied(old) {
			old.clients--
		}
	}
	p.load++
	if fresh {
		p.clients++
	}
}

// tied reports whether p gets events of c of any kind.
func (c *client) tied(p *process) bool { return slices.Contains(c.procs[:], p) }

// untie has the processes count c no more.
func (c *client) untie() {
	for i, p := range c.procs {
		if p == nil {
			continue
		}
		p.load--
		if !slices.Contains(c.procs[:i], p) {
			p.clients--
		}
	}
}

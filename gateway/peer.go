package gateway

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/registry"
	"github.com/sluicegate/sluice/transport"
)

// A peer is one client: what the registry knows of it, and the events that
// wait for the Router.
type peer struct {
	registry.Client

	mu sync.Mutex
	// inbox is nil while no event waits or runs. Until the client is open it
	// holds its origin.
	inbox *inbox
	// offline is set when a command or a panic has ended the client before
	// its connection is closed.
	offline atomic.Bool
	// pending is set while Admitters decide about the client; only its loop
	// looks. The inbox is the loop's then, too.
	pending bool
	// gaps is which GapTeller the client has asked for, counted from 1.
	gaps uint8
}

// origin is what is known of a client before it is open.
type origin struct {
	inbox    inbox // the peer's until then
	addr     netip.Addr
	value    any // the connection's, with the peer in it
	identity hooks.Identity
	event    hooks.OpenEvent
	cancel   func() // ends the Admitters' context
	gone     bool   // the client left while they decided, and why
	cause    transport.CloseCause
}

// inbox is a peer's events in order.
type inbox struct {
	origin *origin
	events []event
	head   int
	bytes  int
	taken  int // of the memory budget
}

// event is one call of the Router. The Open event has open set, the Close
// event closing, and a message neither.
type event struct {
	open    *hooks.OpenEvent
	closing *hooks.CloseEvent
	data    []byte
}

const (
	// eventOverhead is what a waiting message counts for besides its bytes.
	eventOverhead = 64
	// turn is how many of one client's events a worker runs before it looks
	// after others that wait.
	turn = 16
	// inboxKept is how many events an inbox may have room for to be used
	// again.
	inboxKept = 64
)

// push queues e for p's next turn on a worker. If there is no room for it, it
// returns why; events that are not messages always have a place.
func (g *Gateway) push(p *peer, e event) (full hooks.DropReason) {
	message := e.open == nil && e.closing == nil
	p.mu.Lock()
	box := p.inbox
	fresh := box == nil
	if fresh {
		box = g.inboxes.Get().(*inbox)
	}
	if message {
		if full = g.charge(box, len(e.data)); full != "" {
			p.mu.Unlock()
			if fresh {
				g.inboxes.Put(box) // p has none, as no worker runs it
			}
			return full
		}
	}
	p.inbox = box
	box.events = append(box.events, e)
	p.mu.Unlock()
	if fresh {
		g.workers.submit(p)
	}
	return ""
}

// charge makes room in b for a message of size bytes, if the limits leave any, or
// returns why not.
func (g *Gateway) charge(b *inbox, size int) (full hooks.DropReason) {
	size += eventOverhead
	if b.bytes > 0 && b.bytes+size > g.cfg.InboxLimit {
		return hooks.DropBacklog
	}
	was := b.taken
	b.bytes += size
	b.taken = g.budget.Account(was, b.bytes)
	if b.taken > was && g.budget.Over() && g.budget.Excess(b.taken) {
		g.uncharge(b, size)
		return hooks.DropBudget
	}
	return ""
}

// uncharge gives back what a message of size bytes took, its overhead included.
func (g *Gateway) uncharge(b *inbox, size int) {
	b.bytes -= size
	b.taken = g.budget.Account(b.taken, b.bytes)
}

// work runs some of p's events. It returns true if more wait.
func (g *Gateway) work(s *shift, p *peer) (again bool) {
	for range turn {
		p.mu.Lock()
		box := p.inbox
		if box.head == len(box.events) {
			p.inbox = nil
			p.mu.Unlock()
			if cap(box.events) <= inboxKept {
				g.inboxes.Put(box)
			}
			return false
		}
		e := box.events[box.head]
		box.events[box.head] = event{}
		if box.head++; box.head == len(box.events) {
			box.events, box.head = box.events[:0], 0
		} else if box.head >= 64 && box.head > len(box.events)/2 {
			n := copy(box.events, box.events[box.head:])
			clear(box.events[n:])
			box.events, box.head = box.events[:n], 0
		}
		if e.open == nil && e.closing == nil {
			g.uncharge(box, len(e.data)+eventOverhead)
		}
		p.mu.Unlock()
		s.begin(p)
		g.handle(p, e)
		s.end()
	}
	return true
}

// handle makes one call of the Router on a worker.
func (g *Gateway) handle(p *peer, e event) {
	defer g.rescue("handler", p.UniqID(), func(error) {
		if e.closing == nil {
			g.closePeer(p, internalError())
		}
	})
	ctx, router := g.handlers, g.cfg.Router
	switch {
	case e.open != nil:
		router.Open(ctx, g, *e.open)
	case e.closing != nil:
		router.Close(ctx, g, *e.closing)
	default:
		router.Message(ctx, g, messageEvent(g, p, e.data))
	}
}

func messageEvent(g *Gateway, p *peer, data []byte) hooks.MessageEvent {
	i := g.reg.Info(&p.Client)
	return hooks.MessageEvent{UniqID: p.UniqID(), CustomerID: i.CustomerID, Session: i.Session, Topics: i.Topics, Data: data}
}

func closeEvent(uniqID string, i registry.Info, why transport.CloseCause) hooks.CloseEvent {
	return hooks.CloseEvent{
		UniqID: uniqID, CustomerID: i.CustomerID, Session: i.Session, Topics: i.Topics,
		Code: why.Code, Reason: why.Reason, Remote: why.Remote,
	}
}

// closePeer closes p from outside its loop. What the client still sends is not
// handled. It fails only when the loop has ended, and the client with it.
func (g *Gateway) closePeer(p *peer, why *hooks.Disconnect) {
	if p.offline.Swap(true) {
		return
	}
	k := &kick{g: g, clients: []*registry.Client{&p.Client}, why: why}
	_ = p.Conn().Loop().PostAlways(k)
}

// A forwardedPeer is a client whose address is not its connection's. The others,
// which are most where clients are many, have nothing to keep it in.
type forwardedPeer struct {
	peer
	addr netip.Addr
}

// newValue returns what a connection's Value will be: a peer, in one or the other
// form.
func newValue(client, socket netip.Addr) any {
	if client == socket {
		return new(peer)
	}
	return &forwardedPeer{addr: client}
}

func peerIn(value any) *peer {
	if f, ok := value.(*forwardedPeer); ok {
		return &f.peer
	}
	return value.(*peer)
}

func peerOf(c transport.Conn) *peer { return peerIn(c.Value()) }

// clientAddrOf returns the address that the client of c was opened with.
func clientAddrOf(c transport.Conn) netip.Addr {
	if f, ok := c.Value().(*forwardedPeer); ok {
		return f.addr
	}
	return addrOf(c.RemoteAddr())
}

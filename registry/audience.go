package registry

import (
	"slices"
	"sync/atomic"

	"github.com/sluicegate/sluice/transport"
)

// An Audience is a list of clients of one loop as it was at one moment. It may
// be read on any goroutine until Release, which must be called once. It is a
// small value, to be handed on by whoever will release it. The zero value is of
// no use.
type Audience struct {
	clients []*Client
	shared  *generation
}

// Loop returns the loop that all of the clients belong to.
func (a Audience) Loop() transport.Loop { return a.clients[0].conn.Loop() }

// Clients returns the clients, of which there is at least one. The slice must
// not be changed.
func (a Audience) Clients() []*Client { return a.clients }

// Same reports whether a and b are the same clients for the same reason: two
// publishes to one topic with no change between them. Neither may have been
// released.
func (a Audience) Same(b Audience) bool {
	return a.shared == b.shared && a.shared != nil && len(a.clients) == len(b.clients)
}

// Release says that the audience is no longer read. It may be called on any
// goroutine. An audience that is not released costs a needless copy of its list.
func (a Audience) Release() {
	if a.shared != nil {
		a.shared.readers.Add(-1)
	}
}

// NewAudience returns an audience of clients, which must all belong to one
// loop and must not be changed afterwards. There must be at least one. Releasing
// it does nothing.
func NewAudience(clients []*Client) Audience { return Audience{clients: clients} }

// generation counts the audiences that still read a list's array.
type generation struct{ readers atomic.Int32 }

// list is an array of clients that audiences share. Adding never disturbs
// them: it writes behind what they see. Removing moves an element, so while
// somebody reads the array a removal copies it first; as that happens at most
// once per audience, it costs less than delivering to the audience does.
type list struct {
	clients []*Client
	gen     *generation
}

func (l *list) add(c *Client) int32 {
	if l.gen == nil {
		l.gen = new(generation)
	}
	l.clients = append(l.clients, c)
	return int32(len(l.clients) - 1)
}

// remove takes the element at place out, and returns the one that took its
// place, if any.
func (l *list) remove(place int32) (moved *Client) {
	if l.gen.readers.Load() > 0 {
		l.clients = slices.Clone(l.clients)
		l.gen = new(generation)
	}
	last := int32(len(l.clients) - 1)
	if place != last {
		moved = l.clients[last]
		l.clients[place] = moved
	}
	l.clients[last] = nil
	l.clients = trim(l.clients[:last])
	return moved
}

// trim returns s in a smaller array if it fills less than a quarter of a large
// one, so that what was big once does not stay so.
func trim[T any](s []T) []T {
	if c := cap(s); c > 64 && len(s) < c/4 {
		return slices.Clone(s)
	}
	return s
}

// audience must be called with the registry's lock held for reading at least,
// so that no removal is under way.
func (l *list) audience(dst []Audience) []Audience {
	if len(l.clients) == 0 {
		return dst
	}
	l.gen.readers.Add(1)
	return append(dst, Audience{clients: l.clients[:len(l.clients):len(l.clients)], shared: l.gen})
}

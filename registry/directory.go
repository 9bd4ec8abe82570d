package registry

import (
	"hash/maphash"
	"sync"
)

// A directory finds clients by uniqId. It is in parts, so that loops which look up
// a client for each message do not wait for one another, nor for whoever changes
// the registry. All of it may be read while Memory's lock is held; what is written
// is written with the lock of its part held as well.
type directory struct {
	seed  maphash.Seed
	parts [32]struct {
		mu      sync.RWMutex
		clients map[string]*Client
		_       [32]byte // no two locks in one cache line
	}
}

func newDirectory() *directory {
	d := &directory{seed: maphash.MakeSeed()}
	for i := range d.parts {
		d.parts[i].clients = make(map[string]*Client)
	}
	return d
}

func (d *directory) part(uniqID string) int {
	return int(maphash.String(d.seed, uniqID) % uint64(len(d.parts)))
}

// lookup returns the client of that id. It needs no other lock.
func (d *directory) lookup(uniqID string) (*Client, bool) {
	p := &d.parts[d.part(uniqID)]
	p.mu.RLock()
	defer p.mu.RUnlock()
	c, ok := p.clients[uniqID]
	return c, ok
}

// get is lookup with Memory's lock held.
func (d *directory) get(uniqID string) (*Client, bool) {
	c, ok := d.parts[d.part(uniqID)].clients[uniqID]
	return c, ok
}

func (d *directory) add(c *Client) {
	p := &d.parts[d.part(c.uniqID)]
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clients[c.uniqID] = c
}

func (d *directory) remove(uniqID string) {
	p := &d.parts[d.part(uniqID)]
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.clients, uniqID)
}

func (d *directory) len() (n int) {
	for i := range d.parts {
		n += len(d.parts[i].clients)
	}
	return n
}

func (d *directory) uniqIDs() []string {
	ids := make([]string, 0, d.len())
	for i := range d.parts {
		for id := range d.parts[i].clients {
			ids = append(ids, id)
		}
	}
	return ids
}

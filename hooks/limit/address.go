package limit

import (
	"hash/maphash"
	"maps"
	"net/netip"
	"sync"
	"time"
)

// addresses count what each address has: clients, and handshakes of late. They
// are spread over shards, so that event loops seldom meet. However many addresses
// there are, a shard keeps those of clients that are there and of the handshakes
// of two seconds, the latest in which it was asked.
type addresses struct {
	counting bool // clients; for good, so that whoever is counted is counted off
	bits     int
	exempt   []netip.Prefix

	seed   maphash.Seed
	start  time.Time
	shards [64]addressShard
}

// address is one that counts: an IPv4 address, or an IPv6 network.
type address [16]byte

type addressShard struct {
	mu      sync.Mutex
	clients map[address]int // none of them is 0
	most    int             // of clients since the map was made
	// fresh and aged say when an address's bucket is full again, as the time
	// since the start: x/time/rate would take some 80 bytes and a lock for
	// each. An address whose last handshake was in neither of the two latest
	// turns has a full bucket, and is in none.
	fresh, aged map[address]time.Duration
	turned      time.Duration
}

// filled is the time after which a bucket is full again, and so the length of a
// turn, in which handshakes gather in one map to be forgotten together.
const filled = time.Second

func (a *addresses) init(cfg Config, start time.Time) {
	a.counting, a.bits, a.exempt = cfg.IPClients > 0 || cfg.Adjustable, cfg.IPv6Prefix, cfg.Exempt
	a.seed, a.start = maphash.MakeSeed(), start
	for i := range a.shards {
		a.shards[i].clients = make(map[address]int)
	}
}

// of returns what ip counts as, or false if nothing limits it.
func (a *addresses) of(ip netip.Addr) (k address, ok bool) {
	if !ip.IsValid() {
		return k, false
	}
	ip = ip.Unmap().WithZone("")
	for _, p := range a.exempt {
		if p.Contains(ip) {
			return k, false
		}
	}
	if ip.Is6() {
		network, err := ip.Prefix(a.bits)
		if err != nil {
			return k, false // the Config was checked: there is none
		}
		ip = network.Addr()
	}
	return ip.As16(), true
}

func (a *addresses) shard(k address) *addressShard {
	return &a.shards[maphash.Bytes(a.seed, k[:])%uint64(len(a.shards))]
}

// turn forgets addresses without a handshake in the last turn.
func (s *addressShard) turn(at time.Duration) {
	passed := at - s.turned
	if passed < filled {
		return
	}
	s.aged = s.fresh
	if passed >= 2*filled {
		s.aged = nil
	}
	s.fresh, s.turned = nil, at
}

// forgetOpens is for when they have no limit any more. Whoever takes a shard's lock
// after it knows that and adds nothing.
func (a *addresses) forgetOpens() {
	for i := range a.shards {
		s := &a.shards[i]
		s.mu.Lock()
		s.fresh, s.aged = nil, nil
		s.mu.Unlock()
	}
}

func (a *addresses) close(ip netip.Addr) {
	if !a.counting {
		return
	}
	k, ok := a.of(ip)
	if !ok {
		return
	}
	s := a.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.clients[k]; n > 1 {
		s.clients[k] = n - 1
		return
	}
	delete(s.clients, k)
	s.shrink()
}

// shrink gives back what a map keeps when its entries are gone. It copies a
// quarter of what was deleted at most, and small maps not at all.
func (s *addressShard) shrink() {
	const small = 128
	if s.most <= small || len(s.clients) > s.most/4 {
		return
	}
	rest := make(map[address]int, len(s.clients))
	maps.Copy(rest, s.clients)
	s.clients, s.most = rest, len(rest)
}

package limit

import (
	"hash/maphash"
	"maps"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// addresses count what each address has: clients, and handshakes of late. They
// are spread over shards, so that event loops seldom meet. However many addresses
// there are, a shard keeps those of clients that are there and of the handshakes
// of two seconds, the latest in which it was asked.
type addresses struct {
	clients  int // that one may have, or 0
	interval time.Duration
	capacity time.Duration // of a bucket: how many intervals may be owed
	bits     int
	exempt   []netip.Prefix

	crowded, hurried error
	refused          *refused

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

func (a *addresses) init(cfg Config, refused *refused) {
	a.clients, a.bits, a.exempt = cfg.IPClients, cfg.IPv6Prefix, cfg.Exempt
	if cfg.IPOpens > 0 {
		perSecond := min(time.Duration(cfg.IPOpens), filled)
		a.interval = filled / perSecond
		a.capacity = a.interval * perSecond
	}
	a.crowded = refusal(http.StatusTooManyRequests, cfg, "too many clients from this address")
	a.hurried = refusal(http.StatusTooManyRequests, cfg, "too many clients at once from this address")
	a.refused = refused
	a.seed, a.start = maphash.MakeSeed(), cfg.Now()
	for i := range a.shards {
		a.shards[i].clients = make(map[address]int)
	}
}

// of returns what ip counts as, or false if nothing limits it.
func (a *addresses) of(ip netip.Addr) (k address, ok bool) {
	if a.clients == 0 && a.interval == 0 || !ip.IsValid() {
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

// open counts a handshake, unless it is too much or others refuse it: what is
// refused is not counted.
func (a *addresses) open(ip netip.Addr, now time.Time, others func(time.Time) error) error {
	k, ok := a.of(ip)
	if !ok {
		return others(now)
	}
	s, at := a.shard(k), now.Sub(a.start)
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.clients[k]
	if a.clients > 0 && n >= a.clients {
		a.refused.ipClients.Add(1)
		return a.crowded
	}
	var full time.Duration
	if a.interval > 0 {
		s.turn(at)
		full = max(at, s.fresh[k], s.aged[k]) + a.interval
		if full-at > a.capacity {
			a.refused.ipOpens.Add(1)
			return a.hurried
		}
	}
	if err := others(now); err != nil {
		return err
	}
	if a.clients > 0 {
		s.clients[k] = n + 1
		s.most = max(s.most, len(s.clients))
	}
	if a.interval > 0 {
		if s.fresh == nil {
			s.fresh = make(map[address]time.Duration)
		}
		s.fresh[k] = full
	}
	return nil
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

func (a *addresses) close(ip netip.Addr) {
	k, ok := a.of(ip)
	if !ok || a.clients == 0 {
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

package admin

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// wrongBurst is how many wrong tokens an address may send at once, and
	// wrongEvery how long it is until it may send another one.
	wrongBurst = 5
	wrongEvery = 2 * time.Second
	// maxAddresses bounds the addresses that are told apart. All others share
	// one place.
	maxAddresses = 1024
)

// tries slow down who tries tokens, by address, so that a stranger does not keep the
// operator out.
type tries struct {
	now func() time.Time

	mu     sync.Mutex
	from   map[netip.Addr]*rate.Limiter // those with a wrong token on their account
	others *rate.Limiter
}

func newTries(now func() time.Time) *tries {
	return &tries{now: now, from: make(map[netip.Addr]*rate.Limiter), others: newTry()}
}

func newTry() *rate.Limiter { return rate.NewLimiter(rate.Every(wrongEvery), wrongBurst) }

// try asks right, unless there were too many wrong ones from that address; then it
// is limited, be it right or wrong, as one that is answered otherwise could be found
// by trying all the same.
func (t *tries) try(from netip.Addr, right func() bool) (ok, limited bool) {
	if p, err := from.Prefix(64); from.Is6() && err == nil {
		from = p.Addr() // whoever has one has a whole network of them
	}
	now := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.from[from]
	if l == nil && len(t.from) >= maxAddresses {
		t.forget(now)
		if len(t.from) >= maxAddresses {
			l = t.others
		}
	}
	if l != nil && l.TokensAt(now) < 1 {
		return false, true
	}
	if right() {
		return true, false
	}
	if l == nil {
		l = newTry()
		t.from[from] = l
	}
	l.AllowN(now, 1)
	return false, false
}

// forget drops the addresses that have been quiet for long enough.
func (t *tries) forget(now time.Time) {
	for from, l := range t.from {
		if l.TokensAt(now) >= wrongBurst {
			delete(t.from, from)
		}
	}
}

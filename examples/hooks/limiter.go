package main

import (
	"errors"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/hooks/limit"
	"github.com/sluicegate/sluice/transport/websocket"
)

// byteLimiter adds what hooks/limit does not do: it limits the bytes that a client
// sends. All else is the Limiter's that it wraps, SetLimits too.
type byteLimiter struct {
	*limit.Limiter
	perSecond, burst int
	now              func() time.Time

	clients sync.Map // uniqId to *allowance
}

// allowance is one client's, whose messages come one after the other.
type allowance struct {
	bytes   *rate.Limiter
	refused int
}

// patience is how many messages too large for its allowance a client may try to
// send before it is closed.
const patience = 10

// newByteLimiter limits the bytes of each client, and the rest as cfg says.
func newByteLimiter(cfg limit.Config, perSecond, burst int) (*byteLimiter, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	wrapped, err := limit.New(cfg)
	if err != nil {
		return nil, err
	}
	return &byteLimiter{Limiter: wrapped, perSecond: perSecond, burst: burst, now: cfg.Now}, nil
}

// Message implements hooks.Limiter. The bytes come first, so that what this one
// refuses does not count for the other.
func (l *byteLimiter) Message(uniqID string, size int) error {
	v, ok := l.clients.Load(uniqID)
	if !ok {
		v, _ = l.clients.LoadOrStore(uniqID, &allowance{bytes: rate.NewLimiter(rate.Limit(l.perSecond), l.burst)})
	}
	a := v.(*allowance)
	if a.bytes.AllowN(l.now(), size) {
		return l.Limiter.Message(uniqID, size)
	}
	if a.refused++; a.refused <= patience {
		return hooks.ErrClientLimited
	}
	return errors.Join(hooks.ErrClientLimited, &hooks.Disconnect{Code: websocket.ClosePolicyViolation, Reason: "too many bytes"})
}

// Close implements hooks.Limiter. The wrapped one's methods are promoted, and
// this one is called instead of its: it must pass the call on.
func (l *byteLimiter) Close(uniqID string, ip netip.Addr) {
	l.clients.Delete(uniqID)
	l.Limiter.Close(uniqID, ip)
}

// Package limit keeps clients within rates and numbers. Its [Limiter] is for
// gateway.Config.Limiter:
//
//	limiter, err := limit.New(limit.Config{OnOpen: 500, OnMessage: 20_000, ClientMessages: 50})
//	if err != nil {
//		return err
//	}
//	gw, err := gateway.New(gateway.Config{Limiter: limiter, …})
//
// Its limits are of numbers, not of bytes: those are bounded by MaxMessage and
// InboxLimit of gateway.Config. [Limiter.Adjust] changes them while clients are
// there, [Limiter.Stats] says what they have refused.
package limit

import (
	"errors"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/hooks"
)

// A Limiter implements [hooks.Limiter] and [hooks.LimitSetter]. It is made by
// [New]. All its methods may be called on any goroutine, and none of them waits.
// The gateway calls them, but for Adjust and Stats.
type Limiter struct {
	now       func() time.Time
	inForce   atomic.Pointer[settings] // read once by each call, which goes by it throughout
	adjusting sync.Mutex               // of whoever puts others in force
	windows   windows
	addresses addresses
	clients   atomic.Int64 // far from what each message reads
	refused   refused
}

var (
	_ hooks.Limiter     = (*Limiter)(nil)
	_ hooks.LimitSetter = (*Limiter)(nil)
)

// New makes a Limiter. The error says which field of cfg is wrong.
func New(cfg Config) (*Limiter, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	l := &Limiter{now: cfg.Now}
	start := cfg.Now()
	l.windows.init(start)
	l.addresses.init(cfg, start)
	s := newSettings(cfg)
	s.opens, s.messages = newBucket(cfg.OnOpen), newBucket(cfg.OnMessage)
	l.inForce.Store(s)
	return l, nil
}

// refusal is made once, as one that is sent to each of very many must cost
// nothing.
func refusal(status int, cfg Config, reason string) error {
	seconds := int64(math.Ceil(cfg.RetryAfter.Seconds()))
	return &hooks.Refusal{Status: status, Header: http.Header{"Retry-After": {strconv.FormatInt(seconds, 10)}}, Reason: reason}
}

// exceeded is the error for a message too many, which also closes the client
// if there is a d.
func exceeded(err error, d *hooks.Disconnect) error {
	if d == nil {
		return err
	}
	return errors.Join(err, d)
}

// Open implements [hooks.Limiter]. Its errors are [*hooks.Refusal], with status
// 429 for IPClients, IPOpens and OnOpen (RFC 6585 section 4) or 503 for
// MaxClients, and a Retry-After of [Config.RetryAfter]. A handshake that one limit
// refuses is not counted by any other.
func (l *Limiter) Open(ip netip.Addr) error {
	now, set := l.now(), l.inForce.Load()
	if set.interval == 0 && !l.addresses.counting {
		return l.openAny(set, now)
	}
	k, ok := l.addresses.of(ip)
	if !ok {
		return l.openAny(set, now)
	}
	return l.openOf(k, now)
}

// openAny asks the limits that hold for all addresses together. They come after
// those of each, so that one address cannot use up what is there for all.
func (l *Limiter) openAny(set *settings, now time.Time) error {
	if n := l.clients.Add(1); set.MaxClients > 0 && n > int64(set.MaxClients) {
		l.clients.Add(-1)
		l.refused.maxClients.Add(1)
		return set.full
	}
	if set.opens != nil && !set.opens.AllowN(now, 1) {
		l.clients.Add(-1)
		l.refused.onOpen.Add(1)
		return set.hurried
	}
	return nil
}

// openOf asks all limits for a handshake of k, and counts it if none refuses it.
func (l *Limiter) openOf(k address, now time.Time) error {
	a := &l.addresses
	s, at := a.shard(k), now.Sub(a.start)
	s.mu.Lock()
	defer s.mu.Unlock()
	set := l.inForce.Load() // under the lock, for Adjust
	n := s.clients[k]
	if set.IPClients > 0 && n >= set.IPClients {
		l.refused.ipClients.Add(1)
		return set.crowded
	}
	var full time.Duration
	if set.interval > 0 {
		s.turn(at)
		full = max(at, s.fresh[k], s.aged[k]) + set.interval
		if full-at > set.capacity {
			l.refused.ipOpens.Add(1)
			return set.rushed
		}
	}
	if err := l.openAny(set, now); err != nil {
		return err
	}
	if a.counting {
		s.clients[k] = n + 1
		s.most = max(s.most, len(s.clients))
	}
	if set.interval > 0 {
		if s.fresh == nil {
			s.fresh = make(map[address]time.Duration)
		}
		s.fresh[k] = full
	}
	return nil
}

// Message implements [hooks.Limiter]. Its errors are [hooks.ErrClientLimited],
// joined with [Config.ClientExceeded], and [hooks.ErrLimited], joined with
// [Config.MessageExceeded]. The client's own limit comes first, so that what it
// sends too much of does not use up what all may send.
func (l *Limiter) Message(uniqID string, _ int) error {
	set := l.inForce.Load()
	byClient, byAll := set.ClientMessages > 0, set.messages != nil
	if !byClient && !byAll {
		return nil
	}
	now := l.now()
	switch {
	case byClient && !l.windows.allow(uniqID, &set.Config, now):
		l.refused.clientMessages.Add(1)
		return set.noisy
	case byAll && !set.messages.AllowN(now, 1):
		l.refused.onMessage.Add(1)
		return set.loud
	}
	return nil
}

// Close implements [hooks.Limiter].
func (l *Limiter) Close(uniqID string, ip netip.Addr) {
	l.clients.Add(-1)
	l.addresses.close(ip)
	if l.inForce.Load().windowed && uniqID != "" {
		l.windows.forget(uniqID)
	}
}

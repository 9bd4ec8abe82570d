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
// InboxLimit of gateway.Config.
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

	"golang.org/x/time/rate"

	"github.com/sluicegate/sluice/hooks"
)

// A Limiter implements [hooks.Limiter] and [hooks.LimitSetter]. It is made by
// [New]. All its methods may be called on any goroutine, and none of them waits.
// The gateway calls them.
type Limiter struct {
	cfg       Config
	opens     bucket
	messages  bucket
	clients   atomic.Int64
	windows   windows
	addresses addresses
	refused   refused

	// What is answered, by MaxClients, OnOpen, ClientMessages and OnMessage.
	full, hurried, noisy, loud error
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
	l := &Limiter{
		cfg: cfg, full: refusal(http.StatusServiceUnavailable, cfg, "too many clients"),
		hurried: refusal(http.StatusTooManyRequests, cfg, "too many clients at once"),
		noisy:   exceeded(hooks.ErrClientLimited, cfg.ClientExceeded), loud: exceeded(hooks.ErrLimited, cfg.MessageExceeded),
	}
	l.opens.set(cfg.OnOpen)
	l.messages.set(cfg.OnMessage)
	l.windows.init()
	l.addresses.init(cfg, &l.refused)
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
	return l.addresses.open(ip, l.cfg.Now(), l.open)
}

// open asks the limits that hold for all addresses together. They come after
// those of each, so that one address cannot use up what is there for all.
func (l *Limiter) open(now time.Time) error {
	if n := l.clients.Add(1); l.cfg.MaxClients > 0 && n > int64(l.cfg.MaxClients) {
		l.clients.Add(-1)
		l.refused.maxClients.Add(1)
		return l.full
	}
	if !l.opens.allow(now) {
		l.clients.Add(-1)
		l.refused.onOpen.Add(1)
		return l.hurried
	}
	return nil
}

// Message implements [hooks.Limiter]. Its errors are [hooks.ErrClientLimited],
// joined with [Config.ClientExceeded], and [hooks.ErrLimited], joined with
// [Config.MessageExceeded]. The client's own limit comes first, so that what it
// sends too much of does not use up what all may send.
func (l *Limiter) Message(uniqID string, _ int) error {
	byClient, byAll := l.cfg.ClientMessages > 0, !l.messages.off()
	if !byClient && !byAll {
		return nil
	}
	now := l.cfg.Now()
	switch {
	case byClient && !l.windows.allow(uniqID, &l.cfg, now):
		l.refused.clientMessages.Add(1)
		return l.noisy
	case byAll && !l.messages.allow(now):
		l.refused.onMessage.Add(1)
		return l.loud
	}
	return nil
}

// Close implements [hooks.Limiter].
func (l *Limiter) Close(uniqID string, ip netip.Addr) {
	l.clients.Add(-1)
	l.addresses.close(ip)
	if l.cfg.ClientMessages > 0 && uniqID != "" {
		l.windows.forget(uniqID)
	}
}

// SetLimits implements [hooks.LimitSetter]. Other limits than these two cannot be
// changed, and none can be lifted.
func (l *Limiter) SetLimits(n hooks.Limits) hooks.Limits {
	return hooks.Limits{OnOpen: l.opens.change(n.OnOpen), OnMessage: l.messages.change(n.OnMessage)}
}

// A bucket allows so many things per second. The zero value allows everything.
type bucket struct {
	mu  sync.Mutex
	now atomic.Pointer[rate.Limiter]
}

func (b *bucket) off() bool { return b.now.Load() == nil }

func (b *bucket) allow(at time.Time) bool {
	l := b.now.Load()
	return l == nil || l.AllowN(at, 1)
}

func (b *bucket) set(perSecond int) {
	if perSecond > 0 {
		b.now.Store(rate.NewLimiter(rate.Limit(perSecond), perSecond))
	}
}

// limit returns the limit in force, 0 for none.
func (b *bucket) limit() int {
	if l := b.now.Load(); l != nil {
		return l.Burst()
	}
	return 0
}

// change puts a limit above 0 in force and returns the one that is. The same
// one again changes nothing: it does not fill the bucket.
func (b *bucket) change(perSecond int) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	was := b.limit()
	if perSecond <= 0 || perSecond == was {
		return was
	}
	b.set(perSecond)
	return perSecond
}

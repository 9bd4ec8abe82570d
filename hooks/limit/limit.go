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
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/sluicegate/sluice/hooks"
)

// Config says what a Limiter keeps clients within. The zero value of each limit
// is none; negative values are errors.
type Config struct {
	// OnOpen is how many clients may connect per second, and at once. A
	// handshake above it is answered with 429. Zero means no limit.
	OnOpen int
	// OnMessage is how many messages all clients together may send per
	// second, and at once. Those above it are dropped. Zero means no limit.
	OnMessage int
	// MaxClients is how many clients there may be, handshakes included. One
	// above it is answered with 503. Zero means no limit.
	MaxClients int

	// ClientMessages is how many messages one client may send in each
	// window. Those above it are dropped. Zero means no limit.
	ClientMessages int
	// ClientWindow is the length of a window. Zero means 1 second.
	ClientWindow time.Duration
	// ClientFirst is what a client may send in its first window, instead of
	// ClientMessages: pages often begin with a flurry. Zero means as in any
	// other.
	ClientFirst int

	// Now returns the time, and may be called on any goroutine. A test has
	// it be that of the gateway's Clock. Nil means time.Now.
	Now func() time.Time
}

// A Limiter implements [hooks.Limiter] and [hooks.LimitSetter]. It is made by
// [New]. All its methods may be called on any goroutine, and none of them waits.
// The gateway calls them.
type Limiter struct {
	cfg      Config
	opens    bucket
	messages bucket
	clients  atomic.Int64
	windows  windows
}

var (
	_ hooks.Limiter     = (*Limiter)(nil)
	_ hooks.LimitSetter = (*Limiter)(nil)
)

// New makes a Limiter. The error says which field of cfg is wrong.
func New(cfg Config) (*Limiter, error) {
	for name, v := range map[string]int64{
		"OnOpen": int64(cfg.OnOpen), "OnMessage": int64(cfg.OnMessage), "MaxClients": int64(cfg.MaxClients),
		"ClientMessages": int64(cfg.ClientMessages), "ClientWindow": int64(cfg.ClientWindow), "ClientFirst": int64(cfg.ClientFirst),
	} {
		if v < 0 {
			return nil, fmt.Errorf("limit: Config.%s is negative; use 0 for no limit or a positive value", name)
		}
	}
	if cfg.ClientFirst > 0 && cfg.ClientMessages == 0 {
		return nil, errors.New("limit: Config.ClientFirst is set without ClientMessages, the limit that it makes an exception of")
	}
	if cfg.ClientWindow == 0 {
		cfg.ClientWindow = time.Second
	}
	if cfg.ClientFirst == 0 {
		cfg.ClientFirst = cfg.ClientMessages
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	l := &Limiter{cfg: cfg}
	l.opens.set(cfg.OnOpen)
	l.messages.set(cfg.OnMessage)
	l.windows.init()
	return l, nil
}

// Open implements [hooks.Limiter]. Its errors are [*hooks.Refusal], with status 503
// for MaxClients or 429 for OnOpen (RFC 6585 section 4), and a Retry-After of 1
// second. It does not tell addresses apart.
func (l *Limiter) Open(netip.Addr) error {
	if n := l.clients.Add(1); l.cfg.MaxClients > 0 && n > int64(l.cfg.MaxClients) {
		l.clients.Add(-1)
		return refusal(http.StatusServiceUnavailable, "too many clients")
	}
	if !l.opens.allow(l.cfg.Now()) {
		l.clients.Add(-1)
		return refusal(http.StatusTooManyRequests, "too many clients at once")
	}
	return nil
}

func refusal(status int, reason string) error {
	return &hooks.Refusal{Status: status, Header: http.Header{"Retry-After": {"1"}}, Reason: reason}
}

// Message implements [hooks.Limiter]. Its errors are [hooks.ErrClientLimited] and
// [hooks.ErrLimited]. The client's own limit comes first, so that what it sends too
// much of does not use up what all may send.
func (l *Limiter) Message(uniqID string, _ int) error {
	if l.cfg.ClientMessages > 0 && !l.windows.allow(uniqID, l.cfg) {
		return hooks.ErrClientLimited
	}
	if l.messages.off() {
		return nil
	}
	if !l.messages.allow(l.cfg.Now()) {
		return hooks.ErrLimited
	}
	return nil
}

// Close implements [hooks.Limiter].
func (l *Limiter) Close(uniqID string, _ netip.Addr) {
	l.clients.Add(-1)
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

// change puts a limit above 0 in force and returns the one that is. The same
// one again changes nothing: it does not fill the bucket.
func (b *bucket) change(perSecond int) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	was := 0
	if l := b.now.Load(); l != nil {
		was = l.Burst()
	}
	if perSecond <= 0 || perSecond == was {
		return was
	}
	b.set(perSecond)
	return perSecond
}

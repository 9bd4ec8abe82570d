package limit

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"github.com/sluicegate/sluice/hooks"
)

// settings are what is in force. They do not change, but for what is left in the
// buckets: others take their place.
type settings struct {
	Config

	// Of all clients; nil without a limit.
	opens, messages *rate.Limiter
	// Of an address: what a handshake costs its bucket, and how much that may
	// owe; 0 without a limit.
	interval, capacity time.Duration
	// There are or were windows of clients, which must be forgotten with them.
	windowed bool

	// What is answered, by MaxClients, OnOpen, IPClients, IPOpens,
	// ClientMessages and OnMessage.
	full, hurried, crowded, rushed, noisy, loud error
}

// newSettings leaves the buckets of all clients to the caller.
func newSettings(cfg Config) *settings {
	const tooMany, unavailable = http.StatusTooManyRequests, http.StatusServiceUnavailable
	s := &settings{
		Config: cfg, windowed: cfg.ClientMessages > 0,
		full:    refusal(unavailable, cfg, "too many clients"),
		hurried: refusal(tooMany, cfg, "too many clients at once"),
		crowded: refusal(tooMany, cfg, "too many clients from this address"),
		rushed:  refusal(tooMany, cfg, "too many clients at once from this address"),
		noisy:   exceeded(hooks.ErrClientLimited, cfg.ClientExceeded),
		loud:    exceeded(hooks.ErrLimited, cfg.MessageExceeded),
	}
	if cfg.IPOpens > 0 {
		perSecond := min(time.Duration(cfg.IPOpens), filled)
		s.interval = filled / perSecond
		s.capacity = s.interval * perSecond
	}
	return s
}

// Adjust puts another Config in force, the whole of it or, with an error, nothing.
// A limit that is zero in cfg is lifted, and one that SetLimits has set gives way.
// Each call of Open or Message goes by the one Config or by the other.
//
// Nothing that was counted is forgotten. Clients that are there count, and stay
// if there are more of them than there may be from now on. What a client has sent
// in its present window counts there, and one that has none, as there was no such
// limit, begins its first. A rate that stays the same keeps its bucket as it is.
// With another rate, the bucket has in it what it had, and no more than it holds
// now; that of an address stays as full as it was, in proportion. A limit that
// there was not begins with a full bucket.
//
// IPv6Prefix, Exempt and Adjustable must be as they were for New, as what was
// counted by them stays. Setting IPClients is an error unless New was given it
// too, or Adjustable. Now is not looked at: that for New stays.
//
// Adjust may be called on any goroutine. MessageExceeded and ClientExceeded must
// not be changed afterwards.
func (l *Limiter) Adjust(cfg Config) error {
	if err := cfg.check(); err != nil {
		return err
	}
	cfg = cfg.withDefaults()
	l.adjusting.Lock()
	defer l.adjusting.Unlock()
	was := l.inForce.Load()
	switch {
	case cfg.IPv6Prefix != was.IPv6Prefix:
		return fmt.Errorf("limit: Config.IPv6Prefix cannot be adjusted from %d to %d; leave it, or make another Limiter", was.IPv6Prefix, cfg.IPv6Prefix)
	case !slices.Equal(cfg.Exempt, was.Exempt):
		return errors.New("limit: Config.Exempt cannot be adjusted; leave it, or make another Limiter")
	case cfg.Adjustable != was.Adjustable:
		return errors.New("limit: Config.Adjustable cannot be adjusted; leave it, or make another Limiter")
	case cfg.IPClients > 0 && !l.addresses.counting:
		return errors.New("limit: Config.IPClients cannot be set now, as clients are not counted by address; set it or Adjustable for New")
	}
	s := newSettings(cfg)
	s.windowed = s.windowed || was.windowed
	now := l.now()
	s.opens = adjusted(was.opens, cfg.OnOpen, now)
	s.messages = adjusted(was.messages, cfg.OnMessage, now)
	l.inForce.Store(s)
	if was.interval > 0 && s.interval == 0 {
		l.addresses.forgetOpens()
	}
	return nil
}

// SetLimits implements [hooks.LimitSetter]. A rate that changes begins with a full
// bucket. Other limits than these two are for [Limiter.Adjust], as is to lift one.
func (l *Limiter) SetLimits(n hooks.Limits) hooks.Limits {
	l.adjusting.Lock()
	defer l.adjusting.Unlock()
	s := *l.inForce.Load()
	if n.OnOpen > 0 && n.OnOpen != s.OnOpen {
		s.OnOpen, s.opens = n.OnOpen, newBucket(n.OnOpen)
	}
	if n.OnMessage > 0 && n.OnMessage != s.OnMessage {
		s.OnMessage, s.messages = n.OnMessage, newBucket(n.OnMessage)
	}
	l.inForce.Store(&s)
	return hooks.Limits{OnOpen: s.OnOpen, OnMessage: s.OnMessage}
}

// newBucket returns a full bucket, nil for 0.
func newBucket(perSecond int) *rate.Limiter {
	if perSecond == 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(perSecond), perSecond)
}

// adjusted returns b with another rate, and nothing added to what is in it. It is
// the same bucket, so that what is being taken from it is taken once.
func adjusted(b *rate.Limiter, perSecond int, now time.Time) *rate.Limiter {
	if b == nil || perSecond == 0 {
		return newBucket(perSecond)
	}
	if b.Burst() != perSecond {
		b.SetLimitAt(now, rate.Limit(perSecond))
		b.SetBurstAt(now, perSecond)
	}
	return b
}

package gatewaytest

import (
	"slices"
	"sync"
	"time"

	"github.com/sluicegate/sluice/hooks"
)

// A Clock is a [hooks.Clock] that stands still until it is told to move on. All
// its methods may be called on any goroutine.
//
// Each [Gateway] has one of its own, unless its Config names one: that is for
// tests in which something else goes by the same clock, like a limiter, or
// another gateway.
type Clock struct {
	moving sync.Mutex // held while time passes

	mu     sync.Mutex
	now    time.Time
	timers []*timer // in order of time, and of their making
	hosts  []*Gateway
}

type timer struct {
	at time.Time
	f  func()
}

var _ hooks.Clock = (*Clock)(nil)

// NewClock returns a clock that stands at midnight UTC, 2000-01-01.
func NewClock() *Clock { return &Clock{now: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)} }

// Now returns the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// AfterFunc has Advance call f, on its own goroutine, when d has passed. stop
// prevents that, and returns false if it is too late.
func (c *Clock) AfterFunc(d time.Duration, f func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &timer{at: c.now.Add(d), f: f}
	i := len(c.timers)
	for i > 0 && c.timers[i-1].at.After(t.at) {
		i--
	}
	c.timers = slices.Insert(c.timers, i, t)
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		i := slices.Index(c.timers, t)
		if i < 0 {
			return false
		}
		c.timers = slices.Delete(c.timers, i, i+1)
		return true
	}
}

// Advance moves the clock on by d, and with it the connections in memory of the
// gateways that go by it. What is due happens in order of time; it has happened
// when Advance returns, save that it does not wait for handlers. For them there
// is [Gateway.Advance]; this one is for tests in which a handler waits for the
// clock, and for those without a gateway. It panics if d is negative.
func (c *Clock) Advance(d time.Duration) {
	c.advance(d, (*Gateway).rest)
}

// advance calls settle on each gateway before time passes, at each time at which
// something is due, and at the end.
func (c *Clock) advance(d time.Duration, settle func(*Gateway)) {
	if d < 0 {
		panic("gatewaytest: time does not go back")
	}
	c.moving.Lock()
	defer c.moving.Unlock()
	hosts, end := c.attached(), c.Now().Add(d)
	settleAll := func() {
		for _, g := range hosts {
			settle(g)
		}
	}
	settleAll()
	for {
		at, due := c.next(hosts, end)
		if !due {
			break
		}
		// Timers come before time-outs of connections that are due at the same
		// time, and find the connections' clock as good as there already.
		now := c.Now()
		if passed := at.Sub(now); passed > 0 {
			pass(hosts, passed-1)
		}
		c.set(at)
		for f := c.take(at); f != nil; f = c.take(at) {
			f()
		}
		settleAll()
		if at.After(now) {
			pass(hosts, 1)
			settleAll()
		}
	}
	if left := end.Sub(c.Now()); left > 0 {
		c.set(end)
		pass(hosts, left)
		settleAll()
	}
}

// next returns the time, if any up to end, at which something is due.
func (c *Clock) next(hosts []*Gateway, end time.Time) (at time.Time, ok bool) {
	c.mu.Lock()
	now := c.now
	if len(c.timers) > 0 {
		at, ok = c.timers[0].at, true
	}
	c.mu.Unlock()
	for _, g := range hosts {
		for _, p := range g.pipes {
			if d, some := p.Next(); some && (!ok || now.Add(d).Before(at)) {
				at, ok = now.Add(d), true
			}
		}
	}
	if at.Before(now) {
		at = now
	}
	return at, ok && !at.After(end)
}

// pass moves the connections of hosts on.
func pass(hosts []*Gateway, d time.Duration) {
	for _, g := range hosts {
		for _, p := range g.pipes {
			p.Advance(d)
		}
	}
}

func (c *Clock) set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
}

// take removes the first of the timers that are due and returns what it calls.
func (c *Clock) take(now time.Time) func() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.timers) == 0 || c.timers[0].at.After(now) {
		return nil
	}
	f := c.timers[0].f
	c.timers = slices.Delete(c.timers, 0, 1)
	return f
}

func (c *Clock) attached() []*Gateway {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.hosts)
}

func (c *Clock) attach(g *Gateway) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hosts = append(c.hosts, g)
}

func (c *Clock) detach(g *Gateway) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hosts = slices.DeleteFunc(c.hosts, func(h *Gateway) bool { return h == g })
}

package limit_test

import (
	"errors"
	"math"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/hooks/limit"
)

// clock is a time that tests move.
type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time          { return time.Unix(1e9, c.at.Load()) }
func (c *clock) advance(d time.Duration) { c.at.Add(int64(d)) }

func newLimiter(t testing.TB, cfg limit.Config) (*limit.Limiter, *clock) {
	t.Helper()
	c := new(clock)
	cfg.Now = c.now
	l, err := limit.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l, c
}

var addr netip.Addr

// count returns how many of n calls succeed.
func count(n int, f func() error) (ok int) {
	for range n {
		if f() == nil {
			ok++
		}
	}
	return ok
}

func status(err error) int {
	r := (*hooks.Refusal)(nil)
	if !errors.As(err, &r) || r.Header.Get("Retry-After") == "" {
		return 0
	}
	return r.Status
}

func TestOpens(t *testing.T) {
	l, c := newLimiter(t, limit.Config{OnOpen: 10})
	open := func() error { return l.Open(addr) }
	if n := count(20, open); n != 10 {
		t.Errorf("%d opens at once, want 10", n)
	}
	if err := open(); status(err) != 429 {
		t.Errorf("refused with %v", err)
	}
	c.advance(500 * time.Millisecond)
	if n := count(20, open); n != 5 {
		t.Errorf("%d opens after half a second, want 5", n)
	}
}

// Places come back, and there are never more than there may be.
func TestMaxClients(t *testing.T) {
	l, _ := newLimiter(t, limit.Config{MaxClients: 5})
	var open, most atomic.Int64
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			for range 1000 {
				if err := l.Open(addr); err != nil {
					if status(err) != 503 {
						t.Errorf("refused with %v", err)
					}
					continue
				}
				n := open.Add(1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				open.Add(-1)
				l.Close("", addr)
			}
		})
	}
	all.Wait()
	if most.Load() > 5 {
		t.Errorf("%d clients at once, want 5 at most", most.Load())
	}
	if n := count(9, func() error { return l.Open(addr) }); n != 5 {
		t.Errorf("%d places in the end, want 5", n)
	}
}

// A handshake that is refused for its rate takes no place.
func TestRefusedTakesNoPlace(t *testing.T) {
	l, c := newLimiter(t, limit.Config{MaxClients: 2, OnOpen: 1})
	count(10, func() error { return l.Open(addr) })
	c.advance(time.Second)
	if err := l.Open(addr); err != nil {
		t.Errorf("the second place: %v", err)
	}
}

func TestMessages(t *testing.T) {
	l, c := newLimiter(t, limit.Config{OnMessage: 10, ClientMessages: 4, ClientFirst: 6})
	say := func(id string) func() error { return func() error { return l.Message(id, 1) } }
	if n := count(100, say("a")); n != 6 {
		t.Errorf("%d messages in the first window, want 6", n)
	}
	if err := l.Message("a", 1); !errors.Is(err, hooks.ErrClientLimited) {
		t.Errorf("refused with %v", err)
	}
	// The flood of one has not used up what is left for all: 4 of 10.
	if n := count(100, say("b")); n != 4 {
		t.Errorf("%d messages of another client, want 4", n)
	}
	if err := l.Message("c", 1); !errors.Is(err, hooks.ErrLimited) {
		t.Errorf("refused with %v", err)
	}
	c.advance(999 * time.Millisecond)
	if err := l.Message("a", 1); !errors.Is(err, hooks.ErrClientLimited) {
		t.Errorf("before the window's end: %v", err)
	}
	c.advance(time.Millisecond)
	if n := count(100, say("a")); n != 4 {
		t.Errorf("%d messages in the second window, want 4", n)
	}
	l.Close("a", addr)
	if n := count(100, say("a")); n != 6 {
		t.Errorf("%d messages of a new client with the id of one that is gone, want 6", n)
	}
}

// A choice to close is joined with the reason for which the message is counted.
func TestExceeded(t *testing.T) {
	noisy, loud := &hooks.Disconnect{Code: 4001, Reason: "noisy"}, &hooks.Disconnect{Code: 1013, Reason: "loud"}
	l, _ := newLimiter(t, limit.Config{OnMessage: 2, ClientMessages: 1, ClientExceeded: noisy, MessageExceeded: loud})
	for _, step := range []struct {
		client string
		reason error
		close  *hooks.Disconnect
	}{{"a", nil, nil}, {"a", hooks.ErrClientLimited, noisy}, {"b", nil, nil}, {"c", hooks.ErrLimited, loud}} {
		err := l.Message(step.client, 1)
		if d := (*hooks.Disconnect)(nil); !errors.Is(err, step.reason) || errors.As(err, &d) != (step.close != nil) || d != step.close {
			t.Errorf("a message of %s: %v, want %v with %v", step.client, err, step.reason, step.close)
		}
	}
}

// What a refused client is told is in whole seconds.
func TestRetryAfter(t *testing.T) {
	for after, want := range map[time.Duration]string{
		0: "1", 1: "1", time.Second: "1", time.Second + 1: "2", 90 * time.Second: "90", math.MaxInt64: "9223372037",
	} {
		l, _ := newLimiter(t, limit.Config{OnOpen: 1, RetryAfter: after})
		count(1, func() error { return l.Open(addr) })
		r := (*hooks.Refusal)(nil)
		if err := l.Open(addr); !errors.As(err, &r) || r.Header.Get("Retry-After") != want {
			t.Errorf("RetryAfter %v: %v, want a Retry-After of %s", after, err, want)
		}
	}
}

func TestSetLimits(t *testing.T) {
	l, _ := newLimiter(t, limit.Config{OnMessage: 10})
	say := func() error { return l.Message("a", 1) }
	count(10, say)
	for _, step := range []struct{ set, want hooks.Limits }{
		{hooks.Limits{}, hooks.Limits{OnMessage: 10}},
		{hooks.Limits{OnOpen: -1, OnMessage: -1}, hooks.Limits{OnMessage: 10}},
		{hooks.Limits{OnMessage: 10}, hooks.Limits{OnMessage: 10}},
	} {
		if got := l.SetLimits(step.set); got != step.want || say() == nil {
			t.Errorf("SetLimits(%+v) = %+v, want %+v with nothing filled up", step.set, got, step.want)
		}
	}
	if got := l.SetLimits(hooks.Limits{OnOpen: 3, OnMessage: 20}); got != (hooks.Limits{OnOpen: 3, OnMessage: 20}) {
		t.Errorf("in force: %+v", got)
	}
	if n := count(100, say); n != 20 {
		t.Errorf("%d messages, want 20", n)
	}
	if n := count(100, func() error { return l.Open(addr) }); n != 3 {
		t.Errorf("%d opens, want 3", n)
	}
}

func TestOff(t *testing.T) {
	l, _ := newLimiter(t, limit.Config{})
	if n := count(1000, func() error { return errors.Join(l.Open(addr), l.Message("a", 1)) }); n != 1000 {
		t.Errorf("%d of 1000 without limits", n)
	}
}

func TestErrors(t *testing.T) {
	for want, cfg := range map[string]limit.Config{
		"OnOpen": {OnOpen: -1}, "ClientWindow": {ClientWindow: -1}, "ClientFirst is set without": {ClientFirst: 1},
		"ClientExceeded is set without": {ClientExceeded: &hooks.Disconnect{}}, "RetryAfter": {RetryAfter: -1},
		"IPClients": {IPClients: -1}, "IPOpens": {IPOpens: -1}, "IPv6Prefix is -1": {IPv6Prefix: -1}, "IPv6Prefix is 129": {IPv6Prefix: 129},
		"Exempt[1] is the zero": {Exempt: []netip.Prefix{netip.MustParsePrefix("::/0"), {}}},
		"in IPv4 form":          {Exempt: []netip.Prefix{netip.MustParsePrefix("::ffff:10.0.0.0/104")}},
	} {
		if _, err := limit.New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want something of %q", err, want)
		}
	}
}

package limit_test

import (
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/hooks/limit"
)

func adjust(t *testing.T, l *limit.Limiter, cfg limit.Config) {
	t.Helper()
	if err := l.Adjust(cfg); err != nil {
		t.Fatal(err)
	}
}

// What a rate of another number does to its bucket, for each of the rates.
func TestAdjustRates(t *testing.T) {
	ip := netip.MustParseAddr("192.0.2.1")
	for name, kind := range map[string]struct {
		cfg func(perSecond int) limit.Config
		try func(l *limit.Limiter) func() error
	}{
		"OnOpen": {
			func(n int) limit.Config { return limit.Config{OnOpen: n} },
			func(l *limit.Limiter) func() error { return func() error { return l.Open(ip) } },
		},
		"OnMessage": {
			func(n int) limit.Config { return limit.Config{OnMessage: n} },
			func(l *limit.Limiter) func() error { return func() error { return l.Message("a", 1) } },
		},
		"IPOpens": {
			func(n int) limit.Config { return limit.Config{IPOpens: n} },
			func(l *limit.Limiter) func() error { return func() error { return l.Open(ip) } },
		},
	} {
		for _, tt := range []struct {
			name            string
			was, taken, set int
			atOnce, after   int // after half a second more
		}{
			{"the same, empty", 10, 10, 10, 0, 5},
			{"the same, full", 10, 0, 10, 10, 5},
			{"the same, half full", 10, 5, 10, 5, 5},
			{"raised, empty", 10, 10, 100, 0, 50},
			{"lowered, full", 100, 0, 10, 10, 5},
			{"lowered, empty", 100, 100, 10, 0, 5},
			{"lifted", 10, 10, 0, 1000, 1000},
			{"set", 0, 50, 10, 10, 5},
			{"none", 0, 5, 0, 1000, 1000},
		} {
			l, c := newLimiter(t, kind.cfg(tt.was))
			try := kind.try(l)
			if n := count(tt.taken, try); n != tt.taken {
				t.Fatalf("%s, %s: %d before, want %d", name, tt.name, n, tt.taken)
			}
			adjust(t, l, kind.cfg(tt.set))
			if n := count(1000, try); n != tt.atOnce {
				t.Errorf("%s, %s: %d at once, want %d", name, tt.name, n, tt.atOnce)
			}
			c.advance(500 * time.Millisecond)
			if n := count(1000, try); n != tt.after {
				t.Errorf("%s, %s: %d half a second later, want %d", name, tt.name, n, tt.after)
			}
		}
		// However often it is changed, nobody gets more than the largest burst.
		l, _ := newLimiter(t, kind.cfg(40))
		try, n := kind.try(l), 0
		for i := range 50 {
			adjust(t, l, kind.cfg(10+30*(i%2)))
			n += count(1, try)
		}
		if n += count(1000, try); n > 40 {
			t.Errorf("%s: %d at once by changing between 10 and 40", name, n)
		}
	}
}

// Clients that are there count.
func TestAdjustNumbers(t *testing.T) {
	ip := netip.MustParseAddr("192.0.2.1")
	open := func(l *limit.Limiter) func() error { return opener(l, "192.0.2.1") }
	for name, tt := range map[string]struct {
		base limit.Config
		with func(cfg limit.Config, n int) limit.Config
	}{
		"MaxClients": {limit.Config{}, func(cfg limit.Config, n int) limit.Config { cfg.MaxClients = n; return cfg }},
		"IPClients":  {limit.Config{Adjustable: true}, func(cfg limit.Config, n int) limit.Config { cfg.IPClients = n; return cfg }},
	} {
		for _, first := range []int{0, 4} {
			l, _ := newLimiter(t, tt.with(tt.base, first))
			count(4, open(l))
			for _, step := range []struct{ set, want int }{
				{6, 2}, {6, 0}, {3, 0}, {8, 2}, {0, 5}, {14, 1},
			} {
				adjust(t, l, tt.with(tt.base, step.set))
				if n := count(step.want+3, open(l)); step.set == 0 {
					for range 3 {
						l.Close("", ip)
					}
				} else if n != step.want {
					t.Errorf("%s, first %d: with %d, %d more clients, want %d", name, first, step.set, n, step.want)
				}
			}
			// Nobody was closed, and all are counted off.
			for range 14 {
				l.Close("", ip)
			}
			if n := count(20, open(l)); n != 14 {
				t.Errorf("%s, first %d: %d clients after all have left, want 14", name, first, n)
			}
		}
	}
	// What was counted because New was given the limit stays so.
	l, _ := newLimiter(t, limit.Config{IPClients: 2})
	count(2, open(l))
	adjust(t, l, limit.Config{})
	count(3, open(l))
	adjust(t, l, limit.Config{IPClients: 6})
	if n := count(9, open(l)); n != 1 {
		t.Errorf("%d more clients, want 1", n)
	}
}

// Windows go on, with what was sent in them.
func TestAdjustWindows(t *testing.T) {
	l, c := newLimiter(t, limit.Config{ClientMessages: 4, ClientFirst: 6})
	say := func() error { return l.Message("a", 1) }
	window := func(messages, first int, length time.Duration) limit.Config {
		return limit.Config{ClientMessages: messages, ClientFirst: first, ClientWindow: length}
	}
	for i, step := range []struct {
		set  limit.Config
		wait time.Duration
		want int
	}{
		{window(4, 6, 0), 0, 6},                           // all of the first window
		{window(4, 8, 0), 0, 2},                           // which now is larger
		{window(4, 3, 0), 0, 0},                           // or smaller
		{window(9, 9, 0), 0, 1},                           // of 9, 8 are sent
		{window(4, 9, 0), time.Second, 4},                 // the second window
		{window(5, 9, 0), 0, 1},                           // is larger, too
		{window(5, 9, 2*time.Second), time.Second, 0},     // and longer
		{window(5, 9, 2*time.Second), time.Second, 5},     // the third
		{window(5, 9, time.Second/2), time.Second / 2, 5}, // which ends earlier
		{limit.Config{}, 0, 99},                           // no limit
		{window(5, 9, 0), 0, 0},                           // in the same window as before
		{window(5, 9, 0), time.Second, 5},                 // and in another
		{limit.Config{OnMessage: 1000}, 0, 99},            // none of one client
	} {
		adjust(t, l, step.set)
		c.advance(step.wait)
		if n := count(99, say); n != step.want {
			t.Errorf("step %d, with %+v: %d messages, want %d", i, step.set, n, step.want)
		}
	}
	l.Close("a", addr)
	if n := limit.Windows(l); n != 0 {
		t.Errorf("%d windows of clients that are gone", n)
	}

	l, _ = newLimiter(t, limit.Config{})
	count(9, say)
	adjust(t, l, limit.Config{ClientMessages: 1, ClientFirst: 2, ClientExceeded: &hooks.Disconnect{Code: 4001}})
	if n := count(9, say); n != 2 {
		t.Errorf("%d messages in a first window, want 2", n)
	}
	if d := (*hooks.Disconnect)(nil); !errors.As(say(), &d) || d.Code != 4001 {
		t.Errorf("above the limit: %v", say())
	}
	l.Close("a", addr)
	if n := limit.Windows(l); n != 0 {
		t.Errorf("%d windows of clients that are gone", n)
	}
}

func TestAdjustAfterSetLimits(t *testing.T) {
	l, _ := newLimiter(t, limit.Config{OnOpen: 10, OnMessage: 20})
	l.SetLimits(hooks.Limits{OnOpen: 11, OnMessage: 21})
	adjust(t, l, limit.Config{OnOpen: 10})
	if got := l.SetLimits(hooks.Limits{}); got != (hooks.Limits{OnOpen: 10}) {
		t.Errorf("in force: %+v", got)
	}
	if n := count(99, func() error { return l.Open(addr) }); n != 10 {
		t.Errorf("%d opens, want 10", n)
	}
	if got := l.SetLimits(hooks.Limits{OnMessage: 30}); got != (hooks.Limits{OnOpen: 10, OnMessage: 30}) {
		t.Errorf("in force: %+v", got)
	}
}

// With an error, nothing is in force that was not before.
func TestAdjustErrors(t *testing.T) {
	ip := netip.MustParsePrefix("192.0.2.0/24")
	base := limit.Config{MaxClients: 1, Exempt: []netip.Prefix{ip}, IPOpens: 5}
	l, _ := newLimiter(t, base)
	if err := l.Open(addr); err != nil {
		t.Fatal(err)
	}
	for want, wrong := range map[string]func(*limit.Config){
		"Config.OnOpen is negative":                          func(c *limit.Config) { c.OnOpen = -1 },
		"ClientFirst is set":                                 func(c *limit.Config) { c.ClientFirst = 3 },
		"Config.IPv6Prefix cannot be adjusted from 64 to 48": func(c *limit.Config) { c.IPv6Prefix = 48 },
		"Config.Exempt cannot be adjusted":                   func(c *limit.Config) { c.Exempt = nil },
		"Config.Adjustable cannot be adjusted":               func(c *limit.Config) { c.Adjustable = true },
		"set it or Adjustable for New":                       func(c *limit.Config) { c.IPClients = 1 },
	} {
		cfg := base
		cfg.MaxClients, cfg.OnMessage = 2, 5
		wrong(&cfg)
		if err := l.Adjust(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want something of %q", err, want)
		}
		if err := l.Open(addr); status(err) != 503 || l.Stats().Limits != (hooks.Limits{}) {
			t.Errorf("after %q, something of it is in force: %v, %+v", want, err, l.Stats())
		}
	}
	base.IPv6Prefix = 64 // which is what 0 means
	adjust(t, l, base)
}

// Each call goes by one Config: between two of which either refuses everything,
// nothing gets through, whenever it comes.
func TestAdjustIsWhole(t *testing.T) {
	ip := netip.MustParseAddr("192.0.2.1")
	byAll := limit.Config{Adjustable: true, MaxClients: 1, RetryAfter: 10 * time.Second}
	byOne := limit.Config{Adjustable: true, IPClients: 1, RetryAfter: 20 * time.Second}
	l, _ := newLimiter(t, byOne)
	if err := l.Open(ip); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				err := l.Open(ip)
				if r := (*hooks.Refusal)(nil); !errors.As(err, &r) || (r.Status == 503) != (r.Header.Get("Retry-After") == "10") {
					t.Errorf("a handshake: %v", err)
				}
			}
		})
	}
	for i := range 2000 {
		adjust(t, l, []limit.Config{byOne, byAll}[i%2])
	}
	close(done)
	all.Wait()
	if n := l.Stats().Clients; n != 1 {
		t.Errorf("%d clients, want 1", n)
	}
}

// Whatever is switched on and off meanwhile, nothing is kept of those who are gone,
// and nobody is counted twice or not at all.
func TestAdjustAtOnce(t *testing.T) {
	l, c := newLimiter(t, limit.Config{Adjustable: true})
	var all sync.WaitGroup
	for i := range 4 {
		ip, id := ipOf(i%2), string(rune('a'+i))
		all.Go(func() {
			for range 3000 {
				if l.Open(ip) != nil {
					continue
				}
				for range 3 {
					_ = l.Message(id, 1)
				}
				l.Close(id, ip)
				c.advance(time.Millisecond)
			}
		})
	}
	all.Go(func() {
		for i := range 3000 {
			cfg := limit.Config{Adjustable: true}
			if i%2 == 0 {
				cfg.IPClients, cfg.MaxClients = 1, 2
			}
			if i%3 == 0 {
				cfg.IPOpens, cfg.OnOpen = 500, 1000
			}
			if i%5 == 0 {
				cfg.ClientMessages, cfg.OnMessage = 2, 1000
			}
			if err := l.Adjust(cfg); err != nil {
				t.Error(err)
			}
			l.SetLimits(hooks.Limits{OnMessage: 2000})
		}
	})
	all.Wait()
	adjust(t, l, limit.Config{Adjustable: true})
	if entries, windows, clients := limit.Kept(l), limit.Windows(l), l.Stats().Clients; entries != 0 || windows != 0 || clients != 0 {
		t.Errorf("%d entries of addresses, %d windows and %d clients are left", entries, windows, clients)
	}
	adjust(t, l, limit.Config{Adjustable: true, IPClients: 3})
	if n := count(9, func() error { return l.Open(ipOf(0)) }); n != 3 {
		t.Errorf("%d clients of one address, want 3", n)
	}
}

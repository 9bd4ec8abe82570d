package limit_test

import (
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/hooks/limit"
)

// Each limit counts what it has refused, and no other does.
func TestStats(t *testing.T) {
	a, b, c := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.2.3")
	open := func(l *limit.Limiter, ip netip.Addr) { _ = l.Open(ip) }
	for _, tt := range []struct {
		name string
		cfg  limit.Config
		do   func(l *limit.Limiter)
		want limit.Stats
	}{
		{"nothing", limit.Config{OnOpen: 7, OnMessage: 8}, func(*limit.Limiter) {}, limit.Stats{Limits: hooks.Limits{OnOpen: 7, OnMessage: 8}}},
		{"no limits", limit.Config{}, func(l *limit.Limiter) { open(l, a); _ = l.Message("x", 1) }, limit.Stats{Clients: 1}},
		{"all places", limit.Config{MaxClients: 1, IPClients: 5, IPOpens: 5}, func(l *limit.Limiter) { open(l, a); open(l, a); open(l, b) },
			limit.Stats{Clients: 1, Refused: limit.Refused{MaxClients: 2}}},
		{"all handshakes", limit.Config{OnOpen: 1, MaxClients: 5, IPClients: 5}, func(l *limit.Limiter) { open(l, a); open(l, a); l.Close("", a); open(l, b) },
			limit.Stats{Limits: hooks.Limits{OnOpen: 1}, Refused: limit.Refused{OnOpen: 2}}},
		{"places of an address", limit.Config{IPClients: 1, MaxClients: 2}, func(l *limit.Limiter) { open(l, a); open(l, a); open(l, b); open(l, c); open(l, b) },
			limit.Stats{Clients: 2, Refused: limit.Refused{IPClients: 2, MaxClients: 1}}},
		{"handshakes of an address", limit.Config{IPOpens: 1, MaxClients: 2, IPClients: 9}, func(l *limit.Limiter) { open(l, a); open(l, a); open(l, b); open(l, c); open(l, b) },
			limit.Stats{Clients: 2, Refused: limit.Refused{IPOpens: 2, MaxClients: 1}}},
		{"messages", limit.Config{ClientMessages: 2, OnMessage: 3}, func(l *limit.Limiter) {
			for range 5 {
				_ = l.Message("x", 1)
			}
			for range 2 {
				_ = l.Message("y", 1)
			}
		}, limit.Stats{Limits: hooks.Limits{OnMessage: 3}, Refused: limit.Refused{ClientMessages: 3, OnMessage: 1}}},
		{"limits that were set", limit.Config{OnOpen: 7}, func(l *limit.Limiter) { l.SetLimits(hooks.Limits{OnOpen: 3, OnMessage: 4}) },
			limit.Stats{Limits: hooks.Limits{OnOpen: 3, OnMessage: 4}}},
	} {
		l, _ := newLimiter(t, tt.cfg)
		tt.do(l)
		if got := l.Stats(); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

// Whatever was refused, on however many goroutines, is counted once.
func TestStatsAtOnce(t *testing.T) {
	for _, cfg := range []limit.Config{
		{OnOpen: 60}, {MaxClients: 50}, {IPClients: 10}, {IPOpens: 20}, {OnMessage: 300}, {ClientMessages: 30},
		{OnOpen: 60, MaxClients: 50, IPClients: 10, IPOpens: 20, OnMessage: 300, ClientMessages: 30, ClientExceeded: &hooks.Disconnect{Code: 4001}},
	} {
		l, _ := newLimiter(t, cfg)
		var want struct{ opens, ofClient, ofAll, clients atomic.Int64 }
		var all sync.WaitGroup
		for i := range 16 {
			ip, id := ipOf(i%8), string(rune('a'+i%8))
			all.Go(func() {
				for j := range 1000 {
					switch err := l.Open(ip); {
					case err != nil:
						want.opens.Add(1)
					case j%3 == 0:
						l.Close("", ip)
					default:
						want.clients.Add(1)
					}
					switch err := l.Message(id, 1); {
					case errors.Is(err, hooks.ErrClientLimited):
						want.ofClient.Add(1)
					case errors.Is(err, hooks.ErrLimited):
						want.ofAll.Add(1)
					}
				}
			})
		}
		all.Wait()
		s := l.Stats()
		r := s.Refused
		if r == (limit.Refused{}) {
			t.Errorf("%+v: nothing was refused", cfg)
		}
		if n := r.MaxClients + r.OnOpen + r.IPClients + r.IPOpens; n != want.opens.Load() {
			t.Errorf("%d handshakes refused, %d counted: %+v", want.opens.Load(), n, r)
		}
		if r.ClientMessages != want.ofClient.Load() || r.OnMessage != want.ofAll.Load() {
			t.Errorf("%d and %d messages refused, counted: %+v", want.ofClient.Load(), want.ofAll.Load(), r)
		}
		if s.Clients != int(want.clients.Load()) {
			t.Errorf("%d clients, want %d", s.Clients, want.clients.Load())
		}
	}
}

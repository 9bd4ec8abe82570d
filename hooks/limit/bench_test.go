package limit_test

import (
	"net/netip"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/hooks/limit"
)

// allLimits has every limit on, and none of them reached.
func allLimits(b *testing.B) *limit.Limiter {
	const never = 1 << 30
	l, err := limit.New(limit.Config{
		OnOpen: never, OnMessage: never, MaxClients: never, ClientMessages: never, IPClients: never, IPOpens: never,
		Exempt:         []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")},
		ClientExceeded: &hooks.Disconnect{Code: 1008}, MessageExceeded: &hooks.Disconnect{Code: 1013},
	})
	if err != nil {
		b.Fatal(err)
	}
	return l
}

func BenchmarkMessage(b *testing.B) {
	l := allLimits(b)
	var clients atomic.Int64
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		id := "7f00000117ae65920080" + strconv.FormatInt(10_000_000+clients.Add(1), 10)
		for pb.Next() {
			if err := l.Message(id, 100); err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkOpenClose(b *testing.B) {
	l := allLimits(b)
	var clients atomic.Int64
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			ip := ipOf(int(clients.Add(1) % 10_000))
			if err := l.Open(ip); err != nil {
				b.Error(err)
			}
			l.Close("", ip)
		}
	})
}

// Refusing must be cheap: it is what a flood is answered with.
func BenchmarkRefuse(b *testing.B) {
	l, err := limit.New(limit.Config{IPClients: 1})
	if err != nil {
		b.Fatal(err)
	}
	if err := l.Open(ipOf(1)); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if l.Open(ipOf(1)) == nil {
			b.Fatal("admitted")
		}
	}
}

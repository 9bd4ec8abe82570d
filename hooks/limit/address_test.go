package limit_test

import (
	"encoding/binary"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicegate/sluice/hooks/limit"
)

// opener opens a client from an address.
func opener(l *limit.Limiter, ip string) func() error {
	a := netip.MustParseAddr(ip)
	return func() error { return l.Open(a) }
}

func TestIPClients(t *testing.T) {
	l, _ := newLimiter(t, limit.Config{IPClients: 3})
	a, b := opener(l, "192.0.2.1"), opener(l, "192.0.2.2")
	if n := count(9, a); n != 3 {
		t.Errorf("%d clients of one address, want 3", n)
	}
	if err := a(); status(err) != 429 {
		t.Errorf("refused with %v", err)
	}
	if n := count(9, b); n != 3 {
		t.Errorf("%d clients of another address, want 3", n)
	}
	l.Close("", netip.MustParseAddr("192.0.2.1"))
	l.Close("id", netip.MustParseAddr("192.0.2.1"))
	if n := count(9, a); n != 2 {
		t.Errorf("%d clients in the place of 2 that left", n)
	}
}

func TestIPOpens(t *testing.T) {
	for _, perSecond := range []int{1, 3, 10, 1 << 30} {
		l, c := newLimiter(t, limit.Config{IPOpens: perSecond})
		a, b := opener(l, "192.0.2.1"), opener(l, "192.0.2.2")
		want, tries := min(perSecond, 100), min(perSecond+1, 100)
		if n := count(tries, a); n != want {
			t.Errorf("%d handshakes at once, want %d", n, want)
		}
		if perSecond > 100 {
			continue
		}
		if err := a(); status(err) != 429 {
			t.Errorf("refused with %v", err)
		}
		if n := count(tries, b); n != want {
			t.Errorf("%d handshakes of another address, want %d", n, want)
		}
		// For ten seconds it gets just what there is, a refusal costs it
		// nothing, and then it has a full bucket again.
		step, n := time.Second/time.Duration(2*perSecond), 0
		for range 20 * perSecond {
			c.advance(step)
			n += count(2, a)
		}
		if n < 10*perSecond-1 || n > 10*perSecond {
			t.Errorf("%d handshakes in ten seconds at %d per second", n, perSecond)
		}
		c.advance(time.Second)
		if n := count(tries, a); n != want {
			t.Errorf("%d handshakes after a second of rest, want %d", n, want)
		}
	}
}

// What counts as an address.
func TestAddresses(t *testing.T) {
	for _, tc := range []struct {
		name   string
		cfg    limit.Config
		ips    []string
		places int
	}{
		{"a /64", limit.Config{}, []string{"2001:db8::1", "2001:db8::2", "2001:db8::ffff:0:0:1"}, 1},
		{"two of them", limit.Config{}, []string{"2001:db8:0:1::1", "2001:db8:0:2::1"}, 2},
		{"a /48", limit.Config{IPv6Prefix: 48}, []string{"2001:db8:0:1::1", "2001:db8:0:2::1", "2001:db8:1::1"}, 2},
		{"single addresses", limit.Config{IPv6Prefix: 128}, []string{"2001:db8::1", "2001:db8::2"}, 2},
		{"link-local", limit.Config{}, []string{"fe80::1%eth0", "fe80::2%eth1"}, 1},
		{"IPv4", limit.Config{IPv6Prefix: 16}, []string{"192.0.2.1", "192.0.2.2", "::ffff:192.0.2.2"}, 2},
		{"no address", limit.Config{}, []string{"", ""}, 18},
		{"exempt", limit.Config{Exempt: []netip.Prefix{
			netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("fe80::/10"),
		}}, []string{"192.0.2.1", "198.51.100.1", "2001:db8::1", "fe80::1%eth0"}, 9 + 1 + 9 + 9},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for name, set := range map[string]func(*limit.Config){
				"clients": func(c *limit.Config) { c.IPClients = 1 }, "opens": func(c *limit.Config) { c.IPOpens = 1 },
			} {
				cfg := tc.cfg
				set(&cfg)
				l, _ := newLimiter(t, cfg)
				places := 0
				for _, s := range tc.ips {
					var ip netip.Addr
					if s != "" {
						ip = netip.MustParseAddr(s)
					}
					places += count(9, func() error { return l.Open(ip) })
				}
				if places != tc.places {
					t.Errorf("%s: %d places for %v, want %d", name, places, tc.ips, tc.places)
				}
			}
		})
	}
}

// A handshake that one limit refuses is not counted by the others.
func TestRefusedCountsNowhere(t *testing.T) {
	l, c := newLimiter(t, limit.Config{OnOpen: 4, MaxClients: 5, IPOpens: 3, IPClients: 4})
	a, b := opener(l, "192.0.2.1"), opener(l, "192.0.2.2")
	for _, step := range []struct {
		name string
		open func() error
		want int
	}{
		{"one address takes what it may", a, 3},
		{"and leaves the rest to another", b, 1},
	} {
		if n := count(50, step.open); n != step.want {
			t.Errorf("%s: %d clients, want %d", step.name, n, step.want)
		}
	}
	// All together have had their handshakes, b has not: these cost it none.
	c.advance(time.Second)
	if n := count(50, a); n != 1 { // then a has its 4
		t.Errorf("%d more clients of the first, want 1", n)
	}
	if err := b(); status(err) != 503 { // and all have their 5
		t.Errorf("refused with %v, want a 503", err)
	}
	count(50, b)
	for range 3 {
		l.Close("", netip.MustParseAddr("192.0.2.1"))
	}
	if n := count(50, b); n != 3 {
		t.Errorf("%d clients of the second, want 3: handshakes that were refused have used up its own", n)
	}
}

// Nobody gets more than there is, whoever else asks.
func TestIPClientsAtOnce(t *testing.T) {
	l, _ := newLimiter(t, limit.Config{IPClients: 2, MaxClients: 5})
	var all sync.WaitGroup
	for i := range 4 {
		ip := netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})
		var open atomic.Int64
		for range 4 {
			all.Go(func() {
				for range 1000 {
					if l.Open(ip) != nil {
						continue
					}
					if n := open.Add(1); n > 2 {
						t.Errorf("%d clients of one address, want 2 at most", n)
					}
					open.Add(-1)
					l.Close("", ip)
				}
			})
		}
	}
	all.Wait()
	if n := limit.Kept(l); n != 0 {
		t.Errorf("%d entries are left without a client", n)
	}
}

// ipOf returns the n-th of the addresses, each in a network of its own.
func ipOf(n int) netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], 0x2001_0db8_0000_0000+uint64(n))
	return netip.AddrFrom16(b)
}

// An attacker who changes addresses has no more kept than what is open and what
// came in the latest seconds, and nothing for good.
func TestManyAddresses(t *testing.T) {
	const many, perSecond = 1_000_000, 50_000
	l, c := newLimiter(t, limit.Config{IPClients: 2, IPOpens: 3})
	before := heap()
	most := 0
	for i := range many {
		if err := l.Open(ipOf(i)); err != nil {
			t.Fatal(err)
		}
		l.Close("", ipOf(i))
		c.advance(time.Second / perSecond)
		if i%10_000 == 0 {
			most = max(most, limit.Kept(l))
		}
	}
	if most > 2*perSecond+perSecond/5 {
		t.Errorf("%d entries at a time, want the handshakes of two seconds: %d", most, 2*perSecond)
	}

	// As many at once, and all of them stay for a while.
	for i := range many {
		if err := l.Open(ipOf(i)); err != nil {
			t.Fatal(err)
		}
	}
	if n := limit.Kept(l); n < 2*many {
		t.Errorf("%d entries for %d clients", n, many)
	}
	for i := range many {
		l.Close("", ipOf(i))
	}
	c.advance(2 * time.Second)
	const few = 2000 // so that every shard is asked
	for i := range few {
		if err := l.Open(ipOf(i)); err != nil {
			t.Fatal(err)
		}
		l.Close("", ipOf(i))
	}
	if n := limit.Kept(l); n != few {
		t.Errorf("%d entries are left, want %d", n, few)
	}
	if grown := heap() - before; grown > 4<<20 {
		t.Errorf("the heap has grown by %d KiB", grown>>10)
	}
	runtime.KeepAlive(l)
}

// heap returns the bytes in use.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

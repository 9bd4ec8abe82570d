package protocol_test

import (
	"encoding"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sluicegate/sluice/protocol"
)

var (
	_ encoding.TextAppender = protocol.UniqID{}
	_ encoding.TextAppender = protocol.ConnID{}
)

func TestUniqIDText(t *testing.T) {
	for _, tt := range []struct {
		text, node    string
		time, counter uint32
	}{
		{"7f00000117ae66f2c1a00000002a", "127.0.0.1:6062", 0x66f2c1a0, 42},
		{"c0a80a0bffff00000001ffffffff", "192.168.10.11:65535", 1, 0xffffffff},
		{"0000000000000000000000000000", "0.0.0.0:0", 0, 0},
		{"fffffffffffffffffffffffffffe", "255.255.255.255:65535", 0xffffffff, 0xfffffffe},
	} {
		id, err := protocol.ParseUniqID(tt.text)
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		if id.Node.String() != tt.node || id.Time != tt.time || id.Counter != tt.counter {
			t.Errorf("%s: node %v, time %d, counter %d", tt.text, id.Node, id.Time, id.Counter)
		}
		text, err := id.AppendText([]byte("id "))
		if err != nil || string(text) != "id "+tt.text || id.String() != tt.text {
			t.Errorf("%s: String %s, AppendText %q, %v", tt.text, id, text, err)
		}
	}
}

func TestConnIDText(t *testing.T) {
	const text = "7f00000117ad" + "0a000002c350" + "66f2c1a0"
	id, err := protocol.ParseConnID(text)
	if err != nil {
		t.Fatal(err)
	}
	if id.Worker.String() != "127.0.0.1:6061" || id.Business.String() != "10.0.0.2:50000" || id.Time != 0x66f2c1a0 {
		t.Errorf("worker %v, business %v, time %d", id.Worker, id.Business, id.Time)
	}
	appended, err := id.AppendText([]byte("id "))
	if err != nil || string(appended) != "id "+text || id.String() != text {
		t.Errorf("String %s, AppendText %q, %v", id, appended, err)
	}
}

func TestParseErrors(t *testing.T) {
	parsers := map[string]struct {
		valid string
		parse func(string) error
	}{
		"uniqId": {"7f00000117ae66f2c1a00000002a", func(s string) error { _, err := protocol.ParseUniqID(s); return err }},
		"connId": {"7f00000117ad0a000002c35066f2c1a0", func(s string) error { _, err := protocol.ParseConnID(s); return err }},
	}
	for kind, p := range parsers {
		must(t, p.parse(p.valid))
		for _, tt := range []struct{ name, text, want string }{
			{"empty", "", "0 characters"},
			{"short", p.valid[1:], "characters, want"},
			{"long", p.valid + "0", "characters, want"},
			{"upper case", strings.ToUpper(p.valid), `"F" at offset 1`},
			{"not hex", "x" + p.valid[1:], `"x" at offset 0`},
			{"space", p.valid[:len(p.valid)-1] + " ", `" " at offset`},
			{"not ASCII", p.valid[:len(p.valid)-2] + "é", `"\xc3" at offset`},
			{"zero byte", p.valid[:4] + "\x00" + p.valid[5:], `"\x00" at offset 4`},
			{"between the digits and the letters", p.valid[:4] + ":" + p.valid[5:], `":" at offset 4`},
			{"g", p.valid[:4] + "g" + p.valid[5:], `"g" at offset 4`},
			{"huge", strings.Repeat("z", 1<<20), "1048576 characters"},
		} {
			err := p.parse(tt.text)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), kind) {
				t.Errorf("%s, %s: error %v, want one with %q", kind, tt.name, err, tt.want)
			} else if len(err.Error()) > 200 {
				t.Errorf("%s, %s: an error of %d bytes", kind, tt.name, len(err.Error()))
			}
		}
	}
}

func TestIDsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		node := func() (n protocol.Node) {
			copy(n[:], rapid.SliceOfN(rapid.Byte(), 6, 6).Draw(t, "node"))
			return n
		}
		uniqID := protocol.UniqID{Node: node(), Time: rapid.Uint32().Draw(t, "time"), Counter: rapid.Uint32().Draw(t, "counter")}
		if got, err := protocol.ParseUniqID(uniqID.String()); err != nil || got != uniqID {
			t.Fatalf("%v came back as %v, %v", uniqID, got, err)
		}
		connID := protocol.ConnID{Worker: node(), Business: node(), Time: rapid.Uint32().Draw(t, "time")}
		if got, err := protocol.ParseConnID(connID.String()); err != nil || got != connID {
			t.Fatalf("%v came back as %v, %v", connID, got, err)
		}
	})
}

func TestNodeFromAddr(t *testing.T) {
	for _, tt := range []struct{ addr, want string }{
		{"127.0.0.1:6062", "127.0.0.1:6062"},
		{"[::ffff:10.1.2.3]:80", "10.1.2.3:80"},
		{"0.0.0.0:0", "0.0.0.0:0"},
		{"[::1]:6062", ""},
		{"[fe80::1%eth0]:6062", ""},
		{"", ""},
	} {
		var addr netip.AddrPort
		if tt.addr != "" {
			addr = netip.MustParseAddrPort(tt.addr)
		}
		node, err := protocol.NodeFromAddr(addr)
		if (err == nil) != (tt.want != "") {
			t.Errorf("%s: error %v", tt.addr, err)
		} else if err == nil && (node.String() != tt.want || node.AddrPort() != netip.MustParseAddrPort(tt.want)) {
			t.Errorf("%s: node %v, want %s", tt.addr, node, tt.want)
		}
	}
}

func TestUniqIDSourceWritesNodeAndTime(t *testing.T) {
	node := protocol.Node{1, 2, 3, 4, 5, 6}
	moment := time.Unix(1_700_000_000, 999_999_999)
	id, err := protocol.ParseUniqID(protocol.NewUniqIDSource(node, func() time.Time { return moment }).Next())
	if err != nil || id.Node != node || id.Time != 1_700_000_000 {
		t.Errorf("id %+v, %v", id, err)
	}

	before := uint32(time.Now().Unix())
	if id := protocol.NewUniqIDSource(node, nil).NextID(); id.Time < before || id.Time > uint32(time.Now().Unix()) {
		t.Errorf("without a clock, an id of %d at %d", id.Time, before)
	}
}

func TestUniqIDSourceStartsAtRandom(t *testing.T) {
	starts := map[uint32]bool{}
	for range 8 {
		starts[protocol.NewUniqIDSource(protocol.Node{}, nil).NextID().Counter] = true
	}
	if len(starts) < 7 {
		t.Errorf("8 sources start at %d different counters", len(starts))
	}
}

func TestUniqIDSourceNeverRepeats(t *testing.T) {
	start := time.Unix(1_700_000_000, 0)
	var ticks struct {
		sync.Mutex
		n int
	}
	for name, clock := range map[string]func() time.Time{
		"clock stands": func() time.Time { return start },
		"clock goes back": func() time.Time {
			ticks.Lock()
			defer ticks.Unlock()
			ticks.n++
			return start.Add(time.Duration(ticks.n%7) * -time.Second)
		},
	} {
		t.Run(name, func(t *testing.T) {
			const workers, each = 8, 5000
			source := protocol.NewUniqIDSource(protocol.Node{}, clock)
			ids := make([][]string, workers)
			var wg sync.WaitGroup
			for w := range workers {
				wg.Go(func() {
					for range each {
						ids[w] = append(ids[w], source.Next())
					}
				})
			}
			wg.Wait()
			seen := map[string]bool{}
			for _, id := range ids {
				for _, id := range id {
					seen[id] = true
				}
			}
			if len(seen) != workers*each {
				t.Errorf("%d different ids, want %d", len(seen), workers*each)
			}
		})
	}
}

func BenchmarkUniqIDSource(b *testing.B) {
	source := protocol.NewUniqIDSource(protocol.Node{}, nil)
	b.ReportAllocs()
	for b.Loop() {
		source.Next()
	}
}

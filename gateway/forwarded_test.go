package gateway

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

// trusted returns the networks of a Config that has these.
func trusted(t testing.TB, networks ...string) proxies {
	t.Helper()
	var list []netip.Prefix
	for _, n := range networks {
		list = append(list, netip.MustParsePrefix(n))
	}
	ps, err := newProxies("TrustedProxies", list)
	if err != nil {
		t.Fatal(err)
	}
	return ps
}

func forwarded(lines ...string) http.Header { return http.Header{"X-Forwarded-For": lines} }

func TestClientBehindProxies(t *testing.T) {
	const (
		proxy  = "10.0.0.1"
		client = "203.0.113.7"
		spoof  = "192.0.2.66"
	)
	real := func(values ...string) http.Header { return http.Header{"X-Real-Ip": values} }
	many := func(element string) string { return strings.TrimSuffix(strings.Repeat(element+",", 10_000), ",") }
	for _, tt := range []struct {
		name, peer string
		header     http.Header
		want       string
	}{
		{"no header", proxy, nil, proxy},
		{"one proxy", proxy, forwarded(client), client},
		{"two proxies", proxy, forwarded(client + ", 10.0.0.2"), client},
		{"without spaces", proxy, forwarded(client + ",10.0.0.2,10.0.0.3"), client},
		{"with much space", proxy, forwarded(" \t" + client + "\t ,  10.0.0.2 "), client},
		{"several lines", proxy, forwarded(spoof, client+", 10.0.0.2", "10.0.0.3"), client},
		{"several lines, the client's first", proxy, forwarded(spoof, client), client},
		{"all are proxies", proxy, forwarded("10.0.0.4, 10.0.0.3", "10.0.0.2"), "10.0.0.4"},
		{"a proxy beyond the client", proxy, forwarded("10.0.0.9, " + client + ", 10.0.0.2"), client},
		{"a spoofed part", proxy, forwarded(spoof + ", " + client), client},
		{"a spoofed part that is no address", proxy, forwarded("<script>, " + client), client},
		{"a spoofed proxy", proxy, forwarded("10.0.0.2, " + client), client},
		{"IPv6", "fd00::1", forwarded("2001:db8::7, fd00::2"), "2001:db8::7"},
		{"IPv6 to IPv4", proxy, forwarded("2001:db8::7"), "2001:db8::7"},
		{"a port", proxy, forwarded(client + ":1234, 10.0.0.2:80"), client},
		{"a port behind IPv6", proxy, forwarded("[2001:db8::7]:1234, [fd00::2]:80"), "2001:db8::7"},
		{"IPv6 in brackets", proxy, forwarded("[2001:db8::7]"), "2001:db8::7"},
		{"IPv4 in IPv6", proxy, forwarded("::ffff:" + client + ", ::ffff:10.0.0.2"), client},
		{"IPv4 in IPv6 with a port", proxy, forwarded("[::ffff:" + client + "]:80"), client},
		{"a link's proxy", "fe80::1%eth0", forwarded(client), client},

		{"from elsewhere", client, forwarded(spoof), client},
		{"from elsewhere, naming a proxy", client, forwarded(spoof + ", 10.0.0.1"), client},
		{"from elsewhere by X-Real-IP", client, real(spoof), client},
		{"from one beside the network", "10.1.0.1", forwarded(spoof), "10.1.0.1"},
		{"a peer without an address", "", forwarded(client), "invalid IP"},

		{"unknown", proxy, forwarded(client + ", unknown"), proxy},
		{"unknown further on", proxy, forwarded(client + ", unknown, 10.0.0.2"), "10.0.0.2"},
		{"empty", proxy, forwarded(""), proxy},
		{"empty elements", proxy, forwarded(client + ", , 10.0.0.2"), "10.0.0.2"},
		{"an empty end", proxy, forwarded(client + ","), proxy},
		{"an empty line", proxy, forwarded(client, ""), proxy},
		{"nothing but commas", proxy, forwarded(strings.Repeat(",", 10_000)), proxy},
		{"10,000 clients", proxy, forwarded(many(spoof) + "," + client), client},
		{"10,000 proxies", proxy, forwarded(client + "," + many("10.0.0.2")), client},
		{"10,000 lines", proxy, forwarded(append([]string{client}, strings.Split(many("10.0.0.2"), ",")...)...), client},
		{"one long element", proxy, forwarded(strings.Repeat("1", 1<<20)), proxy},
		{"a zone", proxy, forwarded("fe80::1%" + client), proxy},
		{"a zone of whatever", proxy, forwarded("fe80::1%\"><b>, 10.0.0.2"), "10.0.0.2"},
		{"a zone with a port", proxy, forwarded("[fe80::1%eth0]:80"), proxy},
		{"leading zeros", proxy, forwarded("010.0.0.2"), proxy},
		{"a part of an address", proxy, forwarded("203.0.113"), proxy},
		{"a name", proxy, forwarded("localhost"), proxy},
		{"a port without an address", proxy, forwarded(":80"), proxy},
		{"a port that is none", proxy, forwarded(client + ":http"), proxy},
		{"IPv4 in brackets", proxy, forwarded("[" + client + "]"), proxy},
		{"a bracket", proxy, forwarded("["), proxy},
		{"brackets", proxy, forwarded("[]"), proxy},
		{"a quoted address", proxy, forwarded("\"" + client + "\""), proxy},
		{"separated by semicolons", proxy, forwarded(spoof + ";" + client), proxy},

		{"X-Real-IP", proxy, real(client), client},
		{"X-Real-IP twice", proxy, real(spoof, client), proxy},
		{"X-Real-IP with a list", proxy, real(spoof + ", " + client), proxy},
		{"X-Real-IP that is none", proxy, real("unix:"), proxy},
		{"X-Real-IP that is empty", proxy, real(""), proxy},
		{"X-Real-IP that is a proxy's", proxy, real("10.0.0.2"), "10.0.0.2"},
		{"X-Real-IP beside X-Forwarded-For", proxy, http.Header{"X-Real-Ip": {spoof}, "X-Forwarded-For": {client}}, client},
		{"X-Real-IP beside an unknown one", proxy, http.Header{"X-Real-Ip": {spoof}, "X-Forwarded-For": {"unknown"}}, proxy},
	} {
		t.Run(tt.name, func(t *testing.T) {
			peer, _ := netip.ParseAddr(tt.peer)
			ps := trusted(t, "10.0.0.0/16", "fd00::/8", "fe80::/10")
			if got := ps.client(peer, tt.header); got.String() != tt.want {
				t.Errorf("got %v, want %s", got, tt.want)
			}
			if got := trusted(t).client(peer, tt.header); got != peer {
				t.Errorf("without proxies: got %v, want the peer %v", got, peer)
			}
		})
	}
}

// Whoever trusts everybody believes the header's beginning.
func TestEverybodyTrusted(t *testing.T) {
	ps := trusted(t, "0.0.0.0/0", "::/0")
	if got := ps.client(netip.MustParseAddr("10.0.0.1"), forwarded("192.0.2.66, 203.0.113.7")); got.String() != "192.0.2.66" {
		t.Errorf("got %v", got)
	}
}

// Networks and addresses match in whichever of IPv4's forms they are written.
func TestMappedNetworks(t *testing.T) {
	for network, matches := range map[string]bool{
		"10.0.0.0/8": true, "10.9.9.9/8": true, "10.0.0.1/32": true, "0.0.0.0/0": true,
		"::ffff:10.0.0.0/104": true, "::ffff:0.0.0.0/96": true,
		"::ffff:11.0.0.0/104": false, "10.0.0.2/32": false, "::/0": false,
	} {
		if got := trusted(t, network).contain(netip.MustParseAddr("10.0.0.1")); got != matches {
			t.Errorf("%s contains 10.0.0.1: %v, want %v", network, got, matches)
		}
	}
}

// Business code is told of the headers only if they come from who may send them.
func TestForwardedHeaders(t *testing.T) {
	h := http.Header{"X-Forwarded-For": {"192.0.2.66", "203.0.113.7"}, "X-Real-Ip": {"203.0.113.8"}}
	twice := http.Header{"X-Real-Ip": {"192.0.2.66", "203.0.113.8"}}
	for _, tt := range []struct {
		name     string
		ps       proxies
		peer     string
		header   http.Header
		xff, xri string
	}{
		{"nobody trusted", trusted(t), "10.0.0.1", h, "192.0.2.66", "203.0.113.8"},
		{"from a proxy", trusted(t, "10.0.0.0/8"), "10.0.0.1", h, "192.0.2.66, 203.0.113.7", "203.0.113.8"},
		{"from elsewhere", trusted(t, "10.0.0.0/8"), "203.0.113.7", h, "", ""},
		{"two real ones", trusted(t, "10.0.0.0/8"), "10.0.0.1", twice, "", ""},
		{"none", trusted(t, "10.0.0.0/8"), "10.0.0.1", nil, "", ""},
	} {
		if xff, xri := tt.ps.headers(netip.MustParseAddr(tt.peer), tt.header); xff != tt.xff || xri != tt.xri {
			t.Errorf("%s: %q and %q, want %q and %q", tt.name, xff, xri, tt.xff, tt.xri)
		}
	}
}

// What a header costs is not the client's to choose.
func TestForwardedAllocations(t *testing.T) {
	ps, peer := trusted(t, "10.0.0.0/8"), netip.MustParseAddr("10.0.0.1")
	h := forwarded("203.0.113.7," + strings.Repeat("10.0.0.2, [::ffff:10.0.0.3]:80,", 1000) + "10.0.0.4")
	if n := testing.AllocsPerRun(10, func() { ps.client(peer, h) }); n > 1 {
		t.Errorf("%v allocations", n)
	}
}

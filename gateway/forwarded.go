package gateway

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// proxies are networks of proxies that are believed what they say of clients.
type proxies []netip.Prefix

// newProxies checks the networks of the field of that name. IPv4 networks in their
// IPv6 form become what the addresses are compared as.
func newProxies(name string, networks []netip.Prefix) (proxies, error) {
	if len(networks) == 0 {
		return nil, nil
	}
	ps := make(proxies, len(networks))
	for i, p := range networks {
		if !p.IsValid() {
			return nil, fmt.Errorf("gateway: Config.%s[%d] is no network; make it by netip.ParsePrefix, as of \"10.0.0.0/8\", or by netip.PrefixFrom", name, i)
		}
		const mapped = 96 // bits before the IPv4 address
		if p.Addr().Is4In6() && p.Bits() >= mapped {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-mapped)
		}
		ps[i] = p
	}
	return ps, nil
}

func (ps proxies) contain(ip netip.Addr) bool {
	ip = ip.WithZone("") // a network has none
	return slices.ContainsFunc(ps, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// fields are those of a request: its http.Header, or the handshake.
type fields interface{ Values(name string) []string }

// client returns the address of the client whose request has come from peer with
// header h. Each proxy adds whom it was called by to the end of X-Forwarded-For, so
// that from there on it is true as far as proxies are: up to the first address that
// is none of theirs. What stands before that is what the client likes to say.
func (ps proxies) client(peer netip.Addr, h fields) netip.Addr {
	if !ps.contain(peer) {
		return peer
	}
	lines := h.Values("X-Forwarded-For") // several are one list (RFC 9110, section 5.3)
	if len(lines) == 0 {
		if ip, ok := parseForwarded(realIP(h)); ok {
			return ip
		}
		return peer
	}
	last := peer
	for _, line := range slices.Backward(lines) {
		for more := true; more; {
			comma := strings.LastIndexByte(line, ',')
			ip, ok := parseForwarded(line[comma+1:])
			if !ok {
				return last // a proxy that does not know, or does not tell
			}
			if last = ip; !ps.contain(ip) {
				return ip
			}
			more, line = comma >= 0, line[:max(comma, 0)]
		}
	}
	return last
}

// headers returns what business code is told of the headers that client looks at.
// Once it is settled who may send them, others may not, as it cannot tell.
func (ps proxies) headers(peer netip.Addr, h fields) (xForwardedFor, xRealIP string) {
	switch {
	case len(ps) == 0:
		return first(h.Values("X-Forwarded-For")), first(h.Values("X-Real-Ip"))
	case !ps.contain(peer):
		return "", ""
	}
	return strings.Join(h.Values("X-Forwarded-For"), ", "), realIP(h)
}

// first returns the first of a field's values, if any.
func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// realIP returns X-Real-Ip if there is one. Of several, any may be the client's.
func realIP(h fields) string {
	if values := h.Values("X-Real-Ip"); len(values) == 1 {
		return values[0]
	}
	return ""
}

// parseForwarded reads an address as proxies write it: 192.0.2.1 and 192.0.2.1:80,
// 2001:db8::1, [2001:db8::1] and [2001:db8::1]:80. Zones are for addresses on the
// machine's own links and may hold any text: they are not taken from elsewhere.
func parseForwarded(s string) (ip netip.Addr, ok bool) {
	const longest = len("[0000:0000:0000:0000:0000:0000:255.255.255.255]:65535")
	if s = strings.Trim(s, " \t"); len(s) > longest {
		return ip, false
	}
	var err error
	switch inner, bracketed := strings.CutPrefix(s, "["); {
	case bracketed && strings.HasSuffix(inner, "]"):
		ip, err = netip.ParseAddr(inner[:len(inner)-1])
		if ip.Is4() {
			return ip, false
		}
	case bracketed || strings.Count(s, ":") == 1:
		var ap netip.AddrPort
		ap, err = netip.ParseAddrPort(s)
		ip = ap.Addr()
	default:
		ip, err = netip.ParseAddr(s)
	}
	if err != nil || ip.Zone() != "" {
		return netip.Addr{}, false
	}
	return ip.Unmap(), true
}

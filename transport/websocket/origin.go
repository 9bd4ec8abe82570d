package websocket

import "strings"

// originAllowed judges the Origin fields of a request (RFC 6455, section 10.2;
// RFC 6454, section 7). Browsers send one; two are somebody's attempt to be
// read in two ways.
func originAllowed(origins []string, host string, allowed []string) bool {
	if len(origins) == 0 {
		return true
	}
	if len(origins) > 1 {
		return false
	}
	origin := trim(origins[0])
	if len(allowed) == 0 {
		return sameOrigin(origin, host)
	}
	for _, a := range allowed {
		if a == "*" || origin != "" && equalFold(a, origin) {
			return true
		}
	}
	return false
}

// sameOrigin reports whether a page of origin was loaded from host. The scheme
// the server was reached by is not known (TLS may end in front of it), so it is
// the origin's that supplies a port left out.
func sameOrigin(origin, host string) bool {
	scheme, rest, ok := strings.Cut(origin, "://")
	if !ok {
		return false
	}
	var port string
	switch {
	case equalFold(scheme, "http"):
		port = "80"
	case equalFold(scheme, "https"):
		port = "443"
	default:
		return false
	}
	name, p := splitPort(rest, port)
	hostName, hostPort := splitPort(host, port)
	return name != "" && equalFold(name, hostName) && p == hostPort
}

// splitPort splits "host", "host:port", "[v6]" or "[v6]:port"; an absent or
// empty port becomes def.
func splitPort(s, def string) (name, port string) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 || strings.IndexByte(s[i:], ']') >= 0 {
		return s, def
	}
	if i == len(s)-1 {
		return s[:i], def
	}
	return s[:i], s[i+1:]
}

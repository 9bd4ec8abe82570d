package gateway

import (
	"fmt"
	"slices"
	"strings"
)

// SetOrigins puts other origins in the place of [Config.Origins], on all
// transports and for handshakes that come after it has returned. Clients that are
// there stay. Empty means the gateway's own origin only, as there. The slice is
// copied. The error says which entry is wrong; then nothing changes.
func (g *Gateway) SetOrigins(origins []string) error {
	if err := checkOrigins("SetOrigins", origins); err != nil {
		return err
	}
	origins = slices.Clone(origins)
	g.origins.Store(&origins)
	return nil
}

// allowedOrigins is asked by the transports, for each handshake.
func (g *Gateway) allowedOrigins() []string { return *g.origins.Load() }

// checkOrigins finds entries that no browser sends and that nothing would ever
// match (RFC 6454 section 6.2).
func checkOrigins(what string, origins []string) error {
	for i, o := range origins {
		scheme, host, ok := strings.Cut(o, "://")
		if o == "*" || o == "null" || ok && scheme != "" && !strings.ContainsAny(host, "/?#@* ") {
			continue
		}
		return fmt.Errorf("gateway: %s[%d] is %q, which no browser sends; use a scheme and a host, and a port if it is not the scheme's own, "+
			"as \"https://example.com\", or \"*\" for any", what, i, o)
	}
	return nil
}

package hooks

import (
	"context"
	"net/netip"
)

// clientAddr is the key of a client's address.
type clientAddr struct{}

// WithClientAddr returns a context that tells whoever is called with it, by
// [ClientAddr], whose handshake the call is about. A gateway passes one to its
// Authenticators, and so does a test of one. It may be called on any goroutine.
func WithClientAddr(ctx context.Context, ip netip.Addr) context.Context {
	return context.WithValue(ctx, clientAddr{}, ip)
}

// ClientAddr returns the IP address of the client that an [Authenticator] decides
// about, which is what the OpenEvent's RemoteAddr will be: behind proxies that the
// gateway trusts not the address in the request. It is the zero Addr if the client
// has none, and with any other ctx than an Authenticator's. It may be called on any
// goroutine.
func ClientAddr(ctx context.Context) netip.Addr {
	ip, _ := ctx.Value(clientAddr{}).(netip.Addr)
	return ip
}

package loop

import (
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/sluicegate/sluice/transport/internal/proxyproto"
)

// complainEvery is how often at most a loop logs what its proxies do wrong.
const complainEvery = time.Minute

// from returns s with another address for its peer. Only such connections have
// more to them than their socket; the engine gets its own back.
func from(s Socket, addr net.Addr) Socket {
	if addr == nil || addr.String() == s.RemoteAddr().String() {
		return s
	}
	return &proxied{s, addr}
}

type proxied struct {
	Socket
	addr net.Addr
}

// RemoteAddr implements Socket.
func (p *proxied) RemoteAddr() net.Addr { return p.addr }

// bare is s as the engine knows it.
func bare(s Socket) Socket {
	if p, ok := s.(*proxied); ok {
		return p.Socket
	}
	return s
}

// announces reports whether the peer of s is a proxy that says on whose behalf it
// connects. That is never guessed from what it sends: anybody could send it.
func (l *Loop) announces(s Socket) bool {
	if len(l.opts.ProxyProtocol) == 0 {
		return false
	}
	peer, ok := s.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return false
	}
	ip := peer.AddrPort().Addr().Unmap().WithZone("")
	return slices.ContainsFunc(l.opts.ProxyProtocol, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// readProxy reads a PROXY header, and returns what follows it. A connection without
// one is cut: its peer speaks something else, and would not understand an answer.
func (c *Conn) readProxy(b []byte) []byte {
	hs := c.handshake()
	if hs.proxy == nil {
		hs.proxy = new(proxyproto.Parser)
	}
	n, done, err := hs.proxy.Next(b)
	switch {
	case err != nil:
		c.loop.complain(c, err)
		c.cutOff()
		return nil
	case !done:
		return nil
	}
	if source := hs.proxy.Source(); source.IsValid() {
		c.sock = from(c.sock, net.TCPAddrFromAddrPort(source))
	}
	hs.proxy = nil
	c.state = stateHead
	return b[n:]
}

// complain logs what a proxy does wrong, now and then: it does so with every
// connection.
func (l *Loop) complain(c *Conn, err error) {
	n, ok := l.complaints.At(l.start.Add(time.Duration(l.wheel.now) * tick))
	if !ok {
		return
	}
	l.log.Warn("proxy header wrong", "remoteAddr", c.RemoteAddr().String(), "error", err, "suppressed", n,
		"hint", "the peer is among the networks of ProxyProtocol: have it send the header, or take it off the list")
}

package remote

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/sluicegate/sluice/internal/secret"
)

// checkTrust finds what is wrong with the fields that say who is let in. name is
// the listener's field in a Config.
func (l *Listener) checkTrust(name string) error {
	name = "remote: Config." + name
	if l.Secret != "" {
		if err := secret.Check(l.Secret); err != nil {
			return fmt.Errorf("%s.Secret %w", name, err)
		}
	}
	for i, p := range l.Trusted {
		switch {
		case !p.IsValid() || p.Addr().Is4In6():
			return fmt.Errorf("%s.Trusted[%d] is %v; use a network such as netip.MustParsePrefix(\"10.1.0.0/16\")", name, i, p)
		case p.Bits() == 0:
			return fmt.Errorf("%s.Trusted[%d] is %v, which is everybody; name networks, or set InsecureAllowAnyone if that is meant", name, i, p)
		}
	}
	if t := l.TLS; t != nil {
		switch {
		case len(t.Certificates) == 0 && t.GetCertificate == nil && t.GetConfigForClient == nil:
			return errors.New(name + ".TLS has no certificate; set its Certificates")
		case l.mutual() && t.ClientCAs == nil:
			return errors.New(name + ".TLS would take a client certificate of any public authority; set its ClientCAs to your own")
		}
	}
	if l.InsecureAllowAnyone && (l.Secret != "" || l.mutual() || len(l.Trusted) > 0) {
		return errors.New(name + ".InsecureAllowAnyone lets everybody in, so that Secret, Trusted and client certificates would mean nothing; leave out the one or the others")
	}
	return nil
}

// mutual reports whether clients must have certificates.
func (l *Listener) mutual() bool {
	return l.TLS != nil && l.TLS.ClientAuth == tls.RequireAndVerifyClientCert
}

// asks reports whether strangers are let in at all, by showing who they are or
// because nobody wants to know.
func (l *Listener) asks() bool { return l.Secret != "" || l.mutual() || l.InsecureAllowAnyone }

// exposed returns the error of a listener that is reached from other computers
// when nothing was said about who may.
func (l *Listener) exposed(at net.Addr, home func(netip.Addr) bool) error {
	if home(hostOf(at)) || l.asks() || len(l.Trusted) > 0 {
		return nil
	}
	return fmt.Errorf("%v is reached from other computers, and who reaches it acts on all clients; set Secret, TLS that requires "+
		"client certificates, or Trusted networks, or listen on 127.0.0.1; if anyone may indeed, say InsecureAllowAnyone", at)
}

// trusts reports whether a peer is one that need not know the secret.
func (d *door) trusts(peer net.Addr) bool {
	from := hostOf(peer)
	if d.home(from) {
		return true
	}
	for _, p := range d.l.Trusted {
		if p.Contains(from) {
			return true
		}
	}
	return false
}

// onLoopback gives an address without a host the loopback's.
func onLoopback(addr string) string {
	if host, port, err := net.SplitHostPort(addr); err == nil && host == "" {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return addr
}

// hostOf returns the IP address in a; zero is as good a name for what has none.
// The zone of one that is local to a link says which link, and not whose it is.
func hostOf(a net.Addr) netip.Addr {
	ap, _ := netip.ParseAddrPort(a.String())
	return ap.Addr().Unmap().WithZone("")
}

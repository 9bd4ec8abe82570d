package admin

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"

	"github.com/sluicegate/sluice/hooks/remote"
	"github.com/sluicegate/sluice/internal/secret"
)

// Config says who is let in and what is shown. The zero value is a safe default
// for [Listen], but for Addr.
type Config struct {
	// Addr is the TCP address at which Listen serves, for example
	// "127.0.0.1:6064". Without a host, as in ":6064", it is on 127.0.0.1; all
	// interfaces are "0.0.0.0:6064". New does not look at it.
	Addr string
	// TLS has Listen serve https. It must have a certificate and is copied.
	// Nil means plain HTTP, over which the token can be read on its way: beyond
	// loopback it is for networks in which nobody listens. New does not look at
	// it.
	TLS *tls.Config

	// Token is what operators and scrapers must show. It should be random, and
	// must have 16 bytes or more. Empty means that nobody is asked for one: only
	// requests from this computer, to a host of that name, are answered then, and
	// Listen beyond loopback and New are errors unless InsecureAllowAnyone is set.
	Token string
	// InsecureAllowAnyone lets anyone look who reaches the handler. It is for
	// an Admin behind middleware that has asked already, and excludes Token.
	// False means that there must be a Token, or loopback.
	InsecureAllowAnyone bool
	// Actions lets operators act on clients: put them offline, and send them and
	// topics messages. It needs a Token. False means that they only look.
	Actions bool

	// Name is what the page calls the gateway; whoever has several open can
	// tell them apart. Empty means the computer's name.
	Name string
	// Metrics has /metrics and what handlers' times are plotted of. It is
	// hooks/metrics' or anything alike, and must be among the gateway's hooks
	// by itself. Nil means that there is no /metrics and no such plot.
	Metrics Metrics
	// Remote is the gateway's Router if business processes are elsewhere, for
	// the table of them. Nil means that there is no such table.
	Remote *remote.Router
	// Logger gets the log: who has signed in, and who has done what to whom.
	// Nil means slog.Default().
	Logger *slog.Logger
}

// withDefaults finds what is wrong with c. mounted is whether it is for New.
func (c Config) withDefaults(mounted bool) (Config, error) {
	if c.Token != "" {
		if err := secret.Check(c.Token); err != nil {
			return c, fmt.Errorf("admin: Config.Token %w", err)
		}
	}
	switch {
	case c.InsecureAllowAnyone && c.Token != "":
		return c, errors.New("admin: Config.InsecureAllowAnyone lets everybody look, so that Token would mean nothing; leave out the one or the other")
	case c.Actions && c.Token == "":
		return c, errors.New("admin: Config.Actions lets operators act on all clients, and needs a Token; set one, or leave out Actions to look only")
	case mounted && c.Token == "" && !c.InsecureAllowAnyone:
		return c, errors.New("admin: Config.Token is empty, and a mounted handler may be reached from anywhere; set a Token, " +
			"or say InsecureAllowAnyone if your middleware has asked already")
	case !mounted && c.Addr == "":
		return c, errors.New("admin: Config.Addr is empty; set it, for example to \"127.0.0.1:6064\", or use New to mount the Admin in your own mux")
	case !mounted && c.TLS != nil && len(c.TLS.Certificates) == 0 && c.TLS.GetCertificate == nil && c.TLS.GetConfigForClient == nil:
		return c, errors.New("admin: Config.TLS has no certificate; set its Certificates")
	}
	if c.TLS != nil {
		c.TLS = c.TLS.Clone()
		c.TLS.NextProtos = []string{"http/1.1"} // a WebSocket takes the connection over, which HTTP/2 has no means for
	}
	if c.Name == "" {
		c.Name, _ = os.Hostname() // the page does without
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c, nil
}

// exposed returns the error of a listener that other computers reach when nothing
// was said about who may.
func (c Config) exposed(at net.Addr) error {
	if isLoopback(at) || c.Token != "" || c.InsecureAllowAnyone {
		return nil
	}
	return fmt.Errorf("%v is reached from other computers, and who reaches it sees who is connected; set Token, or listen on 127.0.0.1; "+
		"if anyone may indeed, say InsecureAllowAnyone", at)
}

func isLoopback(a net.Addr) bool {
	at, err := netip.ParseAddrPort(a.String())
	return err == nil && at.Addr().Unmap().IsLoopback()
}

// onLoopback gives an address without a host the loopback's.
func onLoopback(addr string) string {
	if host, port, err := net.SplitHostPort(addr); err == nil && host == "" {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return addr
}

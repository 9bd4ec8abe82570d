package conformance

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"sync"
	"testing"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/wsclient"
)

// loopback is where the cases' clients connect from.
func loopback() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
}

// elsewhere is where nobody connects from.
func elsewhere() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")}
}

// own stands for the address that a client connects from.
const own = "its own"

// addressIs compares an address that the host was told.
func addressIs(got, want string) bool {
	if want != own {
		return got == want
	}
	ip, err := netip.ParseAddr(got)
	return err == nil && ip.IsLoopback()
}

// An addressee is an Authenticator that notes who comes, by query, and refuses who
// asks for it.
type addressee struct {
	mu   sync.Mutex
	seen map[string]string
}

// Authenticate implements hooks.Authenticator.
func (a *addressee) Authenticate(ctx context.Context, r *http.Request) (hooks.Identity, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seen[r.URL.RawQuery] = hooks.ClientAddr(ctx).String()
	if r.Header.Get("X-Refuse") != "" {
		return hooks.Identity{}, errors.New("as it asked for")
	}
	return hooks.Identity{}, nil
}

func (a *addressee) of(query string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.seen[query]
}

// forwardedAddresses: what a proxy says of a client is believed if it is a proxy
// that is trusted, and then by all: by the Limiter, when the client comes and when
// it goes, by Authenticators and by the Router.
func forwardedAddresses(t *testing.T, mk maker) {
	both := http.Header{"X-Forwarded-For": {"192.0.2.66", "203.0.113.7, 10.0.0.2"}, "X-Real-Ip": {"203.0.113.8"}}
	for _, g := range []struct {
		name    string
		trusted []netip.Prefix
		rows    []addressRow
	}{
		{"from a trusted proxy", append(loopback(), netip.MustParsePrefix("10.0.0.0/8")), []addressRow{
			{"no header", nil, own, "", ""},
			{"a spoofed list", both, "203.0.113.7", "192.0.2.66, 203.0.113.7, 10.0.0.2", "203.0.113.8"},
			{"an address of its own", http.Header{"X-Forwarded-For": {"127.0.0.1"}}, "127.0.0.1", "127.0.0.1", ""},
			{"IPv6 with a port", http.Header{"X-Forwarded-For": {"[2001:db8::7]:80"}}, "2001:db8::7", "[2001:db8::7]:80", ""},
			{"X-Real-IP alone", http.Header{"X-Real-Ip": {"203.0.113.8"}}, "203.0.113.8", "", "203.0.113.8"},
			{"nonsense", http.Header{"X-Forwarded-For": {"203.0.113.7, nonsense"}}, own, "203.0.113.7, nonsense", ""},
		}},
		{"from anybody else", elsewhere(), []addressRow{
			{"no header", nil, own, "", ""},
			{"both", both, own, "", ""},
		}},
		{"nobody is trusted", nil, []addressRow{
			{"both", both, own, "192.0.2.66", "203.0.113.8"},
		}},
	} {
		t.Run(g.name, func(t *testing.T) {
			auth := &addressee{seen: make(map[string]string)}
			s := start(t, mk, gateway.Config{TrustedProxies: g.trusted, Hooks: []any{auth}})
			for _, r := range g.rows {
				t.Run(r.name, func(t *testing.T) { s.on(t).tryAddress(&r, auth) })
			}
			s.settle() // which judges what the Limiter heard
		})
	}
	t.Run("left while the authenticator decides", func(t *testing.T) {
		d := newDoor()
		s := start(t, mk, gateway.Config{TrustedProxies: loopback(), Hooks: []any{d}})
		conn := s.dial()
		_, err := conn.Write(wsclient.Request{Target: path, Header: both}.Append(nil, exampleKey))
		must(t, err)
		within(t, d.asked, "the authenticator is asked")
		_ = conn.Close()
		close(d.open)
		s.Eventually("the Limiter hears of the end", func() bool { _, released := s.book.limits(); return released == 1 })
		s.settle()
	})
}

// An addressRow is the header of a request, and what the host is to be told.
type addressRow struct {
	name   string
	header http.Header
	// addr is the client's, or own; the others are the Open event's headers.
	addr, xForwardedFor, xRealIP string
}

func (s *scene) tryAddress(r *addressRow, auth *addressee) {
	s.t.Helper()
	p := s.joinWith(wsclient.Request{Header: r.header})
	e := s.book.event(p.id)
	if !addressIs(e.RemoteAddr, r.addr) || e.XForwardedFor != r.xForwardedFor || e.XRealIP != r.xRealIP {
		s.t.Errorf("open event %+v, want address %s", e, r.addr)
	}
	if got := auth.of(e.RawQuery); got != e.RemoteAddr {
		s.t.Errorf("the Authenticator was told of %s, want %s", got, e.RemoteAddr)
	}
	p.echoes("hello")
	p.leave()

	refused := r.header.Clone()
	if refused == nil {
		refused = make(http.Header)
	}
	refused.Set("X-Refuse", "please")
	var re *wsclient.RefusedError
	if _, err := wsclient.Open(s.dial(), wsclient.Request{Target: path, Header: refused}); !errors.As(err, &re) {
		s.t.Errorf("%v, want a refusal", err)
	}
}

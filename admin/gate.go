package admin

import (
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/sluicegate/sluice/internal/sampled"
)

// A gate decides who is let in.
type gate struct {
	token   string
	anyone  bool
	actions bool
	tries   *tries
	log     *slog.Logger
	wrong   sampled.Event // log-ins
	now     func() time.Time
}

func newGate(cfg Config) *gate {
	g := &gate{
		token: cfg.Token, anyone: cfg.InsecureAllowAnyone, actions: cfg.Actions, log: cfg.Logger,
		now: time.Now,
	}
	g.tries = newTries(func() time.Time { return g.now() })
	return g
}

// The answers of those who are not let in. They tell nothing of what was wrong.
const (
	signIn      = "sign in first: open the page, or send the token as Authorization: Bearer"
	wrongToken  = "wrong token"
	tooMany     = "too many wrong tokens from your address; wait a few seconds"
	otherOrigin = "this is not for pages of other origins"
	notHome     = "without a token, this is for this computer only, by the name of localhost or a loopback address"
)

func refuse(w http.ResponseWriter, text string) {
	code := http.StatusForbidden
	switch text {
	case signIn:
		w.Header().Set("WWW-Authenticate", `Bearer realm="sluice admin"`)
		code = http.StatusUnauthorized
	case wrongToken:
		code = http.StatusUnauthorized
	case tooMany:
		w.Header().Set("Retry-After", "2")
		code = http.StatusTooManyRequests
	}
	plain(w, code, text)
}

// home is middleware: without a token it answers this computer only. The host's name
// is looked at as any page may have a name of its own that leads here, and would be
// of the same origin as what it gets.
func (g *gate) home(next http.Handler) http.Handler {
	if g.token != "" || g.anyone {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if peer, err := netip.ParseAddrPort(r.RemoteAddr); err != nil || !peer.Addr().Unmap().IsLoopback() || !homeName(r.Host) {
			refuse(w, notHome)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// homeName reports whether a request's Host is a name of this computer that nobody
// else can take.
func homeName(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	} else {
		host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// private is middleware: it lets in who shows the token, and no page of another
// origin, be it that its user could.
func (g *gate) private(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Header.Get("Sec-Fetch-Site") {
		case "", "same-origin", "none":
		default:
			// What these paths answer no other page can read, but a profile costs
			// something whoever asks for it.
			refuse(w, otherOrigin)
			return
		}
		until, why := g.known(r)
		if why != "" {
			refuse(w, why)
			return
		}
		next.ServeHTTP(w, r.WithContext(withVisit(r.Context(), visit{until: until})))
	})
}

// known finds out whether a request may pass, until when, and if not why.
func (g *gate) known(r *http.Request) (until time.Time, why string) {
	if g.token == "" {
		return time.Time{}, "" // home has looked, or nobody need
	}
	if auth := r.Header.Get("Authorization"); auth != "" {
		scheme, token, _ := strings.Cut(auth, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return time.Time{}, signIn
		}
		switch ok, limited := g.tries.try(hostOf(r), func() bool { return g.right(strings.TrimSpace(token)) }); {
		case limited:
			return time.Time{}, tooMany
		case !ok:
			return time.Time{}, signIn
		}
		return time.Time{}, ""
	}
	if until, ok := g.session(r); ok {
		return until, ""
	}
	return time.Time{}, signIn
}

// hostOf returns the address that a request is from.
func hostOf(r *http.Request) netip.Addr {
	peer, _ := netip.ParseAddrPort(r.RemoteAddr) // without one, all such share a place
	return peer.Addr().Unmap().WithZone("")
}

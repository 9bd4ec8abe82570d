package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"

	"github.com/sluicegate/sluice/hooks"
)

// audit writes a line for who came, who left and who was refused. It has neither
// what clients say nor their tokens.
//
// Lines are written where things happen, on event loops too, as is right for a
// local file. A log that may block needs a bounded queue before it, and a
// hooks.Runner that empties it.
type audit struct{ log *slog.Logger }

// middleware notes who came: the Router is told once a client is listed.
func (a audit) middleware(next hooks.Router) hooks.Router {
	return hooks.RouterFuncs{
		OnOpen: func(ctx context.Context, bus hooks.Bus, e hooks.OpenEvent) {
			// A client may be gone already. Then it had no name that counts.
			info, err := bus.ConnInfo(ctx, []string{e.UniqID}, hooks.ConnInfoFields{CustomerID: true})
			if err != nil {
				a.log.Warn("nobody knows who came", "uniqId", e.UniqID, "error", err)
			}
			a.log.Info("came", "uniqId", e.UniqID, "name", info[e.UniqID].CustomerID, "addr", e.RemoteAddr)
			next.Open(ctx, bus, e)
		},
		OnMessage: next.Message,
		OnClose:   next.Close,
	}
}

// Closed implements hooks.CloseObserver: it notes who left, and why. A reason of
// the client's own is what a client says.
func (a audit) Closed(e hooks.CloseEvent) {
	about := []any{"uniqId", e.UniqID, "name", e.CustomerID, "code", e.Code}
	if !e.Remote {
		about = append(about, "reason", e.Reason)
	}
	a.log.Info("left", about...)
}

// authenticator notes whom next refuses.
func (a audit) authenticator(next hooks.Authenticator) hooks.Authenticator {
	return auditedAuthenticator{a, next}
}

type auditedAuthenticator struct {
	audit audit
	next  hooks.Authenticator
}

// Authenticate implements hooks.Authenticator.
func (a auditedAuthenticator) Authenticate(ctx context.Context, r *http.Request) (hooks.Identity, error) {
	id, err := a.next.Authenticate(ctx, r)
	if err != nil {
		a.audit.refused(hooks.ClientAddr(ctx).String(), err)
	}
	return id, err
}

// limiter notes whom next refuses. What it embeds is a LimitSetter, and so is it.
func (a audit) limiter(next *byteLimiter) hooks.Limiter { return auditedLimiter{next, a} }

type auditedLimiter struct {
	*byteLimiter
	audit audit
}

// Open implements hooks.Limiter.
func (l auditedLimiter) Open(ip netip.Addr) error {
	err := l.byteLimiter.Open(ip)
	if err != nil {
		l.audit.refused(ip.String(), err)
	}
	return err
}

func (a audit) refused(addr string, err error) {
	reason := err.Error()
	if r := (*hooks.Refusal)(nil); errors.As(err, &r) {
		reason = r.Reason
	}
	a.log.Warn("refused", "addr", addr, "reason", reason)
}

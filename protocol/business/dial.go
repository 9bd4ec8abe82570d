package business

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/sluicegate/sluice/internal/secret"
)

// ErrRefused says that a gateway does not let this process in: it asks for
// another Config.Secret, or for one where there is none. Errors that wrap it say
// more.
var ErrRefused = errors.New("the gateway refused the secret")

// dial connects to a listener of a gateway, by TLS and with the proof of the
// secret if they are configured.
func (c *Client) dial(ctx context.Context, listener, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.DialTimeout)
	defer cancel()
	conn, err := c.cfg.Dial(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if c.cfg.TLS == nil && c.cfg.Secret == "" {
		return conn, nil
	}
	end, _ := ctx.Deadline()
	raw := conn
	unblock := context.AfterFunc(ctx, func() { _ = raw.Close() })
	defer unblock()
	err = conn.SetDeadline(end)
	if err == nil && c.cfg.TLS != nil {
		secure := tls.Client(conn, serverName(c.cfg.TLS, addr))
		if err = secure.HandshakeContext(ctx); err != nil {
			err = fmt.Errorf("business: TLS with gateway %s: %w", addr, err)
		}
		conn = secure
	}
	if err == nil && c.cfg.Secret != "" {
		err = refusal(listener, addr, secret.Prove(conn, c.cfg.Secret, listener))
	}
	if err == nil {
		err = conn.SetDeadline(time.Time{})
	}
	if err != nil {
		_ = raw.Close()
		return nil, err
	}
	return conn, nil
}

// serverName returns cfg with the name to expect, which is addr's without
// another, as it is for tls.Dial.
func serverName(cfg *tls.Config, addr string) *tls.Config {
	if cfg.ServerName != "" {
		return cfg
	}
	cfg = cfg.Clone()
	cfg.ServerName, _, _ = net.SplitHostPort(addr) // without a port, dialing has failed
	return cfg
}

// refusal says of an error of a proof what it means.
func refusal(listener, addr string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, secret.ErrDiffers):
		return fmt.Errorf("business: %w: gateway %s has another one than Config.Secret, or this is not its %s listener", ErrRefused, addr, listener)
	case errors.Is(err, secret.ErrRefused):
		return wanted(addr)
	default:
		return fmt.Errorf("business: proving the secret to gateway %s: %w", addr, err)
	}
}

// wanted is the error of a gateway that asks for a proof.
func wanted(addr string) error {
	return fmt.Errorf("business: %w, or the lack of one: set Config.Secret to that of gateway %s", ErrRefused, addr)
}

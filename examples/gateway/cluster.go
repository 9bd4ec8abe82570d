package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/sluicegate/sluice/examples/gateway/config"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/hooks/cluster"
	"github.com/sluicegate/sluice/internal/secret"
)

// membership makes the gateway one of a cluster, or returns nil if it is on its own.
func membership(c config.Cluster) (hooks.Cluster, error) {
	if len(c.Servers) == 0 {
		return nil, nil //nolint:nilnil // no cluster is what was asked for
	}
	opts, err := natsOptions(c)
	if err != nil {
		return nil, err
	}
	m, err := cluster.New(cluster.Config{
		Name: c.Name, Servers: strings.Join(c.Servers, ","), Options: opts, Retry: c.Retry, Heartbeat: c.Heartbeat,
	})
	if err != nil {
		return nil, err
	}
	return member{m}, nil
}

// A member is a cluster whose errors say which keys they are about.
type member struct{ hooks.Cluster }

// Run implements [hooks.Cluster].
func (m member) Run(ctx context.Context, ready func()) error {
	err := m.Cluster.Run(ctx, ready)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, cluster.ErrNodeTaken):
		err = fmt.Errorf("%w: it is Task.Advertise, or Task.ListenAddress without one", err)
	default:
		err = fmt.Errorf("Cluster.Servers: %w", err)
	}
	return &clusterError{err}
}

// A clusterError tells what is wrong with the cluster from what is wrong with the
// gateway.
type clusterError struct{ error }

// Unwrap returns what is wrong.
func (e *clusterError) Unwrap() error { return e.error }

// natsOptions says by whom NATS is connected to. Each file is read now, so that
// errors name its key, and again whenever there is another connection.
func natsOptions(c config.Cluster) (opts []nats.Option, err error) {
	add := func(key string, o nats.Option) {
		var scratch nats.Options
		e := o(&scratch)
		if e == nil && scratch.UserJWT != nil { // which is not read otherwise before it is needed
			_, e = scratch.UserJWT()
			if e == nil {
				_, e = scratch.SignatureCB(nil)
			}
		}
		if e != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", key, e))
		}
		opts = append(opts, o)
	}
	known := func(key, file string) func() string {
		is, e := secret.ReadFile(file)
		if e != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", key, e))
		}
		return func() string {
			if now, e := secret.ReadFile(file); e == nil {
				is = now // and otherwise what it was may do
			}
			return is
		}
	}
	if c.CredentialsFile != "" {
		add("Cluster.CredentialsFile", nats.UserCredentials(c.CredentialsFile))
	}
	if c.User != "" {
		password := known("Cluster.PasswordFile", c.PasswordFile)
		opts = append(opts, nats.UserInfoHandler(func() (string, string) { return c.User, password() }))
	}
	if c.TokenFile != "" {
		opts = append(opts, nats.TokenHandler(known("Cluster.TokenFile", c.TokenFile)))
	}
	if c.TLSCA != "" {
		add("Cluster.TLSCA", nats.RootCAs(c.TLSCA))
	}
	if c.TLSCert != "" {
		add("Cluster.TLSCert and TLSKey", nats.ClientCert(c.TLSCert, c.TLSKey))
	}
	return opts, err
}

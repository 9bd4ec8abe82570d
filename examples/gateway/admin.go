package main

import (
	"fmt"
	"log/slog"

	"github.com/sluicegate/sluice/admin"
	"github.com/sluicegate/sluice/examples/gateway/config"
	"github.com/sluicegate/sluice/hooks/metrics"
)

// listenAdmin opens the address for operators.
func (p *parts) listenAdmin(a config.Admin, m *metrics.Metrics, log *slog.Logger) (*admin.Admin, error) {
	ac := admin.Config{Addr: a.ListenAddress, Actions: a.Actions, Metrics: m, Remote: p.rt, Logger: log}
	t := adminTrust(a)
	var err error
	if ac.Token, err = t.known(); err != nil {
		return nil, err
	}
	id, err := t.identity()
	if err != nil {
		return nil, err
	}
	if id != nil {
		p.operator.now.Store(id)
		ac.TLS = id.config.Clone()
		ac.TLS.GetConfigForClient = p.operator.config
	}
	adm, err := admin.Listen(ac)
	if err != nil {
		return nil, fmt.Errorf("Admin.ListenAddress: %w", explain(err))
	}
	return adm, nil
}

package gateway

import (
	"context"

	"github.com/sluicegate/sluice/hooks"
)

// Metrics implements [hooks.Bus].
func (g local) Metrics(context.Context) (map[hooks.MetricItem]hooks.Metric, error) {
	all := g.rates.metrics(g.cfg.Clock.Now(), g.metricCounts())
	if g.cfg.Metrics == nil {
		return all, nil
	}
	kept := make(map[hooks.MetricItem]hooks.Metric, len(g.cfg.Metrics))
	for _, item := range g.cfg.Metrics {
		kept[item] = all[item]
	}
	return kept, nil
}

// Limit implements [hooks.Bus].
func (g local) Limit(_ context.Context, l hooks.Limits) (hooks.Limits, error) {
	if s, ok := g.cfg.Limiter.(hooks.LimitSetter); ok {
		return g.setLimits(s, l)
	}
	return hooks.Limits{}, nil
}

// metricCounts returns the protocol's counters, each at its item's number.
func (g *Gateway) metricCounts() (n [hooks.MetricItems + 1]int64) {
	s := g.Stats()
	n[hooks.MetricOpened] = s.Opened
	n[hooks.MetricClosed] = s.Closed
	n[hooks.MetricHeartbeats] = s.Heartbeats
	n[hooks.MetricEvents] = s.Events
	n[hooks.MetricEventBytes] = s.EventBytes
	n[hooks.MetricWrites] = s.MessagesOut
	n[hooks.MetricWriteBytes] = s.BytesOut
	n[hooks.MetricOpensLimited] = s.OpensLimited
	n[hooks.MetricMessagesLimited] = s.Drops[hooks.DropLimited].Messages
	n[hooks.MetricFailedSends] = s.FailedSends
	for _, r := range []hooks.DropReason{hooks.DropClosed, hooks.DropSlow, hooks.DropFailed, hooks.DropSuperseded, hooks.DropBudget} {
		n[hooks.MetricFailedWrites] += s.Drops[r].Messages
		n[hooks.MetricFailedWriteBytes] += s.Drops[r].Bytes
	}
	n[hooks.MetricClientLimited] = s.Drops[hooks.DropClientLimited].Messages
	return n
}

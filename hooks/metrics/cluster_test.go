package metrics_test

import (
	"context"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/gateway/gatewaytest"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/hooks/metrics"
)

// pair is a Cluster that says it is two nodes.
type pair struct{ stats hooks.ClusterStats }

func (p *pair) Join(m hooks.Member) (hooks.Bus, error) { return m.Local, nil }
func (p *pair) Run(ctx context.Context, ready func()) error {
	ready()
	<-ctx.Done()
	return nil
}
func (*pair) Want(context.Context, []string) {}
func (*pair) Unwant([]string)                {}
func (p *pair) Stats() hooks.ClusterStats    { return p.stats }

// A gateway of a cluster tells of it, one on its own has nothing to tell.
func TestCluster(t *testing.T) {
	m := metrics.New(metrics.Config{})
	gatewaytest.New(t, gateway.Config{Hooks: []any{m}, Cluster: &pair{hooks.ClusterStats{
		Connected: true, Nodes: 2, Topics: 3, Sent: 4, Unsent: 5, Missed: 6, Silent: 7, Lost: 8, Outgoing: 9, OutgoingLimit: 10,
	}}})
	known(t, m)
	expect(t, m, `
		# HELP sluice_cluster_connected Whether the other nodes can be reached: 1 if so.
		# TYPE sluice_cluster_connected gauge
		sluice_cluster_connected 1
		# HELP sluice_cluster_messages_missed_total Messages of other nodes that were lost on their way here.
		# TYPE sluice_cluster_messages_missed_total counter
		sluice_cluster_messages_missed_total 6
		# HELP sluice_cluster_messages_unsent_total Messages that were not handed to the engine.
		# TYPE sluice_cluster_messages_unsent_total counter
		sluice_cluster_messages_unsent_total 5
		# HELP sluice_cluster_nodes Nodes that there are, this one included.
		# TYPE sluice_cluster_nodes gauge
		sluice_cluster_nodes 2
		# HELP sluice_cluster_outgoing_limit_bytes Bytes that may wait for the engine.
		# TYPE sluice_cluster_outgoing_limit_bytes gauge
		sluice_cluster_outgoing_limit_bytes 10
	`, "cluster_connected", "cluster_messages_missed_total", "cluster_messages_unsent_total", "cluster_nodes", "cluster_outgoing_limit_bytes")
	problems, err := testutil.CollectAndLint(m)
	must(t, err)
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}

	alone := metrics.New(metrics.Config{})
	gatewaytest.New(t, gateway.Config{Hooks: []any{alone}})
	known(t, alone)
	if n := testutil.CollectAndCount(alone, "sluice_cluster_nodes", "sluice_cluster_connected"); n != 0 {
		t.Errorf("a gateway on its own shows %d metrics of a cluster", n)
	}
}

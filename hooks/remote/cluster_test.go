package remote_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/hooks/cluster"
	"github.com/sluicegate/sluice/hooks/remote"
	"github.com/sluicegate/sluice/internal/await"
	"github.com/sluicegate/sluice/internal/natstest"
)

// joining gives gateways a membership each of the cluster of that name.
func joining(t *testing.T, nats, name string) func(*gateway.Config) {
	return func(g *gateway.Config) {
		t.Helper()
		c, err := cluster.New(cluster.Config{
			Name: name, Servers: nats, JoinWait: time.Millisecond, Heartbeat: 100 * time.Millisecond, MissedHeartbeats: 100,
		})
		must(t, err)
		g.Cluster = c
	}
}

// awaitNodes waits until gateways know each other.
func awaitNodes(t *testing.T, all ...*host) {
	t.Helper()
	for _, h := range all {
		await.Until(t, func() string {
			if n := h.Stats().Cluster.Nodes; n != len(all) {
				return fmt.Sprintf("there are %d nodes, want %d", n, len(all))
			}
			return ""
		})
	}
}

// A process that dials every gateway sees the nodes of a cluster as it saw gateways
// that know nothing of each other: nothing comes twice, and nothing counts twice.
func TestTwoGatewaysOfACluster(t *testing.T) {
	p := newPair(t, hooks.RouterFuncs{}, joining(t, natstest.Start(t).ClientURL(), "main"))
	awaitNodes(t, p.first, p.second)
	actOnPair(t, p)
}

// What a process commands of one node is carried out on the clients of all, whether it
// uses package business or knows nothing of ours: it is what the gateway would do in
// process.
func TestDifferentialOfTheWholeCluster(t *testing.T) {
	nats, names := natstest.Start(t).ClientURL(), 0
	scattered := func(t *testing.T, caller string) *company {
		t.Helper()
		names++
		join := joining(t, nats, fmt.Sprint("cluster-", names))
		var all []*host
		for range 2 {
			gc := gateway.Config{Limiter: limiter(t)}
			join(&gc)
			all = append(all, start(t, remote.Config{WholeCluster: true}, gc))
		}
		awaitNodes(t, all...)
		here, there := all[0], all[1]
		return (&company{host: here, others: all[1:], a: there.join(), b: here.join(), c: there.join()}).called(t, caller)
	}
	for _, row := range differential() {
		t.Run(row.cmd.String()+" "+row.name, func(t *testing.T) { compare(t, scattered, row.do) })
	}
}

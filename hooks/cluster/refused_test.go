package cluster_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/internal/await"
)

// A gateway that NATS does not let in any more serves its clients, and is a node again
// when it shows something that does.
func TestRefusedByNATS(t *testing.T) {
	e := startEngine(t, func(o *server.Options) { o.Authorization = "one" })
	var token atomic.Value
	token.Store("one")
	var attempts atomic.Int64
	cfg := quick(e)
	cfg.Options = []nats.Option{
		nats.TokenHandler(func() string { return token.Load().(string) }),
		nats.CustomReconnectDelay(func(int) time.Duration {
			attempts.Add(1)
			return 10 * time.Millisecond
		}),
	}
	n := join(t, cfg)
	e.stop()
	e.opts.Authorization = "two"
	e.start()
	before := attempts.Load()
	await.Until(t, func() string {
		if tried := attempts.Load() - before; tried < 10 {
			return fmt.Sprintf("it has tried %d times", tried)
		}
		return ""
	})
	if s := n.Status(); s != gateway.StatusServing {
		t.Fatalf("the gateway is %v", s)
	}
	token.Store("two")
	await.Until(t, func() string {
		if !n.Stats().Cluster.Connected {
			return "the cluster is not reached"
		}
		return ""
	})
}

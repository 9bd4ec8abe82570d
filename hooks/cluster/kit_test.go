package cluster_test

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/gateway/gatewaytest"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/hooks/cluster"
	"github.com/sluicegate/sluice/internal/await"
	"github.com/sluicegate/sluice/internal/bustest"
	"github.com/sluicegate/sluice/internal/clock"
	"github.com/sluicegate/sluice/internal/leaks"
	"github.com/sluicegate/sluice/protocol"
)

func TestMain(m *testing.M) {
	if os.Getenv(asEngine) != "" {
		runEngine()
		os.Exit(0)
	}
	if servers := os.Getenv(asNode); servers != "" {
		if err := runNode(servers); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	leaks.Main(m)
}

// wait bounds what a test awaits: it is reached only if a promise is broken.
const wait = 20 * time.Second

// engine is a nats-server in this process.
type engine struct {
	t    testing.TB
	opts server.Options
	*server.Server
}

func startEngine(t testing.TB, change ...func(*server.Options)) *engine {
	t.Helper()
	e := &engine{t: t, opts: server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true}}
	for _, f := range change {
		f(&e.opts)
	}
	e.start()
	t.Cleanup(e.stop)
	return e
}

// start starts the server, again at the port that it had.
func (e *engine) start() {
	e.t.Helper()
	opts := e.opts
	s, err := server.NewServer(&opts)
	must(e.t, err)
	s.Start()
	if !s.ReadyForConnections(wait) {
		e.t.Fatal("nats-server did not start")
	}
	e.Server = s
	e.opts.Port = s.Addr().(*net.TCPAddr).Port
}

func (e *engine) stop() {
	e.Shutdown()
	e.WaitForShutdown()
}

func (e *engine) url() string { return fmt.Sprintf("nats://127.0.0.1:%d", e.opts.Port) }

// node is a gateway of a cluster.
type node struct {
	*gatewaytest.Gateway
	*told
	cluster *cluster.Cluster
	name    string
	id      protocol.Node
}

// told is what a node's callbacks were told.
type told struct {
	mu      sync.Mutex
	members []cluster.MemberEvent
	gaps    []cluster.Gap
}

func (n *told) changes() []cluster.MemberEvent {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]cluster.MemberEvent(nil), n.members...)
}

func (n *told) missed() []cluster.Gap {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]cluster.Gap(nil), n.gaps...)
}

// quick is a Config for tests: what takes seconds elsewhere takes less.
func quick(e *engine) cluster.Config {
	return cluster.Config{
		Servers: e.url(), JoinWait: 20 * time.Millisecond, Heartbeat: 100 * time.Millisecond, MissedHeartbeats: 20,
	}
}

// join starts a gateway in a cluster.
func join(t testing.TB, cfg cluster.Config, change ...func(*gateway.Config)) *node {
	t.Helper()
	n := &node{told: new(told), name: cfg.Name}
	cfg.OnMember = func(e cluster.MemberEvent) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.members = append(n.members, e)
	}
	cfg.OnGap = func(g cluster.Gap) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.gaps = append(n.gaps, g)
	}
	var err error
	n.cluster, err = cluster.New(cfg)
	must(t, err)
	g := gateway.Config{Router: bustest.Greeter(), Cluster: n.cluster, Clock: clock.System{}}
	for _, f := range change {
		f(&g)
	}
	n.Gateway = gatewaytest.New(t, g)
	n.id = n.cluster.Nodes()[0]
	return n
}

// joinAll starts several gateways, and returns when each knows the others.
func joinAll(t testing.TB, n int, cfg cluster.Config, change ...func(*gateway.Config)) (all []*node) {
	t.Helper()
	for range n {
		all = append(all, join(t, cfg, change...))
	}
	for _, one := range all {
		one.awaitNodes(t, n)
	}
	return all
}

func (n *node) awaitNodes(t testing.TB, want int) {
	t.Helper()
	await.Until(t, func() string {
		if got := len(n.cluster.Nodes()); got != want {
			return fmt.Sprintf("%d nodes, want %d", got, want)
		}
		return ""
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// startEngines starts several servers that are one NATS.
func startEngines(t testing.TB, n int) (all []*engine) {
	t.Helper()
	var routes []string
	for i := range n {
		e := startRouted(t, fmt.Sprint("server-", i), routes...)
		routes = append(routes, e.ClusterAddr().String())
		all = append(all, e)
	}
	for _, e := range all {
		e.awaitRemotes(n - 1)
	}
	return all
}

// startRouted starts a server that is one NATS with those at the addresses.
func startRouted(t testing.TB, name string, others ...string) *engine {
	t.Helper()
	return startEngine(t, func(o *server.Options) {
		o.ServerName = name
		o.Cluster = server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: server.RANDOM_PORT}
		for _, host := range others {
			o.Routes = append(o.Routes, &url.URL{Scheme: "nats-route", Host: host})
		}
	})
}

func (e *engine) awaitRemotes(n int) {
	e.t.Helper()
	await.Until(e.t, func() string {
		if got := e.NumRemotes(); got != n {
			return fmt.Sprintf("a server knows %d others, want %d", got, n)
		}
		return ""
	})
}

// The contract of a Bus, with the caller on one node and the clients on others.
func TestBus(t *testing.T) {
	e := startEngine(t)
	for name, where := range map[string][]int{
		"clients on both others":  {1, 2},
		"clients on one other":    {2},
		"clients on all three":    {1, 0, 2},
		"clients with the caller": {0},
	} {
		t.Run(name, func(t *testing.T) { testBus(t, []*engine{e, e, e}, where) })
	}
	t.Run("a server for each node", func(t *testing.T) { testBus(t, startEngines(t, 3), []int{1, 2}) })
}

func testBus(t *testing.T, engines []*engine, where []int) {
	bustest.Test(t, func(t *testing.T) bustest.World {
		var all []*node
		for _, e := range engines {
			cfg := quick(e)
			cfg.Name = strconv.FormatUint(rand.Uint64(), 36)
			if len(all) > 0 {
				cfg.Name = all[0].name
			}
			all = append(all, join(t, cfg))
		}
		for _, n := range all {
			n.awaitNodes(t, len(all))
		}
		next := 0
		return bustest.World{
			Bus: all[0].Gateway.Gateway,
			Dial: func() (net.Conn, error) {
				n := all[where[next%len(where)]]
				next++
				return n.Dial(), nil
			},
			Unknown: func() (n int64) {
				for _, one := range all {
					n += one.Stats().Drops[hooks.DropUnknown].Messages
				}
				return n
			},
		}
	})
}

package load_test

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/sluicegate/sluice/internal/load"
	"github.com/sluicegate/sluice/internal/load/server"
)

const short = 200 * time.Millisecond

func run(t *testing.T, cfg load.Config) *load.Result {
	t.Helper()
	if cfg.For == 0 {
		cfg.For = short
	}
	cfg.Settle = time.Millisecond
	r, err := load.Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// expectAll wants everything delivered once and in order.
func expectAll(t *testing.T, r *load.Result) {
	t.Helper()
	if r.Operations == 0 || r.Took <= 0 {
		t.Fatalf("nothing happened in %v: %+v", r.Took, r.Counts)
	}
	if sent, delivered := r.Count("sent"), r.Count("delivered"); sent == 0 || sent != delivered {
		t.Errorf("%d of %d were delivered", delivered, sent)
	}
	for _, name := range []string{"lost", "doubled", "out of order", "closed 1006", "closed 1011", "closed 1013", "other messages"} {
		if n := r.Count(name); n != 0 {
			t.Errorf("%d %s", n, name)
		}
	}
	var latencies, steps int64
	for _, l := range r.Latencies {
		if l.Name != "handshake" || r.Scenario == "mixed" {
			latencies += l.Count
		}
		if l.P50 > l.P99 || l.P99 > l.Max {
			t.Errorf("the latency %+v falls", l)
		}
	}
	if r.Scenario == "mixed" {
		latencies -= int64(r.Clients) // the handshakes before are no operations
	}
	for _, s := range r.Series {
		steps += s.Operations
	}
	if latencies != r.Operations || steps != r.Operations {
		t.Errorf("%d operations have %d latencies, and %d in the series", r.Operations, latencies, steps)
	}
}

func TestScenariosDeliverWhatTheySend(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]load.Config{
		"echo":             {Scenario: "echo", Clients: 10, Depth: 3},
		"echo at a rate":   {Scenario: "echo", Clients: 10, Rate: 2000},
		"large echo":       {Scenario: "echo", Clients: 3, Bytes: 100_000},
		"broadcast":        {Scenario: "broadcast", Clients: 20, Inflight: 4},
		"at a rate":        {Scenario: "broadcast", Clients: 20, Rate: 500},
		"to topics":        {Scenario: "broadcast", Clients: 20, Topics: 30},
		"groups":           {Scenario: "groups", Groups: 3, GroupSize: 5},
		"groups at a rate": {Scenario: "groups", Groups: 3, GroupSize: 5, Rate: 500},
		"topics":           {Scenario: "topics", Clients: 10, Topics: 7, Depth: 2},
		"login":            {Scenario: "login", Clients: 10},
		"unicast":          {Scenario: "unicast", Clients: 20, Inflight: 50},
		"large unicast":    {Scenario: "unicast", Clients: 5, Inflight: 50, Bytes: 20_000},
		"mixed":            {Scenario: "mixed", Clients: 20, GroupSize: 6},
		"mixed at a rate":  {Scenario: "mixed", Clients: 20, GroupSize: 6, Rate: 500},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg.Inside = true
			r := run(t, cfg)
			expectAll(t, r)
			if cfg.Rate > 0 && cfg.Scenario == "echo" && r.Operations > int64(cfg.Rate*short.Seconds())+1 {
				t.Errorf("%d operations at %v/s in %v", r.Operations, cfg.Rate, short)
			}
			if r.Server != nil {
				t.Error("the tool's own process is taken for the server's")
			}
		})
	}
}

func TestMixedRunDoesAllParts(t *testing.T) {
	t.Parallel()
	r := run(t, load.Config{Scenario: "mixed", Clients: 10, GroupSize: 5, Mix: "groups=5,topics=1,login=1,reconnect=5", Inside: true})
	expectAll(t, r)
	if r.Count("reconnected") == 0 || r.Count("failed to reconnect") != 0 || r.Count("heard from groups") == 0 {
		t.Errorf("counts are %+v", r.Counts)
	}
}

func TestHold(t *testing.T) {
	t.Parallel()
	r := run(t, load.Config{Scenario: "hold", Clients: 30, Inside: true})
	if l := r.Latency("handshake"); r.Clients != 30 || r.Operations != 0 || l == nil || l.Count != 30 || r.Took < short {
		t.Errorf("the result is %+v", r)
	}
}

func TestStorm(t *testing.T) {
	t.Parallel()
	r := run(t, load.Config{Scenario: "storm", Parallel: 4, Inside: true})
	if r.Operations == 0 || r.Count("failed") != 0 || r.Count("opened") != r.Operations {
		t.Errorf("%d operations, counts are %+v", r.Operations, r.Counts)
	}
}

func TestSlowClientsAreAccountedFor(t *testing.T) {
	t.Parallel()
	r := run(t, load.Config{
		Scenario: "slow", Clients: 10, Stalled: 0.3, Rate: 200, Bytes: 1000, For: 400 * time.Millisecond, Inside: true,
		Server: server.Config{WriteLimit: 64 << 10},
	})
	if sent := r.Count("sent"); sent != 7*r.Count("messages") || sent != r.Count("delivered") || r.Count("lost") != 0 {
		t.Errorf("those that read: counts are %+v", r.Counts)
	}
	if sent := r.Count("stalled sent"); r.Count("stalled") != 3 || sent != 3*r.Count("messages") || sent != r.Count("stalled delivered")+r.Count("stalled lost") {
		t.Errorf("those that do not: counts are %+v", r.Counts)
	}
	calm, then := r.Latency("calm delivery"), r.Latency("delivery")
	if calm.Count == 0 || then.Count == 0 || calm.Count+then.Count != r.Operations {
		t.Errorf("%d deliveries before, %d after, of %d", calm.Count, then.Count, r.Operations)
	}
}

func TestSlowClientsAreSeenToBeClosed(t *testing.T) {
	t.Parallel()
	r := run(t, load.Config{
		Scenario: "slow", Clients: 4, Stalled: 0.25, Rate: 400, Bytes: 100_000, For: 800 * time.Millisecond, Inside: true,
		Server: server.Config{WriteLimit: 256 << 10},
	})
	if r.Count("stalled closed 1013")+r.Count("stalled closed 1006") != 1 || r.Count("stalled lost") == 0 {
		t.Errorf("counts are %+v", r.Counts)
	}
	if r.Count("lost") != 0 {
		t.Errorf("others have lost %d", r.Count("lost"))
	}
}

// serveGateway serves a gateway that is not the run's own.
func serveGateway(t *testing.T, cfg server.Config) server.Addrs {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	up, ended := make(chan server.Addrs, 1), make(chan error, 1)
	go func() { ended <- server.Run(ctx, cfg, func(a server.Addrs) { up <- a }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case a := <-up:
		return a
	case err := <-ended:
		ended <- nil
		t.Fatal(err)
		return server.Addrs{}
	}
}

func TestRunIsTheBusinessProcessOfAGateway(t *testing.T) {
	t.Parallel()
	at := serveGateway(t, server.Config{Handler: "remote"})
	for _, scenario := range []string{"echo", "unicast", "mixed"} {
		expectAll(t, run(t, load.Config{Scenario: scenario, Clients: 10, URL: "ws://" + at.Clients + "/", Task: at.Task, Worker: at.Worker}))
	}
}

func TestTaskListenerAloneIsEnoughToBroadcast(t *testing.T) {
	t.Parallel()
	at := serveGateway(t, server.Config{Topics: 2, Via: "handed"})
	for _, topics := range []int{0, 2} {
		r, err := load.Run(t.Context(), load.Config{
			Scenario: "broadcast", Clients: 10, Topics: topics, URL: "ws://" + at.Clients, Task: at.Task, For: short,
			Settle: 300 * time.Millisecond, // nothing tells when the server has subscribed them
		})
		if err != nil {
			t.Fatal(err)
		}
		expectAll(t, r)
		if (topics > 0) != (len(r.Notes) > 0) {
			t.Errorf("with %d topics the notes are %q", topics, r.Notes)
		}
	}
}

func TestServerInAProcessOfItsOwn(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "profiles")
	begun := time.Now()
	r := run(t, load.Config{
		Scenario: "echo", Clients: 10, Server: server.Config{Handler: "remote", Via: "nethttp"}, Profile: dir,
	})
	expectAll(t, r)
	if p, err := os.ReadFile(filepath.Join(dir, "cpu.pprof")); err != nil || len(p) == 0 {
		t.Errorf("its profile has %d bytes, error %v", len(p), err)
	}
	if runtime.GOOS != "linux" {
		return
	}
	if s := r.Server; s == nil || s.RSSBefore == 0 || s.RSSIdle == 0 || s.RSSPeak == 0 || s.RSSAfter == 0 {
		t.Errorf("the server's process used %+v", s)
	}
	most := time.Since(begun) * time.Duration(runtime.NumCPU()) // that there was to use
	if each, ok := r.CPUPerOperation(); !ok || each <= 0 || each*time.Duration(r.Operations) > most {
		t.Errorf("an echo costs the server %v, %d of them %v at most", each, r.Operations, most)
	}
}

func TestRunEndsEarlyAndStillReports(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := load.Run(ctx, load.Config{
		Scenario: "echo", Clients: 5, For: time.Hour, Inside: true,
		Progress: func(load.Second) { cancel() }, // after a second
	})
	if err != nil {
		t.Fatal(err)
	}
	expectAll(t, r)
}

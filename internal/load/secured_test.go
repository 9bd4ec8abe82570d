package load_test

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks/remote"
	"github.com/sluicegate/sluice/internal/load"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/nethttp"
)

const known = "known to both of the ends"

// startSecured runs a gateway whose clients speak TLS, and whose listeners want a
// secret. It returns what a run needs to know of it.
func startSecured(t *testing.T) load.Config {
	t.Helper()
	listener := remote.Listener{Addr: "127.0.0.1:0", Secret: known}
	rt, err := remote.Listen(remote.Config{Worker: listener, Task: listener})
	if err != nil {
		t.Fatal(err)
	}
	mount := nethttp.New()
	gw, err := gateway.New(gateway.Config{
		Transports: []transport.Transport{mount}, Router: rt, Inline: true, Hooks: []any{rt}, DrainTime: -1,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- gw.Run(ctx) }()
	server := httptest.NewTLSServer(mount)
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		server.Close()
	})
	<-gw.Ready()
	return load.Config{
		URL: strings.Replace(server.URL, "https", "wss", 1), Insecure: true,
		Task: rt.TaskAddr().String(), Worker: rt.WorkerAddr().String(), Secret: known,
	}
}

func TestSecuredGateway(t *testing.T) {
	t.Parallel()
	cfg := startSecured(t)
	for _, scenario := range []string{"groups", "broadcast", "unicast"} {
		cfg := cfg
		cfg.Scenario = scenario
		if scenario == "groups" {
			cfg.Groups, cfg.GroupSize = 3, 5
		} else {
			cfg.Clients = 10
		}
		expectAll(t, run(t, cfg))
	}

	other, want := cfg, "x509"
	other.Scenario, other.Insecure = "storm", false
	if _, err := load.Run(t.Context(), other); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("an unknown certificate: the error is %v, want one with %q", err, want)
	}
	other, want = cfg, "the other end does not know the secret"
	other.Scenario, other.Worker, other.Secret = "broadcast", "", "another than the gateway's"
	if _, err := load.Run(t.Context(), other); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("another secret: the error is %v, want one with %q", err, want)
	}
}

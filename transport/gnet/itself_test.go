package gnet

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/wsclient"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/pipe"
)

// An engine that stops by itself ends the gateway, which says so; its other
// clients are told, the host hears of every client's end, and nothing hangs.
func TestEngineStopsItself(t *testing.T) {
	stopped, cancel := context.WithCancel(context.Background())
	cancel()
	for _, c := range []struct {
		name string
		tr   *Transport
		stop func(*Transport) error
	}{
		{"with a listener", Listen("127.0.0.1:0", Loops(2)), func(t *Transport) error {
			_ = t.eng.Stop(stopped) // it does not wait
			return nil
		}},
		{"without", WithoutListener(Loops(2)), func(t *Transport) error { return t.client.Stop() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			memory := pipe.New()
			closed := make(chan string, 3)
			gw, err := gateway.New(gateway.Config{
				Transports: []transport.Transport{memory, c.tr},
				Router: hooks.RouterFuncs{
					OnClose: func(_ context.Context, _ hooks.Bus, e hooks.CloseEvent) { closed <- e.UniqID },
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- gw.Run(t.Context()) }()
			<-gw.Ready()
			conn, err := memory.Dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			other, err := wsclient.Open(conn, wsclient.Request{})
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
			go func() { _, _ = io.Copy(io.Discard, other.Conn) }()
			if err := c.stop(c.tr); err != nil {
				t.Fatal(err)
			}
			select {
			case err := <-ended:
				if err == nil || !strings.Contains(err.Error(), "stopped by itself") {
					t.Errorf("Run: %v", err)
				}
			case <-time.After(20 * time.Second):
				t.Fatal("Run did not return")
			}
			if len(closed) != 1 || gw.Stats().Clients != 0 || gw.Status() != gateway.StatusStopped {
				t.Errorf("%d closed, %d clients left, status %v", len(closed), gw.Stats().Clients, gw.Status())
			}
		})
	}
}

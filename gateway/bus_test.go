package gateway_test

import (
	"context"
	"net"
	"testing"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/bustest"
)

// Every command, with what it does to whom, over every transport.
func TestBus(t *testing.T) {
	onEach(t, func(t *testing.T, h harness) {
		bustest.Test(t, func(t *testing.T) bustest.World {
			g := h.start(t, gateway.Config{Router: bustest.Greeter()})
			return bustest.World{
				Bus:          g.Gateway,
				Dial:         func() (net.Conn, error) { return g.dial(context.Background(), g.Gateway) },
				Unknown:      func() int64 { return g.Stats().Drops[hooks.DropUnknown].Messages },
				NamesCounted: true,
			}
		})
	})
}

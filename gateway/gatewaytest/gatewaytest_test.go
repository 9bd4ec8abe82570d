package gatewaytest_test

import (
	"context"
	"testing"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/gateway/gatewaytest"
	"github.com/sluicegate/sluice/hooks"
)

func TestEcho(t *testing.T) {
	gw := gatewaytest.New(t, gateway.Config{Router: hooks.RouterFuncs{
		OnMessage: func(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
			_ = bus.SingleCast(ctx, e.UniqID, e.Data)
		},
	}})
	alice := gw.Connect("/ws?name=alice")
	alice.Send("hello")
	alice.Expect("hello")
	if err := gw.SingleCast(t.Context(), alice.ID(), []byte("you")); err != nil {
		t.Fatal(err)
	}
	alice.Expect("you")
	alice.Close()
}

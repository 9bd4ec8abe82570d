package gatewaytest_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/gateway/gatewaytest"
	"github.com/sluicegate/sluice/hooks"
)

// forgetful starts a goroutine for each message and does not end it.
func forgetful(release chan struct{}) hooks.RouterFuncs {
	return hooks.RouterFuncs{OnMessage: func(context.Context, hooks.Bus, hooks.MessageEvent) {
		go forgotten(release)
	}}
}

func forgotten(release chan struct{}) { <-release }

// What a handler leaves behind is named, and tests that run at the same time are
// not held to account for it.
func TestLeak(t *testing.T) {
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	for i := range 8 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			leaky := i%2 == 0
			got := try(t, func(t testing.TB) {
				gw := gatewaytest.New(t, gateway.Config{Router: forgetful(release)})
				c := gw.Connect("/")
				if leaky {
					c.Send("x")
				}
				gw.Settle()
			})
			if named := strings.Contains(got, "gatewaytest_test.forgotten") && strings.Contains(got, "leak_test.go:"); named != leaky {
				t.Errorf("it said %q", got)
			}
		})
	}
}

func TestAllowLeak(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	t.Cleanup(func() { close(release) }) // after the gateway's
	gw := gatewaytest.New(t, gateway.Config{Router: forgetful(release)}, gatewaytest.AllowLeak("gatewaytest_test.forgotten"))
	gw.Connect("/").Send("x")
	gw.Settle()
}

// What ends soon after the gateway is no leak.
func TestLatecomer(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gateway.Config{Router: hooks.RouterFuncs{
		OnOpen: func(context.Context, hooks.Bus, hooks.OpenEvent) { go time.Sleep(20 * time.Millisecond) },
	}})
	gw.Connect("/")
}

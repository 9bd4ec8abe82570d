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
	"github.com/sluicegate/sluice/transport/pipe"
)

// However often work goes to and fro between loops and workers, Settle waits for
// the last of it.
func TestSettle(t *testing.T) {
	for _, inline := range []bool{false, true} {
		t.Run(fmt.Sprintf("inline=%v", inline), func(t *testing.T) {
			t.Parallel()
			const clients = 20
			r := hooks.RouterFuncs{OnMessage: func(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
				if !inline {
					time.Sleep(time.Millisecond) // as real work would take its time
				}
				_ = bus.Broadcast(ctx, e.Data)
			}}
			gw := gatewaytest.New(t, gateway.Config{Router: r, Inline: inline}, gatewaytest.WithPipe(pipe.Loops(4)))
			all := make([]*gatewaytest.Client, clients)
			for i := range all {
				all[i] = gw.Connect("/")
			}
			gw.Settle()
			for range 5 {
				for _, c := range all {
					c.Send("x")
				}
				before := gw.Stats().MessagesOut
				gw.Settle()
				if n := gw.Stats().MessagesOut - before; n > clients*clients || gw.Stats().MessagesOut%(clients*clients) != 0 {
					t.Fatalf("settled after %d of %d messages", n, clients*clients)
				}
			}
			for _, c := range all {
				for range 5 * clients {
					c.Expect("x")
				}
				c.ExpectNothing()
			}
		})
	}
}

// An Admitter is waited for, the handler that is called then, and what it sends.
func TestSettleAdmission(t *testing.T) {
	t.Parallel()
	r := hooks.RouterFuncs{OnOpen: func(ctx context.Context, bus hooks.Bus, e hooks.OpenEvent) {
		time.Sleep(5 * time.Millisecond)
		_ = bus.SingleCast(ctx, e.UniqID, []byte("hello"))
	}}
	gw := gatewaytest.New(t, gateway.Config{Router: r, Hooks: []any{slowPorter{}}})
	for i, settle := range []func(){gw.Settle, func() { gw.Advance(0) }} {
		c := gw.Connect("/")
		settle()
		if n := gw.Stats().MessagesOut; n != int64(2*i+2) {
			t.Errorf("%d messages after %d clients", n, i+1)
		}
		c.Expect("welcome", "hello")
	}
}

type slowPorter struct{}

func (slowPorter) Admit(context.Context, hooks.OpenEvent) (hooks.Admission, error) {
	time.Sleep(5 * time.Millisecond)
	return hooks.Admission{Data: []byte("welcome")}, nil
}

// A handler that hangs is named.
func TestSettleNamesHandler(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	r := hooks.RouterFuncs{OnMessage: func(context.Context, hooks.Bus, hooks.MessageEvent) { <-release }}
	got := try(t, func(t testing.TB) {
		gw := gatewaytest.New(t, gateway.Config{Router: r})
		gw.SetPatience(100 * time.Millisecond)
		t.Cleanup(func() { close(release) })
		gw.Connect("/").Send("x")
		gw.Settle()
	})
	if !strings.Contains(got, "does not settle") || !strings.Contains(got, "TestSettleNamesHandler") ||
		strings.Contains(got, "eventLoop") {
		t.Errorf("it said %q", got)
	}
}

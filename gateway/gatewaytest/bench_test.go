package gatewaytest_test

import (
	"context"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/gateway/gatewaytest"
	"github.com/sluicegate/sluice/hooks"
)

// hostTest is a test of a host, from its gateway's beginning to its end: a client
// connects, is answered, leaves, and another is sent away after a delay.
func hostTest(t testing.TB) {
	r := echo()
	r.OnOpen = func(ctx context.Context, bus hooks.Bus, e hooks.OpenEvent) {
		_ = bus.ForceOfflineGuest(ctx, []string{e.UniqID}, 10*time.Second, []byte("bye"))
	}
	gw := gatewaytest.New(t, gateway.Config{Router: r})
	alice, bob := gw.Connect("/ws?name=alice"), gw.Connect("/ws?name=bob")
	alice.Send("hello")
	alice.Expect("hello")
	alice.Close()
	gw.Advance(10 * time.Second)
	bob.Expect("bye")
	bob.ExpectClose(1008, "forceOfflineGuest")
}

// BenchmarkHostTest is what one such test costs, the check for leaks included.
func BenchmarkHostTest(b *testing.B) {
	for b.Loop() {
		if says := try(b, hostTest); says != "" {
			b.Fatal(says)
		}
	}
}

// BenchmarkAdvance is what an hour costs, in which nothing happens but what the
// gateway does by itself.
func BenchmarkAdvance(b *testing.B) {
	gw := gatewaytest.New(b, gateway.Config{HeartbeatInterval: -1})
	gw.Connect("/")
	for b.Loop() {
		gw.Advance(time.Hour)
	}
}

// A gateway in memory opens nothing: no port, no file.
func TestOpensNothing(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("descriptors are counted in /proc")
	}
	count := func() int {
		open, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(open)
	}
	before := count()
	gw := gatewaytest.New(t, gateway.Config{})
	gw.Connect("/")
	gw.Settle()
	if n := count(); n != before {
		t.Errorf("%d descriptors are open, %d were before", n, before)
	}
}

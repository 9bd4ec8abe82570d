package gatewaytest_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/gateway/gatewaytest"
	"github.com/sluicegate/sluice/hooks"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo sends messages back.
func echo() hooks.RouterFuncs {
	return hooks.RouterFuncs{OnMessage: func(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
		_ = bus.SingleCast(ctx, e.UniqID, e.Data)
	}}
}

// trial is a test that may fail: it notes how.
type trial struct {
	testing.TB

	mu       sync.Mutex
	says     []string
	cleanups []func()
}

// try runs f as a test, to the end of its cleanups, and returns what it said
// when it failed.
func try(t testing.TB, f func(t testing.TB)) string {
	tr := &trial{TB: t}
	inGoroutine(func() { f(tr) })
	for i := len(tr.cleanups) - 1; i >= 0; i-- {
		inGoroutine(tr.cleanups[i])
	}
	return strings.Join(tr.says, "\n")
}

// inGoroutine lets f end as a test that fails does.
func inGoroutine(f func()) {
	var done sync.WaitGroup
	done.Go(f)
	done.Wait()
}

func (t *trial) Helper()          {}
func (t *trial) Log(...any)       {}
func (t *trial) Cleanup(f func()) { t.cleanups = append(t.cleanups, f) }
func (t *trial) Fatal(args ...any) {
	t.Errorf("%s", fmt.Sprint(args...))
	runtime.Goexit()
}

func (t *trial) Fatalf(format string, args ...any) {
	t.Errorf(format, args...)
	runtime.Goexit()
}

func (t *trial) Errorf(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.says = append(t.says, fmt.Sprintf(format, args...))
}

// What a test does wrong, or expects in vain, fails it and says why.
func TestFailures(t *testing.T) {
	for name, tc := range map[string]struct {
		f    func(t testing.TB)
		says string
	}{
		"a wrong message": {func(t testing.TB) {
			c := gatewaytest.New(t, gateway.Config{Router: echo()}).Connect("/")
			c.Send("a")
			c.Expect("b")
		}, `got "a", want "b"`},
		"a message too many": {func(t testing.TB) {
			c := gatewaytest.New(t, gateway.Config{Router: echo()}).Connect("/")
			c.Send("a")
			c.ExpectNothing()
		}, `got "a", want nothing`},
		"a second message too many": {func(t testing.TB) {
			gw := gatewaytest.New(t, gateway.Config{Router: echo()})
			c := gw.Connect("/")
			c.Send("a")
			c.Send("b")
			gw.Settle()
			c.Expect("a")
			c.ExpectNothing()
		}, `got "b", want nothing`},
		"a close instead of nothing": {func(t testing.TB) {
			gw := gatewaytest.New(t, gateway.Config{})
			c := gw.Connect("/")
			_ = gw.ForceOffline(t.Context(), []string{c.ID()}, nil)
			c.ExpectNothing()
		}, "1008 forceOffline, want nothing"},
		"another close": {func(t testing.TB) {
			gw := gatewaytest.New(t, gateway.Config{})
			c := gw.Connect("/")
			_ = gw.ForceOffline(t.Context(), []string{c.ID()}, nil)
			c.ExpectClose(1000, "")
		}, `1008 forceOffline, want close 1000 ""`},
		"a refused handshake": {func(t testing.TB) {
			gatewaytest.New(t, gateway.Config{Path: "/ws"}).Connect("/elsewhere")
		}, "connect /elsewhere: refused: Not Found"},
		"a header without a value": {func(t testing.TB) {
			gatewaytest.New(t, gateway.Config{}).Connect("/", "Cookie")
		}, "in pairs"},
		"a Config that is wrong": {func(t testing.TB) {
			gatewaytest.New(t, gateway.Config{Path: "ws"})
		}, "Config.Path"},
		"a hook that fails": {func(t testing.TB) {
			gw := gatewaytest.New(t, gateway.Config{Hooks: []any{failing{}}})
			gw.Eventually("the clients' way in closes", func() bool {
				_, err := gw.TryConnect("/")
				return err != nil
			})
		}, "gatewaytest: Run: gateway: hook gatewaytest_test.failing: no luck"},
		"a clock of another kind": {func(t testing.TB) {
			gatewaytest.New(t, gateway.Config{Clock: struct{ hooks.Clock }{gatewaytest.NewClock()}}).Advance(1)
		}, "Advance needs"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := try(t, tc.f); !strings.Contains(got, tc.says) {
				t.Errorf("it said %q, want something of %q", got, tc.says)
			}
		})
	}
}

type failing struct{}

func (failing) Run(context.Context, hooks.Bus) error { return fmt.Errorf("no luck") }

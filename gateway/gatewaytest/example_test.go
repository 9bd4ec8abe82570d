package gatewaytest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/gateway/gatewaytest"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/hooks/limit"
	"github.com/sluicegate/sluice/transport/pipe"
)

// A test is handed its t; an example makes do with this one, which prints what
// would fail the test.
type exampleT struct {
	testing.TB
	cleanups []func()
}

func begin() *exampleT { return new(exampleT) }

func (t *exampleT) end() {
	for _, f := range slices.Backward(t.cleanups) {
		f()
	}
}

func (*exampleT) Helper()                      {}
func (*exampleT) Name() string                 { return "Example" }
func (*exampleT) Log(...any)                   {}
func (t *exampleT) Cleanup(f func())           { t.cleanups = append(t.cleanups, f) }
func (*exampleT) Errorf(f string, args ...any) { fmt.Printf(f+"\n", args...) }
func (*exampleT) Fatalf(f string, args ...any) { panic(fmt.Sprintf(f, args...)) }
func (*exampleT) Fatal(args ...any)            { panic(fmt.Sprint(args...)) }
func (*exampleT) Context() context.Context     { return context.Background() }

func Example() {
	t := begin() // a test has its own
	defer t.end()

	alice := gatewaytest.New(t, gateway.Config{Router: echo()}).Connect("/ws?name=alice")
	alice.Send("hello")
	alice.Expect("hello")
	// Output:
}

// A host gives its visitors ten seconds to log in.
func ExampleGateway_Advance() {
	t := begin()
	defer t.end()

	gw := gatewaytest.New(t, gateway.Config{Router: hooks.RouterFuncs{
		OnOpen: func(ctx context.Context, bus hooks.Bus, e hooks.OpenEvent) {
			_ = bus.ForceOfflineGuest(ctx, []string{e.UniqID}, 10*time.Second, []byte("who are you?"))
		},
		OnMessage: func(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
			_ = bus.UpdateConnInfo(ctx, hooks.ConnInfoUpdate{UniqID: e.UniqID, NewCustomerID: string(e.Data)})
		},
	}})
	alice, guest := gw.Connect("/"), gw.Connect("/")
	alice.Send("alice")

	gw.Advance(9 * time.Second)
	guest.ExpectNothing()
	gw.Advance(1 * time.Second)
	before := guest.ExpectClose(1008, "forceOfflineGuest")
	fmt.Println("the guest was told", before)

	// Alice may stay as long as something is heard of her.
	gw.Advance(2 * time.Minute)
	alice.ExpectClose(1001, "heartbeat timeout")
	fmt.Println(gw.Stats().Closed, "clients left")
	// Output:
	// the guest was told [who are you?]
	// 2 clients left
}

// A client that does not read is closed when too much waits for it.
func ExampleWithPipe() {
	t := begin()
	defer t.end()

	gw := gatewaytest.New(t, gateway.Config{WriteLimit: 1000}, gatewaytest.WithPipe(pipe.Buffer(1000)))
	slow := gw.Connect("/")
	for range 4 {
		_ = gw.Broadcast(t.Context(), make([]byte, 500))
		gw.Settle() // or the messages could be one write
	}
	before := slow.ExpectClose(1013, "slow consumer")
	fmt.Println(len(before), "messages arrived,", gw.Stats().Drops[hooks.DropSlow].Messages, "were dropped")
	// Output: 2 messages arrived, 2 were dropped
}

type doorman struct{}

func (doorman) Authenticate(_ context.Context, r *http.Request) (hooks.Identity, error) {
	if r.Header.Get("Authorization") == "" {
		return hooks.Identity{}, &hooks.Refusal{Status: http.StatusUnauthorized, Reason: "log in first"}
	}
	return hooks.Identity{CustomerID: "alice"}, nil
}

func ExampleGateway_TryConnect() {
	t := begin()
	defer t.end()

	gw := gatewaytest.New(t, gateway.Config{Hooks: []any{doorman{}}})
	_, err := gw.TryConnect("/")
	var refused *gatewaytest.RefusedError
	if errors.As(err, &refused) {
		fmt.Println(refused.Status, refused.Body)
	}
	_, err = gw.TryConnect("/", "Authorization", "Bearer alice")
	fmt.Println(err)
	// Output:
	// 401 log in first
	// <nil>
}

// A limiter that goes by the gateway's clock is made with that clock.
func ExampleClock() {
	t := begin()
	defer t.end()

	clock := gatewaytest.NewClock()
	limiter, err := limit.New(limit.Config{ClientMessages: 2, Now: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	gw := gatewaytest.New(t, gateway.Config{Router: echo(), Limiter: limiter, Clock: clock})
	c := gw.Connect("/")
	for _, text := range []string{"one", "two", "three"} {
		c.Send(text)
	}
	c.Expect("one", "two")
	c.ExpectNothing()

	gw.Advance(time.Second)
	c.Send("four")
	c.Expect("four")
	fmt.Println(gw.Stats().Drops[hooks.DropClientLimited].Messages, "message was too much")
	// Output: 1 message was too much
}

// A host decides what becomes of messages that the gateway is too busy for.
func ExampleGateway_Freeze() {
	t := begin()
	defer t.end()

	gw := gatewaytest.New(t, gateway.Config{MailboxLimit: 1, OverloadWait: time.Millisecond})
	c := gw.Connect("/")
	thaw := gw.Freeze()
	for _, text := range []string{"taken", "refused"} {
		err := gw.SingleCast(t.Context(), c.ID(), []byte(text))
		fmt.Println(text, errors.Is(err, hooks.ErrOverloaded))
	}
	thaw()
	c.Expect("taken")
	c.ExpectNothing()
	// Output:
	// taken false
	// refused true
}

package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/gateway/gatewaytest"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/pipe"
)

// What business code has a client hold is bounded. A command that would pass the
// bound changes nothing, and what it would have sent is counted.
func TestHoldings(t *testing.T) {
	long, session := strings.Repeat("n", 21), strings.Repeat("s", 31)
	gw := gatewaytest.New(t, gateway.Config{MaxTopics: 3, MaxName: 20, MaxSession: 30})
	c := gw.Connect("/")
	ctx, id := t.Context(), c.ID()
	must(t, gw.UpdateConnInfo(ctx, hooks.ConnInfoUpdate{
		UniqID: id, NewCustomerID: long[1:], NewSession: session[1:], NewTopics: []string{"a", "b", "", "a", long[1:]},
	}))
	before := fmt.Sprint(gw.ConnInfo(ctx, []string{id}, hooks.ConnInfoFields{Session: true, CustomerID: true, Topics: true}))
	update := func(u hooks.ConnInfoUpdate) error {
		u.UniqID, u.Data = id, []byte("changed")
		return gw.UpdateConnInfo(ctx, u)
	}
	for name, err := range map[string]error{
		"one topic more":         gw.Subscribe(ctx, id, []string{"c"}, []byte("changed")),
		"one of several is new":  gw.Subscribe(ctx, id, []string{"a", "b", "c"}, []byte("changed")),
		"a long topic":           gw.Subscribe(ctx, id, []string{"a", long}, []byte("changed")),
		"other topics, too many": update(hooks.ConnInfoUpdate{NewSession: "new", NewTopics: []string{"1", "2", "3", "4"}}),
		"other topics, too long": update(hooks.ConnInfoUpdate{NewSession: "new", NewTopics: []string{long}}),
		"a long session":         update(hooks.ConnInfoUpdate{NewCustomerID: "new", NewSession: session}),
		"a long customer id":     update(hooks.ConnInfoUpdate{NewCustomerID: long, NewSession: "new"}),
	} {
		if !errors.Is(err, hooks.ErrTooMany) {
			t.Errorf("%s: %v, want ErrTooMany", name, err)
		}
	}
	if after := fmt.Sprint(gw.ConnInfo(ctx, []string{id}, hooks.ConnInfoFields{Session: true, CustomerID: true, Topics: true})); after != before {
		t.Errorf("the client holds %s, want %s", after, before)
	}
	if n := gw.Stats().Drops[hooks.DropMalformed].Messages; n != 7 {
		t.Errorf("%d messages dropped, want 7", n)
	}
	must(t, gw.Subscribe(ctx, id, []string{"a", "b", "b"}, []byte("those it has")))
	c.Expect("those it has")
	must(t, gw.Unsubscribe(ctx, id, []string{"b"}, nil))
	must(t, gw.Subscribe(ctx, id, []string{"c"}, []byte("in its place")))
	c.Expect("in its place")
}

// A hook that knows too much of a client is at fault, and the client is not let
// in with half of it.
func TestIdentityTooLarge(t *testing.T) {
	var l logbook
	gw := gatewaytest.New(t, gateway.Config{MaxSession: 10, Logger: l.logger(), Hooks: []any{admitFunc(func() (hooks.Admission, error) {
		return hooks.Admission{Identity: hooks.Identity{Session: "more than ten"}}, nil
	})}})
	gw.Connect("/").ExpectClose(1011, "internal error")
	l.await(t, "client not listed", "nothing was changed")
	if s := gw.Stats(); s.Opened != 0 || s.Clients != 0 {
		t.Errorf("%+v", s)
	}
}

// The farewells of delayed commands are bounded, and make room when they are due.
func TestDelayedFarewells(t *testing.T) {
	gw := gatewaytest.New(t, gateway.Config{})
	c := gw.Connect("/")
	later := func(size int) error {
		return gw.ForceOfflineGuest(t.Context(), []string{c.ID()}, time.Minute, make([]byte, size))
	}
	must(t, gw.UpdateConnInfo(t.Context(), hooks.ConnInfoUpdate{UniqID: c.ID(), NewSession: "no guest"}))
	for range 16 {
		must(t, later(1<<20))
	}
	if err := later(1); !errors.Is(err, hooks.ErrOverloaded) {
		t.Errorf("%v, want ErrOverloaded", err)
	}
	gw.Advance(30 * time.Second)
	c.Send("alive")
	gw.Advance(31 * time.Second)
	must(t, later(16<<20))
}

// What waits for a handler counts against the memory budget until it is handled.
func TestInboxesAreHeld(t *testing.T) {
	release := make(chan struct{})
	gw := gatewaytest.New(t, gateway.Config{Router: hooks.RouterFuncs{
		OnMessage: func(context.Context, hooks.Bus, hooks.MessageEvent) { <-release },
	}})
	c := gw.Connect("/")
	for range 50 {
		c.Send(strings.Repeat("x", 1<<10))
	}
	gw.Eventually("all that waits is held", func() bool { return gw.Stats().Held >= 49<<10 })
	close(release)
	gw.Settle()
	if n := gw.Stats().Held; n != 0 {
		t.Errorf("%d bytes are held in the end", n)
	}
}

// Messages with keys that are taken in one go are looked at one by one, and what a
// client is told of a gap counts as no message.
func TestStalledClient(t *testing.T) {
	stall := func(cfg gateway.Config) (*gatewaytest.Gateway, *gatewaytest.Client, string) {
		cfg.Hooks, cfg.WriteLimit = []any{hooks.TellGaps("gaps")}, 2000
		gw := gatewaytest.New(t, cfg, gatewaytest.WithPipe(pipe.Buffer(500)))
		c := gw.Connect("/?gaps")
		must(t, gw.Subscribe(t.Context(), c.ID(), []string{"t"}, nil))
		first := strings.Repeat("x", 1000)
		must(t, gw.SingleCast(t.Context(), c.ID(), []byte(first)))
		gw.Settle()
		return gw, c, first
	}
	gw, c, first := stall(gateway.Config{Slow: transport.SlowLatest})
	thaw := gw.Freeze()
	for _, value := range []string{"1", "2", "3"} {
		must(t, gw.PublishLatest(t.Context(), []string{"t"}, "key", []byte(value)))
	}
	thaw()
	gw.Settle()
	c.Expect(first, "3")
	if s := gw.Stats(); s.MessagesOut != 2 || s.Drops[hooks.DropSuperseded].Messages != 2 {
		t.Errorf("%+v", s)
	}

	gw, c, first = stall(gateway.Config{Slow: transport.SlowDropOldest})
	for _, value := range []string{"1", "2", "3"} {
		must(t, gw.SingleCast(t.Context(), c.ID(), []byte(value+strings.Repeat(" ", 900))))
	}
	gw.Settle()
	c.Expect(first, `{"gap":1}`, "2"+strings.Repeat(" ", 900), "3"+strings.Repeat(" ", 900))
	gw.Settle()
	if s := gw.Stats(); s.MessagesOut != 3 || s.Drops[hooks.DropSlow].Messages != 1 {
		t.Errorf("%+v", s)
	}
}

// Without a policy that knows keys, PublishLatest is Publish.
func TestPublishLatestOfOthers(t *testing.T) {
	gw := gatewaytest.New(t, gateway.Config{})
	c := gw.Connect("/")
	must(t, gw.Subscribe(context.Background(), c.ID(), []string{"t", "u"}, nil))
	must(t, gw.PublishLatest(context.Background(), []string{"t", "u", "nobody"}, "key", []byte("1")))
	must(t, gw.PublishLatest(context.Background(), []string{"t"}, "key", []byte("2")))
	c.Expect("1", "1", "2")
}

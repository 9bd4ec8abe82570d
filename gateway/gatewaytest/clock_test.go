package gatewaytest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/gateway/gatewaytest"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/hooks/limit"
	"github.com/sluicegate/sluice/protocol"
	"github.com/sluicegate/sluice/transport/pipe"
)

// Timers are called in order of time, at their time, and of their making.
func TestClock(t *testing.T) {
	c := gatewaytest.NewClock()
	begin := c.Now()
	var called []string
	note := func(name string, at time.Duration, then func()) (stop func() bool) {
		return c.AfterFunc(at, func() {
			called = append(called, name)
			if got := c.Now().Sub(begin); got%(100*time.Second) != at {
				t.Errorf("%s at %v, want %v", name, got, at)
			}
			if then != nil {
				then()
			}
		})
	}
	note("3", 3*time.Second, nil)
	note("1", time.Second, func() {
		c.AfterFunc(time.Second, func() { called = append(called, "1+1") })
		c.AfterFunc(0, func() { called = append(called, "1+0") })
	})
	note("1 too", time.Second, nil)
	stop := note("stopped", time.Second, nil)
	last := note("10", 10*time.Second, nil)
	if !stop() || stop() {
		t.Error("a timer can be stopped once")
	}
	c.Advance(999 * time.Millisecond)
	if len(called) > 0 {
		t.Errorf("too soon: %v", called)
	}
	c.Advance(9*time.Second + time.Millisecond)
	want := []string{"1", "1 too", "1+0", "1+1", "3", "10"}
	if !slices.Equal(called, want) || last() {
		t.Errorf("called %v, want %v", called, want)
	}
	if got := c.Now().Sub(begin); got != 10*time.Second {
		t.Errorf("%v passed", got)
	}
	defer func() {
		if recover() == nil {
			t.Error("time went back")
		}
	}()
	c.Advance(-1)
}

// What is due between now and then happens at its own time, handlers included,
// however far the clock moves at once.
func TestAdvanceInOrder(t *testing.T) {
	t.Parallel()
	clock := gatewaytest.NewClock()
	begin := clock.Now()
	type entry struct {
		what string
		at   time.Duration
	}
	var log []entry // handlers of a gateway that settles do not meet
	note := func(what string) { log = append(log, entry{what, clock.Now().Sub(begin)}) }
	gw := gatewaytest.New(t, gateway.Config{
		Clock: clock, HeartbeatInterval: 32 * time.Second,
		Router: hooks.RouterFuncs{
			OnOpen: func(ctx context.Context, bus hooks.Bus, e hooks.OpenEvent) {
				note("open " + e.RawQuery)
				if e.RawQuery == "guest" {
					_ = bus.ForceOfflineGuest(ctx, []string{e.UniqID}, 10*time.Second, []byte("sorry"))
				}
			},
			OnClose: func(ctx context.Context, bus hooks.Bus, e hooks.CloseEvent) { note("close") },
		},
	})
	guest := gw.Connect("/?guest")
	gw.Advance(5 * time.Second)
	silent := gw.Connect("/?silent")
	half := gw.Dial()
	if _, err := half.Write([]byte("GET /")); err != nil {
		t.Fatal(err)
	}
	gw.Advance(time.Hour)
	if before := guest.ExpectClose(1008, "forceOfflineGuest"); !slices.Equal(before, []string{"sorry"}) {
		t.Errorf("the guest was sent %q", before)
	}
	silent.ExpectClose(1001, "heartbeat timeout")
	want := []entry{{"open guest", 0}, {"open silent", 5 * time.Second}, {"close", 10 * time.Second}, {"close", 37 * time.Second}}
	if !slices.Equal(log, want) {
		t.Errorf("log %v, want %v", log, want)
	}
	// Nobody has answered a close frame, and the sockets are gone all the same.
	got, err := io.ReadAll(half)
	if err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 408") {
		t.Errorf("half a handshake was answered with %q, %v", got, err)
	}
}

// The close frame is there when Advance returns, on every loop, and not before
// its time.
func TestHeartbeatIsExact(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gateway.Config{}, gatewaytest.WithPipe(pipe.Loops(3)))
	clients := make([]*gatewaytest.Client, 12)
	for i := range clients {
		clients[i] = gw.Connect("/")
	}
	gw.Advance(2*time.Minute - time.Nanosecond)
	clients[0].Send("alive")
	for _, c := range clients {
		c.ExpectNothing()
	}
	gw.Advance(time.Nanosecond)
	clients[0].ExpectNothing()
	for _, c := range clients[1:] {
		c.ExpectClose(1001, "heartbeat timeout")
	}
	if s := gw.Stats(); s.Clients != 1 {
		t.Errorf("%d clients", s.Clients)
	}
}

// authFunc is an Authenticator.
type authFunc func(ctx context.Context) error

func (f authFunc) Authenticate(ctx context.Context, _ *http.Request) (hooks.Identity, error) {
	return hooks.Identity{}, f(ctx)
}

// An Authenticator that waits for somebody else has as long as the handshake may
// take, and its own answer counts.
func TestAuthenticatorTimesOut(t *testing.T) {
	for range 20 {
		asked := make(chan bool)
		gw := gatewaytest.New(t, gateway.Config{Hooks: []any{authFunc(func(ctx context.Context) error {
			if _, ok := ctx.Deadline(); ok {
				t.Error("the context has a deadline by another clock")
			}
			inner, cancel := context.WithCancel(ctx)
			defer cancel()
			asked <- true
			<-inner.Done()
			if !errors.Is(ctx.Err(), context.DeadlineExceeded) || !errors.Is(inner.Err(), context.DeadlineExceeded) {
				t.Errorf("the context ended with %v, one made of it with %v", ctx.Err(), inner.Err())
			}
			return &hooks.Refusal{Status: 504, Reason: "nobody knows you"}
		})}})
		refused := make(chan error, 1)
		go func() {
			_, err := gw.TryConnect("/")
			refused <- err
		}()
		<-asked
		gw.Advance(10*time.Second - 1)
		if len(refused) > 0 {
			t.Fatal("refused before its time")
		}
		gw.Advance(time.Minute)
		r := (*gatewaytest.RefusedError)(nil)
		if err := <-refused; !errors.As(err, &r) || r.Status != 504 || r.Body != "nobody knows you" {
			t.Fatalf("the handshake ended with %v", err)
		}
	}
}

// The context of an Authenticator ends when its call does, and when the gateway
// gives up waiting for it.
func TestAuthenticatorContext(t *testing.T) {
	t.Parallel()
	var kept context.Context
	gw := gatewaytest.New(t, gateway.Config{Hooks: []any{authFunc(func(ctx context.Context) error {
		if kept = ctx; ctx.Err() != nil {
			t.Error(ctx.Err())
		}
		return nil
	})}})
	gw.Connect("/")
	gw.Settle()
	if !errors.Is(kept.Err(), context.Canceled) {
		t.Errorf("afterwards its error is %v", kept.Err())
	}
	asked := make(chan bool)
	gw = gatewaytest.New(t, gateway.Config{StopTimeout: time.Millisecond, Hooks: []any{authFunc(func(ctx context.Context) error {
		close(asked)
		<-ctx.Done()
		return ctx.Err()
	})}})
	conn := gw.Dial()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-asked
	if err := gw.Stop(); err != nil {
		t.Error(err)
	}
}

func TestRatesAndIDs(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gateway.Config{})
	c := gw.Connect("/")
	for range 60 {
		c.Send("x")
	}
	gw.Advance(5 * time.Second)
	for range 30 {
		c.Send("x")
	}
	gw.Advance(5 * time.Second)
	m, err := gw.Metrics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// The first tick sets the rate to 61 events in 5 seconds, the second moves
	// it towards 30 in 5 by the weight of a twelfth of a minute.
	if got := m[hooks.MetricEvents]; got.Count != 91 || got.MeanRate != 9.1 || got.Rate1 < 11.69 || got.Rate1 > 11.71 {
		t.Errorf("%+v", got)
	}
	id, err := protocol.ParseUniqID(gw.Connect("/").ID())
	if want := gatewaytest.NewClock().Now().Add(10 * time.Second).Unix(); err != nil || int64(id.Time) != want {
		t.Errorf("an id of time %d, %v, want %d", id.Time, err, want)
	}
}

// A limiter can go by the gateway's clock, and two gateways by one.
func TestSharedClock(t *testing.T) {
	t.Parallel()
	clock := gatewaytest.NewClock()
	limiter, err := limit.New(limit.Config{ClientMessages: 2, ClientWindow: time.Minute, Now: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	gw := gatewaytest.New(t, gateway.Config{Router: echo(), Limiter: limiter, Clock: clock})
	other := gatewaytest.New(t, gateway.Config{Clock: clock, HeartbeatInterval: time.Minute})
	c, silent := gw.Connect("/"), other.Connect("/")
	for _, text := range []string{"1", "2", "3"} {
		c.Send(text)
	}
	c.Expect("1", "2")
	c.ExpectNothing()
	gw.Advance(time.Minute)
	silent.ExpectClose(1001, "heartbeat timeout")
	c.Send("4")
	c.Expect("4")
	if err := other.Stop(); err != nil {
		t.Error(err)
	}
	gw.Advance(time.Second)
}

// A handler may wait for the clock: then it is the clock that is moved.
func TestHandlerWaitsForClock(t *testing.T) {
	t.Parallel()
	clock := gatewaytest.NewClock()
	waits := make(chan bool)
	r := hooks.RouterFuncs{OnMessage: func(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
		due := make(chan bool)
		clock.AfterFunc(time.Minute, func() { close(due) })
		waits <- true
		<-due
		_ = bus.SingleCast(ctx, e.UniqID, []byte("done"))
	}}
	gw := gatewaytest.New(t, gateway.Config{Router: r, Clock: clock})
	c := gw.Connect("/")
	c.Send("go")
	<-waits
	clock.Advance(time.Minute)
	c.Expect("done")
}

package gatewaytest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/gateway/gatewaytest"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/transport/pipe"
)

// A client that does not read stalls after a known number of bytes. Until then,
// and for what WriteLimit allows, it costs nothing.
func TestSlowConsumer(t *testing.T) {
	t.Parallel()
	// A frame is 100 bytes. The buffer takes 3, the transport holds 1, and 2
	// wait, each counting 16 more.
	gw := gatewaytest.New(t, gateway.Config{WriteLimit: 232}, gatewaytest.WithPipe(pipe.Buffer(300)))
	slow := gw.Connect("/")
	gw.Settle()
	for i := range 7 {
		if n := gw.Stats().Drops[hooks.DropSlow].Messages; n != 0 {
			t.Fatalf("after %d messages %d were dropped", i, n)
		}
		if err := gw.Broadcast(t.Context(), fmt.Appendf(nil, "%-98d", i)); err != nil {
			t.Fatal(err)
		}
		gw.Settle()
	}
	if n := gw.Stats().Drops[hooks.DropSlow].Messages; n != 3 {
		t.Errorf("%d messages were dropped, want those that waited and the last", n)
	}
	got := slow.ExpectClose(1013, "slow consumer")
	for i := range got {
		got[i] = strings.TrimSpace(got[i])
	}
	if !slices.Equal(got, []string{"0", "1", "2", "3"}) {
		t.Errorf("the client got %q", got)
	}
}

func TestByteByByte(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gateway.Config{Router: echo()}, gatewaytest.WithPipe(pipe.Segment(1), pipe.Buffer(7)))
	c := gw.Connect("/with/a/path?and=a+query", "X-Header", "value")
	c.Send("héllo")
	c.Expect("héllo")
	c.SendBinary([]byte{0, 1, 2})
	c.Expect("\x00\x01\x02")
	c.Close()
}

// Commands to loops that stand still are refused when the mailbox is full; what
// was taken arrives when they go on.
func TestFreeze(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gateway.Config{MailboxLimit: 1, OverloadWait: time.Millisecond}, gatewaytest.WithPipe(pipe.Loops(2)))
	one, two := gw.Connect("/"), gw.Connect("/")
	id := one.ID()
	thaw := gw.Freeze()
	if err := gw.SingleCast(t.Context(), id, []byte("taken")); err != nil {
		t.Error(err)
	}
	if err := gw.SingleCast(t.Context(), id, []byte("refused")); !errors.Is(err, hooks.ErrOverloaded) {
		t.Errorf("%v", err)
	}
	two.Send("unread")
	one.ExpectNothing()
	gw.Advance(time.Hour)
	if s := gw.Stats(); s.MessagesIn != 0 || s.Clients != 2 {
		t.Errorf("loops that stand still: %+v", s)
	}
	one.ExpectNothing()
	thaw()
	one.Expect("taken")
	one.ExpectClose(1001, "heartbeat timeout")
	gw.Settle()
	if s := gw.Stats(); s.MessagesIn != 1 || s.Clients != 0 {
		t.Errorf("afterwards: %+v", s)
	}
}

// A gateway stops even so.
func TestStopFrozen(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gateway.Config{})
	c := gw.Connect("/")
	gw.Freeze()
	if err := gw.Broadcast(t.Context(), []byte("x")); err != nil {
		t.Error(err)
	}
	if err := gw.Stop(); err != nil {
		t.Error(err)
	}
	c.ExpectClose(1012, "restart")
}

// A transport that fails ends the gateway; the host's code hears of it.
func TestFail(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	closed := make(chan string, 1)
	h := &runner{ended: make(chan bool)}
	gw := gatewaytest.New(t, gateway.Config{Hooks: []any{h}, Router: hooks.RouterFuncs{
		OnClose: func(_ context.Context, _ hooks.Bus, e hooks.CloseEvent) { closed <- e.UniqID },
	}})
	c := gw.Connect("/")
	id := c.ID()
	gw.Fail(broken)
	<-h.ended
	c.ExpectClose(1001, "going away")
	if got := <-closed; got != id {
		t.Errorf("%s was closed, want %s", got, id)
	}
	for range 2 {
		if err := gw.Stop(); !errors.Is(err, broken) {
			t.Errorf("Run returned %v", err)
		}
	}
}

// Stop waits for the failure, however soon it comes.
func TestFailThenStop(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for range 50 {
		gw := gatewaytest.New(t, gateway.Config{})
		gw.Fail(broken)
		if err := gw.Stop(); !errors.Is(err, broken) {
			t.Fatalf("Run returned %v", err)
		}
	}
}

type runner struct{ ended chan bool }

func (r *runner) Run(ctx context.Context, _ hooks.Bus) error {
	<-ctx.Done()
	close(r.ended)
	return nil
}

// A client that is cut off leaves as one whose network is lost.
func TestCut(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gateway.Config{})
	c := gw.Connect("/")
	gw.Settle()
	c.Cut()
	gw.Settle()
	if s := gw.Stats(); s.Opened != 1 || s.Closed != 1 {
		t.Errorf("%+v", s)
	}
}

package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/gateway/gatewaytest"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/transport/pipe"
)

// closings are the rows of the table in docs/clients.md: code, reasons and advice.
func closings(t *testing.T) (rows [][3]string) {
	t.Helper()
	page, err := os.ReadFile("../docs/clients.md")
	must(t, err)
	row := regexp.MustCompile(`(?m)^\| (\d+(?: to \d+)?) \| (.*?) ?\| (yes|no) \|`)
	for _, m := range row.FindAllStringSubmatch(string(page), -1) {
		rows = append(rows, [3]string(m[1:]))
	}
	return rows
}

// What the page for clients' authors advises is what Disconnect does.
func TestAdviceIsDocumented(t *testing.T) {
	rows := closings(t)
	if len(rows) < 15 {
		t.Fatalf("%d rows", len(rows))
	}
	for _, r := range rows {
		for code := range strings.SplitSeq(r[0], " to ") {
			n, err := strconv.Atoi(code)
			must(t, err)
			if again := (&hooks.Disconnect{Code: n}).Reconnect(); again != (r[2] == "yes") {
				t.Errorf("%d: Reconnect is %v, the page says %s", n, again, r[2])
			}
		}
	}
}

// Every end that the gateway puts to a client reaches the client and the host as
// the page says.
func TestClosings(t *testing.T) {
	protocol, err := os.ReadFile("../docs/protocol.md")
	must(t, err)
	documented := make(map[string]bool)
	for _, r := range closings(t) {
		for reason := range strings.SplitSeq(r[1], ",") {
			reason, _, _ := strings.Cut(strings.Trim(strings.TrimSpace(reason), "`"), ";")
			documented[r[0]+" "+reason] = true
		}
	}
	forced := func(f func(gw *gatewaytest.Gateway, id string) error) func(*testing.T, *gatewaytest.Gateway, *gatewaytest.Client) {
		return func(t *testing.T, gw *gatewaytest.Gateway, c *gatewaytest.Client) { must(t, f(gw, c.ID())) }
	}
	for _, c := range []struct {
		code   int
		reason string
		cfg    gateway.Config
		do     func(t *testing.T, gw *gatewaytest.Gateway, c *gatewaytest.Client)
	}{
		{1001, "heartbeat timeout", gateway.Config{}, func(_ *testing.T, gw *gatewaytest.Gateway, _ *gatewaytest.Client) { gw.Advance(time.Hour) }},
		{1008, "forceOffline", gateway.Config{}, forced(func(gw *gatewaytest.Gateway, id string) error {
			return gw.ForceOffline(context.Background(), []string{id}, nil)
		})},
		{1008, "forceOfflineGuest", gateway.Config{}, forced(func(gw *gatewaytest.Gateway, id string) error {
			return gw.ForceOfflineGuest(context.Background(), []string{id}, 0, nil)
		})},
		{1008, "forceOfflineByCustomerId", gateway.Config{}, forced(func(gw *gatewaytest.Gateway, id string) error {
			return errors.Join(gw.UpdateConnInfo(context.Background(), hooks.ConnInfoUpdate{UniqID: id, NewCustomerID: "c"}),
				gw.ForceOfflineByCustomerID(context.Background(), []string{"c"}, nil))
		})},
		{1009, "message too big", gateway.Config{MaxMessage: 10}, func(_ *testing.T, _ *gatewaytest.Gateway, c *gatewaytest.Client) {
			c.Send("more than ten bytes")
		}},
		{1011, "internal error", gateway.Config{}, func(_ *testing.T, _ *gatewaytest.Gateway, c *gatewaytest.Client) { c.Send("panic") }},
		{1012, "restart", gateway.Config{}, func(t *testing.T, gw *gatewaytest.Gateway, _ *gatewaytest.Client) {
			must(t, gw.Drain(context.Background()))
		}},
		{1013, "slow consumer", gateway.Config{WriteLimit: 1000}, func(t *testing.T, gw *gatewaytest.Gateway, c *gatewaytest.Client) {
			for range 100 {
				must(t, gw.SingleCast(context.Background(), c.ID(), make([]byte, 100)))
			}
		}},
		{1013, "inbox full", gateway.Config{InboxLimit: 1000}, func(_ *testing.T, gw *gatewaytest.Gateway, c *gatewaytest.Client) {
			c.Send("block")
			for range 100 {
				c.Send("more")
			}
		}},
		{1013, "memory budget", gateway.Config{InboxLimit: 1 << 30, MemoryBudget: 100 << 10}, func(_ *testing.T, gw *gatewaytest.Gateway, c *gatewaytest.Client) {
			c.Send("block")
			for range 100 {
				c.Send(strings.Repeat("x", 10<<10))
			}
		}},
	} {
		t.Run(fmt.Sprint(c.code, " ", c.reason), func(t *testing.T) {
			if !documented[fmt.Sprint(c.code, " ", c.reason)] {
				t.Errorf("docs/clients.md does not have it: %v", documented)
			}
			if row := regexp.MustCompile(fmt.Sprintf("(?m)^\\| %d \\|.*%s", c.code, c.reason)); !row.Match(protocol) {
				t.Errorf("docs/protocol.md does not have it")
			}
			release, events := make(chan struct{}), make(chan hooks.CloseEvent, 1)
			c.cfg.Router = hooks.RouterFuncs{
				OnMessage: func(_ context.Context, _ hooks.Bus, e hooks.MessageEvent) {
					switch string(e.Data) {
					case "panic":
						panic("handler")
					case "block":
						<-release
					}
				},
				OnClose: func(_ context.Context, _ hooks.Bus, e hooks.CloseEvent) { events <- e },
			}
			var l logbook
			c.cfg.Logger = l.logger()
			gw := gatewaytest.New(t, c.cfg, gatewaytest.WithPipe(pipe.Buffer(2000)))
			client := gw.Connect("/")
			id := client.ID()
			c.do(t, gw, client)
			client.ExpectClose(c.code, c.reason)
			close(release)
			e := <-events
			reason, _, _ := strings.Cut(e.Reason, ";")
			if e.UniqID != id || e.Code != c.code || reason != c.reason || e.Remote {
				t.Errorf("the Router was told %+v", e)
			}
			if n := gw.Stats().Closes[gateway.CloseKind{Code: c.code, Reason: c.reason}]; n != 1 {
				t.Errorf("%d are counted, by %v", n, gw.Stats().Closes)
			}
		})
	}
}

// A client's end is told to the Router also if its first message, with nothing of it
// waiting, was too much.
func TestFirstMessageOverBudget(t *testing.T) {
	closed := make(chan hooks.CloseEvent, 1)
	gw := gatewaytest.New(t, gateway.Config{MemoryBudget: 4 << 10, Router: hooks.RouterFuncs{
		OnClose: func(_ context.Context, _ hooks.Bus, e hooks.CloseEvent) { closed <- e },
	}})
	client := gw.Connect("/")
	id := client.ID()
	gw.Settle()
	client.Send(strings.Repeat("x", 6<<10))
	client.ExpectClose(1013, "memory budget")
	select {
	case e := <-closed:
		if e.UniqID != id {
			t.Errorf("told of %+v", e)
		}
	case <-time.After(wait):
		t.Fatal("the Router was not told")
	}
}

// A Router that panics on the loop, at the first of what a client sent before it was
// let in, costs that client the rest: it is counted, and holds no memory.
func TestPanicWithMessagesKept(t *testing.T) {
	let := make(chan struct{})
	gw := gatewaytest.New(t, gateway.Config{
		Inline: true,
		Hooks: []any{admitFunc(func() (hooks.Admission, error) {
			<-let
			return hooks.Admission{}, nil
		})},
		Router: hooks.RouterFuncs{OnMessage: func(context.Context, hooks.Bus, hooks.MessageEvent) { panic("the first") }},
	})
	client := gw.Connect("/")
	const n = 10
	for range n {
		client.Send(strings.Repeat("x", 10<<10))
	}
	gw.Eventually("all has come", func() bool { return gw.Stats().MessagesIn == n })
	close(let)
	client.ExpectClose(1011, "internal error")
	gw.Eventually("it has left", func() bool { return gw.Stats().Closed == 1 })
	if s := gw.Stats(); s.Held != 0 || s.Drops[hooks.DropClosed].Messages != n-1 {
		t.Errorf("%d bytes are held, %+v were dropped", s.Held, s.Drops)
	}
}

package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/gateway/gatewaytest"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/hooks/limit"
	"github.com/sluicegate/sluice/transport/websocket"
)

// censor is a Limiter that has an error for each message of a certain size.
type censor map[int]error

func (censor) Open(netip.Addr) error                { return nil }
func (c censor) Message(_ string, size int) error   { return c[size] }
func (censor) Close(uniqID string, addr netip.Addr) {}

// A Limiter's *Disconnect closes the client behind what it has been sent, and
// the message is counted all the same. The Router hears of what came before, and
// not of what came behind in the same packet.
func TestLimiterCloses(t *testing.T) {
	toll := &hooks.Disconnect{Code: 4008, Reason: "too much of it"}
	for name, tc := range map[string]struct {
		err    error
		reason hooks.DropReason
	}{
		"alone":   {toll, hooks.DropLimited},
		"wrapped": {fmt.Errorf("censor: %w", toll), hooks.DropLimited},
		"joined":  {errors.Join(hooks.ErrClientLimited, toll), hooks.DropClientLimited},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, h harness, inline bool) {
				heard := make(chan string, 3)
				r := hooks.RouterFuncs{
					OnMessage: func(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
						_ = bus.Broadcast(ctx, e.Data)
						heard <- string(e.Data)
					},
					OnClose: func(context.Context, hooks.Bus, hooks.CloseEvent) { heard <- "closed" },
				}
				g := h.start(t, gateway.Config{Router: r, Limiter: censor{5: tc.err}, Inline: inline})
				c, in := g.shake("")
				_, err := io.WriteString(c, frame(websocket.OpText, "1")+frame(websocket.OpText, "22222")+frame(websocket.OpText, "3"))
				must(t, err)
				if code, err := closeCode(in); err != nil || code != 4008 {
					t.Fatalf("close code %d, %v, want 4008", code, err)
				}
				if first, second := <-heard, <-heard; first != "1" || second != "closed" {
					t.Errorf("the Router heard of %q and %q", first, second)
				}
				must(t, c.Close())
				must(t, g.stop())
				s := g.Stats()
				if d := s.Drops[tc.reason]; d != (gateway.DropCount{Messages: 1, Bytes: 5}) || s.MessagesIn != 2 || s.Closed != 1 {
					t.Errorf("%+v dropped of %d messages, %d clients closed; want one of 5 bytes of 2, and 1", d, s.MessagesIn, s.Closed)
				}
			})
		})
	}
}

// A client that is closed while an Admitter decides about it is not let in, and
// what it has sent before is counted.
func TestLimiterClosesBeforeAdmission(t *testing.T) {
	onEach(t, func(t *testing.T, h harness) {
		p := newPorter()
		g := h.start(t, gateway.Config{Hooks: []any{p}, Limiter: censor{5: &hooks.Disconnect{Code: 4008, Reason: "enough"}}})
		c := g.connect("wait")
		c.send("1")
		c.send("22222")
		c.expectClose(4008, "enough")
		must(t, c.Close())
		must(t, g.stop())
		s := g.Stats()
		if s.Opened != 0 || s.Drops[hooks.DropLimited].Messages != 1 || s.Drops[hooks.DropClosed].Messages != 1 {
			t.Errorf("%d opened, drops %+v; want none opened, one message limited and one closed", s.Opened, s.Drops)
		}
	})
}

// Windows of one client, with closing as the choice, and places of one address.
func TestLimit(t *testing.T) {
	clock := gatewaytest.NewClock()
	limiter, err := limit.New(limit.Config{
		ClientMessages: 2, ClientFirst: 3, ClientExceeded: &hooks.Disconnect{Code: 1008, Reason: "too many messages"},
		IPClients: 2, IPOpens: 3, RetryAfter: 1500 * time.Millisecond, Now: clock.Now,
	})
	must(t, err)
	r := hooks.RouterFuncs{OnMessage: func(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
		_ = bus.SingleCast(ctx, e.UniqID, e.Data)
	}}
	g := gatewaytest.New(t, gateway.Config{Router: r, Limiter: limiter, Clock: clock})
	a, b := g.Connect("/"), g.Connect("/")
	refused := func(reason string) {
		t.Helper()
		_, err := g.TryConnect("/")
		if e := (*gatewaytest.RefusedError)(nil); !errors.As(err, &e) || e.Status != 429 || e.Header.Get("Retry-After") != "2" || e.Body != reason {
			t.Errorf("%v, want a 429 with %q and a Retry-After of 2", err, reason)
		}
	}
	refused("too many clients from this address")
	for _, text := range strings.Fields("1 2 3") {
		a.Send(text)
		a.Expect(text)
	}
	g.Advance(time.Second)
	for _, text := range strings.Fields("4 5 6") {
		a.Send(text)
	}
	a.ExpectClose(1008, "too many messages")
	g.Settle()
	b.Send("still here")
	b.Expect("still here")
	g.Connect("/").Close()
	g.Settle()
	for range 2 {
		g.Connect("/").Close()
		g.Settle()
	}
	refused("too many clients at once from this address")
	if s := g.Stats(); s.Drops[hooks.DropClientLimited].Messages != 1 || s.OpensLimited != 2 {
		t.Errorf("counted %+v messages and %d opens", s.Drops[hooks.DropClientLimited], s.OpensLimited)
	}
}

package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	ws "github.com/gorilla/websocket"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/gateway/gatewaytest"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/await"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/pipe"
)

// Ends are counted by kind, and clients cannot make more kinds than there are.
func TestCloseKinds(t *testing.T) {
	onEach(t, func(t *testing.T, h harness) {
		g := h.start(t, gateway.Config{Router: hooks.RouterFuncs{OnMessage: func(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
			_ = bus.ForceOffline(ctx, []string{e.UniqID}, nil)
		}}})
		for code := range 20 {
			for _, code := range []int{3000 + code, 4000 + code, 4499 - code, 4500 + code, 4999 - code} {
				c := g.connect()
				must(t, c.WriteMessage(ws.CloseMessage, ws.FormatCloseMessage(code, fmt.Sprint("for reasons of my own ", code))))
				if _, _, err := c.ReadMessage(); !ws.IsCloseError(err, code) {
					t.Fatal(err)
				}
			}
		}
		normal, lost, bad, off := g.connect(), g.connect(), g.raw(), g.connect()
		must(t, normal.WriteMessage(ws.CloseMessage, ws.FormatCloseMessage(1000, "restart")))
		must(t, lost.Close())
		_ = bad.Close()
		off.send("off")
		off.expectClose(1008, "forceOffline")
		conn, r := g.shake("")
		if _, err := conn.Write([]byte{0xf0, 0x80, 0, 0, 0, 0}); err != nil { // bits that nobody has agreed on
			t.Fatal(err)
		}
		if code, err := closeCode(r); code != 1002 {
			t.Fatal(code, err)
		}
		await.Until(t, func() string { // who came and left at once may be on its way in
			if n := g.Stats().Closed; n != 104 {
				return fmt.Sprint(n, " of 104 clients have left")
			}
			return ""
		})
		want := map[gateway.CloseKind]int64{
			{Code: 3000, Reason: "client"}: 20, {Code: 4000, Reason: "client"}: 40, {Code: 4500, Reason: "client"}: 40,
			{Code: 1000, Reason: "client"}: 1, {Code: 1006, Reason: "lost"}: 1,
			{Code: 1008, Reason: "forceOffline"}: 1, {Code: 1002, Reason: "protocol"}: 1,
		}
		s := g.Stats()
		if fmt.Sprint(s.Closes) != fmt.Sprint(want) {
			t.Errorf("closes %v, want %v", s.Closes, want)
		}
		b, err := json.Marshal(s)
		must(t, err)
		var read gateway.Stats
		must(t, json.Unmarshal(b, &read))
		if fmt.Sprint(read) != fmt.Sprint(s) {
			t.Errorf("through JSON %+v, was %+v", read, s)
		}
		all := int64(0)
		for _, n := range s.Closes {
			all += n
		}
		if all != s.Closed {
			t.Errorf("%d closes by kind, %d in all", all, s.Closed)
		}
	})
}

// turnstile refuses handshakes as their query says.
type turnstile struct{ full atomic.Bool }

func (*turnstile) Authenticate(_ context.Context, r *http.Request) (hooks.Identity, error) {
	switch r.URL.RawQuery {
	case "deny":
		return hooks.Identity{}, errors.New("denied")
	case "fail":
		panic("asked for")
	}
	return hooks.Identity{}, nil
}

func (t *turnstile) Open(netip.Addr) error {
	if t.full.Load() {
		return errors.New("full")
	}
	return nil
}
func (*turnstile) Message(string, int) error { return nil }
func (*turnstile) Close(string, netip.Addr)  {}

func TestRefusals(t *testing.T) {
	onEach(t, func(t *testing.T, h harness) {
		door := &turnstile{}
		g := h.start(t, gateway.Config{Hooks: []any{door}, Limiter: door})
		try := func(query string, status int) {
			t.Helper()
			_, resp, err := g.dialWith("/ws?"+query, nil)
			if err == nil || resp == nil || resp.StatusCode != status {
				t.Errorf("%q: %v, %v, want %d", query, resp, err, status)
			}
		}
		c := g.connect()
		try("deny", http.StatusForbidden)
		try("deny", http.StatusForbidden)
		try("fail", http.StatusInternalServerError)
		door.full.Store(true)
		try("", http.StatusTooManyRequests)
		ended := make(chan error, 1)
		go func() { ended <- g.Drain(context.Background()) }()
		c.expectClose(1012, "restart")
		if err := <-ended; err != nil {
			t.Error(err)
		}
		s := g.Stats()
		for reason, want := range map[gateway.RefuseReason]int64{
			gateway.RefuseDenied: 2, gateway.RefuseFailed: 1, gateway.RefuseLimited: 1,
			gateway.RefuseBusy: 0, gateway.RefuseMemory: 0, gateway.RefuseDraining: 0,
		} {
			if n, ok := s.Refused[reason]; n != want || !ok {
				t.Errorf("%d refused as %s, want %d", n, reason, want)
			}
		}
		if s.OpensLimited != 1 {
			t.Errorf("%d opens limited", s.OpensLimited)
		}
	})
}

// What the loops do is counted, each by itself, and the same whoever they are.
func TestLoopStats(t *testing.T) {
	onEach(t, func(t *testing.T, h harness) {
		g := h.start(t, gateway.Config{Router: greeter()})
		var all []*client
		for range 6 {
			all = append(all, g.join())
		}
		must(t, g.Broadcast(t.Context(), make([]byte, 60)))
		must(t, g.Broadcast(t.Context(), make([]byte, 5000)))
		for _, c := range all {
			c.read()
			c.read()
		}
		await.Until(t, func() string {
			var flushes transport.Histogram
			conns := 0
			s := g.Stats()
			for _, l := range s.Loops {
				flushes = flushes.Plus(l.Flushes)
				conns += l.Connections
				if l.Tasks != 0 || l.MailboxBytes != 0 {
					return fmt.Sprintf("loop %d has %d tasks, %d bytes", l.Index, l.Tasks, l.MailboxBytes)
				}
			}
			switch {
			case conns != 6:
				return fmt.Sprint(conns, " connections")
			case flushes.Sum != float64(s.BytesOut):
				return fmt.Sprint(flushes.Sum, " bytes flushed, ", s.BytesOut, " sent")
			case flushes.Count() > s.MessagesOut || flushes.Count() < 2*6:
				return fmt.Sprint(flushes.Count(), " writes for ", s.MessagesOut, " messages")
			case flushes.Counts[0]+flushes.Counts[1] < 6:
				return fmt.Sprint("sizes ", flushes.Counts)
			}
			return ""
		})
		must(t, g.stop())
		conns, writes := 0, int64(0)
		for _, l := range g.Stats().Loops {
			conns += l.Connections
			writes += l.Flushes.Count()
		}
		if conns != 0 || writes < 12 {
			t.Errorf("after the end %d connections and %d writes", conns, writes)
		}
	})
}

// Workers are counted, and so are clients that wait for one.
func TestWorkerStats(t *testing.T) {
	release := make(chan struct{})
	gw := gatewaytest.New(t, gateway.Config{Workers: 2, Router: hooks.RouterFuncs{
		OnMessage: func(context.Context, hooks.Bus, hooks.MessageEvent) { <-release },
	}})
	for range 5 {
		gw.Connect("/").Send("block")
	}
	gw.Eventually("two calls and three clients that wait", func() bool {
		return gw.Stats().Workers == gateway.WorkerStats{Limit: 2, Running: 2, Busy: 2, Waiting: 3}
	})
	close(release)
	gw.Settle()
	if w := gw.Stats().Workers; w.Busy != 0 || w.Waiting != 0 {
		t.Errorf("at rest: %+v", w)
	}
}

// A loop that something holds up is late, and is seen to be, at the time and later.
func TestLoopLag(t *testing.T) {
	onEach(t, func(t *testing.T, h harness) {
		release := make(chan struct{})
		g := h.start(t, gateway.Config{Inline: true, Router: hooks.RouterFuncs{
			OnMessage: func(context.Context, hooks.Bus, hooks.MessageEvent) { <-release },
		}})
		g.connect().send("block")
		await.Until(t, func() string {
			if late := g.Stats().LoopLate; late < 50*time.Millisecond {
				return fmt.Sprint("late by ", late)
			}
			return ""
		})
		close(release)
		await.Until(t, func() string {
			s := g.Stats()
			if s.LoopLate > 0 || s.LoopLag.Count() == 0 || s.LoopLag.Quantile(1) < 0.05 || s.LoopLag.Sum < 0.05 {
				return fmt.Sprint("late by ", s.LoopLate, ", and before that ", s.LoopLag)
			}
			return ""
		})
	})
}

// Those who do not read are found, the worst first, and nobody else.
func TestSlowClients(t *testing.T) {
	onEach(t, func(t *testing.T, h harness) {
		g := h.start(t, gateway.Config{Router: greeter(), Slow: transport.SlowDropNewest, WriteLimit: 4 << 20})
		fast, slow, worse := g.join(), g.join(), g.join()
		must(t, g.UpdateConnInfo(t.Context(), hooks.ConnInfoUpdate{UniqID: worse.id, NewCustomerID: "customer"}))
		await.Until(t, func() string { // some sockets take a moment for each write
			found, err := g.SlowClients(t.Context(), 10)
			if must(t, err); len(found) > 0 {
				return fmt.Sprint("while all read: ", found)
			}
			return ""
		})
		fill := func(c *client, atLeast int) {
			await.Until(t, func() string {
				must(t, g.SingleCast(t.Context(), c.id, make([]byte, 64<<10)))
				found, err := g.SlowClients(t.Context(), 10)
				must(t, err)
				if i := slices.IndexFunc(found, func(s gateway.SlowClient) bool { return s.UniqID == c.id }); i < 0 || found[i].Waiting < atLeast {
					return fmt.Sprint("not so much waits: ", found)
				}
				return ""
			})
		}
		fill(slow, 256<<10)
		fill(worse, 2<<20)
		must(t, g.SingleCast(t.Context(), fast.id, []byte("served")))
		fast.expect("served")
		await.Until(t, func() string {
			found, err := g.SlowClients(t.Context(), 10)
			must(t, err)
			if len(found) != 2 || found[0].UniqID != worse.id || found[0].CustomerID != "customer" || found[1].UniqID != slow.id || found[1].CustomerID != "" {
				return fmt.Sprintf("found %+v, want %s and %s", found, worse.id, slow.id)
			}
			return ""
		})
		if found, err := g.SlowClients(t.Context(), 1); len(found) != 1 || found[0].UniqID != worse.id || err != nil {
			t.Errorf("the worst is %v, %v", found, err)
		}
		if _, err := g.SlowClients(t.Context(), 0); err == nil {
			t.Error("none were asked for")
		}
		ended, end := context.WithCancel(t.Context())
		end()
		if _, err := g.SlowClients(ended, 1); err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// breaks is a transport that ends when it is told to.
type breaks struct {
	transport.Transport
	broken <-chan struct{}
}

func (b breaks) Serve(ctx context.Context, o transport.Options, h transport.Handler) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var ending sync.WaitGroup
	defer ending.Wait()
	ending.Go(func() {
		select {
		case <-b.broken:
			cancel()
		case <-ctx.Done():
		}
	})
	return b.Transport.Serve(ctx, o, h)
}

// A gateway that has lost a transport is not ready any more, even while handlers
// have yet to return.
func TestStatusWithoutTransport(t *testing.T) {
	broken, release, entered := make(chan struct{}), make(chan struct{}), make(chan struct{})
	p := pipe.New()
	gw, err := gateway.New(gateway.Config{
		Transports: []transport.Transport{p, breaks{pipe.New(), broken}},
		Router: hooks.RouterFuncs{OnOpen: func(context.Context, hooks.Bus, hooks.OpenEvent) {
			close(entered)
			<-release
		}},
	})
	must(t, err)
	g := &host{Gateway: gw, t: t, dial: dialPipe(p)}
	ended := make(chan error, 1)
	go func() { ended <- gw.Run(t.Context()) }()
	<-gw.Ready()
	if s := gw.Status(); s != gateway.StatusServing {
		t.Errorf("status %v", s)
	}
	g.connect()
	<-entered
	close(broken)
	await.Until(t, func() string {
		if s := gw.Status(); s != gateway.StatusDraining {
			return "status " + s.String()
		}
		return ""
	})
	close(release)
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "stopped by itself") {
		t.Errorf("Run: %v", err)
	}
}

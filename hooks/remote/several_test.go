package remote_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/hooks/limit"
	"github.com/sluicegate/sluice/hooks/remote"
	"github.com/sluicegate/sluice/internal/await"
	"github.com/sluicegate/sluice/protocol/business"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// pair is one business process with two gateways; a and b are clients of the
// first, c of the second.
type pair struct {
	sdk           *business.Client
	first, second *host
	a, b, c       *client
}

func newPair(t *testing.T, r hooks.Router, change ...func(*gateway.Config)) *pair {
	t.Helper()
	p := new(pair)
	var addrs []business.Gateway
	for i, h := range []**host{&p.first, &p.second} {
		l, err := limit.New(limit.Config{OnOpen: 1000 * (2 - i), OnMessage: 1000 * i})
		must(t, err)
		gc := gateway.Config{Limiter: l}
		for _, f := range change {
			f(&gc)
		}
		*h = start(t, remote.Config{}, gc)
		addrs = append(addrs, business.Gateway{Worker: (*h).rt.WorkerAddr().String(), Task: (*h).rt.TaskAddr().String()})
	}
	var err error
	p.sdk, err = business.New(business.Config{Gateways: addrs, Router: r, StopTimeout: time.Second, Logger: quiet()})
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.sdk.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		must(t, <-ended)
	})
	<-p.sdk.Ready()
	p.a, p.b, p.c = p.first.join(), p.first.join(), p.second.join()
	return p
}

// A Client of two gateways is one Bus: what names a client goes to its gateway
// alone, everything else to both, and answers are merged.
func TestTwoGateways(t *testing.T) { actOnPair(t, newPair(t, hooks.RouterFuncs{})) }

func actOnPair(t *testing.T, p *pair) {
	ctx, sdk := t.Context(), p.sdk
	for _, c := range []*client{p.a, p.b, p.c} {
		must(t, sdk.UpdateConnInfo(ctx, hooks.ConnInfoUpdate{UniqID: c.id, NewCustomerID: "customer", NewTopics: []string{"news"}}))
	}
	must(t, sdk.Subscribe(ctx, p.c.id, []string{"second"}, nil))
	all := []string{p.a.id, p.b.id, p.c.id}
	slices.Sort(all)

	must(t, sdk.SingleCast(ctx, p.c.id, msg("1")))
	must(t, sdk.Multicast(ctx, []string{p.c.id, p.a.id, "nobody", p.c.id}, msg("2")))
	must(t, sdk.SingleCastBulk(ctx, []string{p.b.id, p.c.id, p.a.id}, msgs("for b", "for c", "for a")))
	must(t, sdk.Publish(ctx, []string{"news"}, msg("3")))
	must(t, sdk.SingleCastByCustomerID(ctx, "customer", msg("4")))
	must(t, sdk.Gateway(1).Broadcast(ctx, msg("5")))
	must(t, sdk.Broadcast(ctx, msg("6")))
	p.a.expect("2", "for a", "3", "4", "6")
	p.b.expect("for b", "3", "4", "6")
	p.c.expect("1", "2", "2", "for c", "3", "4", "5", "6")
	// Nothing was sent to a gateway that it was not for: but for the unknown
	// id, which may be anybody's.
	for i, h := range []*host{p.first, p.second} {
		if n := h.Stats().Drops[hooks.DropUnknown].Messages; n != 1 {
			t.Errorf("gateway %d dropped %d messages for clients that are not there, want 1", i, n)
		}
	}

	sorted := func(ids []string, err error) string {
		must(t, err)
		slices.Sort(ids)
		return fmt.Sprint(ids)
	}
	text := func(v any, err error) string {
		must(t, err)
		return fmt.Sprint(v)
	}
	for _, tc := range []struct{ what, got, want string }{
		{"UniqIDs", sorted(sdk.UniqIDs(ctx)), fmt.Sprint(all)},
		{"CheckOnline", sorted(sdk.CheckOnline(ctx, []string{p.c.id, "nobody", p.a.id, p.b.id})), fmt.Sprint(all)},
		{"CustomerIDs", sorted(sdk.CustomerIDs(ctx)), "[customer]"},
		{"Topics", sorted(sdk.Topics(ctx)), "[news second]"},
		{"UniqIDCount", text(sdk.UniqIDCount(ctx)), "3"},
		{"CustomerIDCount", text(sdk.CustomerIDCount(ctx)), "2"},
		{"TopicCount", text(sdk.TopicCount(ctx)), "3"},
		{"TopicUniqIDCounts", text(sdk.TopicUniqIDCounts(ctx, nil, true)), "map[news:3 second:1]"},
		{"TopicCustomerIDs", text(sdk.TopicCustomerIDs(ctx, []string{"news", "never"})), "map[news:[customer]]"},
		{"TopicCustomerIDCounts", text(sdk.TopicCustomerIDCounts(ctx, []string{"news"}, false)), "map[news:2]"},
		{"Limit, the lowest there is", text(sdk.Limit(ctx, hooks.Limits{})), "{1000 1000}"},
		{"Limit, set everywhere", text(sdk.Limit(ctx, hooks.Limits{OnOpen: 50})), "{50 1000}"},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: %s, want %s", tc.what, tc.got, tc.want)
		}
	}
	topics, err := sdk.TopicUniqIDs(ctx, []string{"news"})
	if got := sorted(topics["news"], err); got != fmt.Sprint(all) {
		t.Errorf("TopicUniqIDs: %s", got)
	}
	nested, err := sdk.TopicCustomerUniqIDs(ctx, []string{"news"})
	if got := sorted(nested["news"]["customer"], err); got != fmt.Sprint(all) {
		t.Errorf("TopicCustomerUniqIDs: %s", got)
	}
	infos, err := sdk.ConnInfo(ctx, []string{p.a.id, p.c.id, "nobody"}, hooks.ConnInfoFields{CustomerID: true})
	if must(t, err); len(infos) != 2 || infos[p.a.id].CustomerID != "customer" || infos[p.c.id].CustomerID != "customer" {
		t.Errorf("ConnInfo: %v", infos)
	}
	byCustomer, err := sdk.ConnInfoByCustomerID(ctx, []string{"customer"}, hooks.ConnInfoFields{UniqID: true})
	if must(t, err); len(byCustomer["customer"]) != 3 {
		t.Errorf("ConnInfoByCustomerID: %v", byCustomer)
	}
	metrics, err := sdk.Metrics(ctx)
	if must(t, err); metrics[hooks.MetricOpened].Count != 3 {
		t.Errorf("Metrics: %v", metrics[hooks.MetricOpened])
	}
	must(t, sdk.ForceOffline(ctx, []string{p.c.id, p.a.id}, nil))
	if got := sorted(sdk.UniqIDs(ctx)); got != fmt.Sprint([]string{p.b.id}) {
		t.Errorf("after ForceOffline there are %s", got)
	}
}

// One gateway that is gone is an error that names it, with the other's answer.
func TestGatewayGone(t *testing.T) {
	p := newPair(t, hooks.RouterFuncs{})
	must(t, p.second.stop())
	await.Until(t, func() string {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		n, err := p.sdk.UniqIDCount(ctx)
		if n != 2 || err == nil {
			t.Fatalf("%d, %v; want what the first gateway says, and an error", n, err)
		}
		gone := (*business.UnreachableError)(nil)
		if !errors.As(err, &gone) || gone.Addr != p.second.rt.TaskAddr().String() || !strings.Contains(err.Error(), "cannot be reached") {
			return err.Error() // it has not been noticed yet
		}
		return ""
	})
	must(t, p.sdk.SingleCast(t.Context(), p.a.id, msg("still served")))
	p.a.expect("still served")
}

// Connections that break are made again: the process registers again, and
// commands that wait go out.
func TestReconnect(t *testing.T) {
	h := start(t, buffered(), gateway.Config{})
	proxy := newProxy(t, h.rt.WorkerAddr())
	tasks := newProxy(t, h.rt.TaskAddr())
	sdk, err := business.New(business.Config{
		Gateways: []business.Gateway{{Worker: proxy.addr(), Task: tasks.addr()}}, Router: echo(),
		MinBackoff: time.Millisecond, MaxBackoff: 10 * time.Millisecond, Logger: quiet(),
	})
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- sdk.Run(ctx) }()
	<-sdk.Ready()
	a := h.join()
	for i := range 5 {
		a.send(fmt.Sprint("before ", i))
		a.expect(fmt.Sprint("before ", i))
		proxy.cut()
		tasks.cut()
		await.Until(t, func() string {
			registered := strings.Count(h.log.String(), "business process registered")
			if s := h.rt.Stats(); registered != i+2 || s.Processes != 1 || s.Tasks != 4 {
				return fmt.Sprintf("registered %d times, %+v", registered, s)
			}
			return ""
		})
		a.send(fmt.Sprint("after ", i))
		a.expect(fmt.Sprint("after ", i))
	}
	cancel()
	must(t, <-ended)
	if sdk.Stats().Reconnects == 0 {
		t.Error("nothing was cut")
	}
}

// proxy passes TCP connections on, and can cut them.
type proxy struct {
	ln    net.Listener
	conns chan net.Conn
}

func newProxy(t *testing.T, to net.Addr) *proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	p := &proxy{ln: ln, conns: make(chan net.Conn, 1000)}
	t.Cleanup(func() {
		ln.Close()
		p.cut()
	})
	go func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to.String())
			if err != nil {
				in.Close()
				continue
			}
			p.conns <- in
			p.conns <- out
			for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
				go func() {
					buf := make([]byte, 4096)
					for {
						n, err := way[0].Read(buf)
						_, _ = way[1].Write(buf[:n])
						if err != nil {
							way[0].Close()
							way[1].Close()
							return
						}
					}
				}()
			}
		}
	}()
	return p
}

func (p *proxy) addr() string { return p.ln.Addr().String() }

func (p *proxy) cut() {
	for {
		select {
		case c := <-p.conns:
			c.Close()
		default:
			return
		}
	}
}

// The SDK needs no gateway and no event engine.
func TestSDKStandsAlone(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "github.com/sluicegate/sluice/protocol/business").Output()
	must(t, err)
	for _, dep := range strings.Fields(string(out)) {
		if strings.Contains(dep, "sluice/gateway") || strings.Contains(dep, "sluice/transport") || strings.Contains(dep, "gnet") {
			t.Errorf("it imports %s", dep)
		}
	}
}

// A host routes some clients in process and others to a business process, some
// messages here and others there, and uses the Bus at the same time.
func TestMix(t *testing.T) {
	local := hooks.RouterFuncs{OnMessage: func(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
		_ = bus.SingleCast(ctx, e.UniqID, []byte("here: "+string(e.Data)))
	}}
	elsewhere := hooks.RouterFuncs{OnMessage: func(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
		_ = bus.SingleCast(ctx, e.UniqID, []byte("there: "+string(e.Data)))
	}}
	var h *host
	there := func() hooks.Router { return h.rt }
	mix := hooks.ByClient(func(e hooks.OpenEvent) hooks.Router {
		switch e.Path {
		case "/here":
			return local
		case "/there":
			return there()
		}
		return hooks.ByMessage(func(e hooks.MessageEvent) hooks.Router {
			if strings.HasPrefix(string(e.Data), "!") {
				return local
			}
			return there()
		}, hooks.Tee(local, there()))
	})
	h = start(t, remote.Config{}, gateway.Config{Router: mix})
	h.serve(t, elsewhere)
	here, far, both := h.connect("/here", nil), h.connect("/there", nil), h.connect("/both", nil)
	for _, c := range []*client{here, far, both} {
		c.send("hello")
	}
	here.expect("here: hello")
	far.expect("there: hello")
	both.expect("there: hello")
	both.send("!now")
	both.expect("here: !now")
	must(t, h.Broadcast(t.Context(), msg("from the host")))
	for _, c := range []*client{here, far, both} {
		c.expect("from the host")
	}
}

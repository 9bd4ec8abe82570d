package business_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/protocol"
	"github.com/sluicegate/sluice/protocol/business"
)

type (
	pb  = proto.Message
	bss = [][]byte
)

// Every command goes where its clients are, with what is theirs; one that names
// none goes everywhere.
func TestCommandsAreSplit(t *testing.T) {
	a, b := newFake(t), newFake(t)
	c := run(t, config(nil, a, b), true)
	ctx, data := t.Context(), []byte("d")
	a1, a2, b1, x := a.id(1), a.id(2), b.id(1), "stranger"
	ids := []string{b1, a1, x, a2, a1}
	names := []string{"n", "m"}
	both := func(m pb) [2]pb { return [2]pb{m, m} }
	for _, step := range []struct {
		name string
		do   func() error
		want [2]pb // of a and b
	}{
		{"Broadcast", func() error { return c.Broadcast(ctx, data) }, both(&protocol.Broadcast{Data: data})},
		{"Multicast", func() error { return c.Multicast(ctx, ids, data) }, [2]pb{
			&protocol.Multicast{UniqIds: []string{a1, x, a2, a1}, Data: data}, &protocol.Multicast{UniqIds: []string{b1, x}, Data: data},
		}},
		{"Multicast to one", func() error { return c.Multicast(ctx, []string{b1}, data) }, [2]pb{1: &protocol.Multicast{UniqIds: []string{b1}, Data: data}}},
		{"Multicast to none", func() error { return c.Multicast(ctx, nil, data) }, [2]pb{}},
		{"MulticastByCustomerID", func() error { return c.MulticastByCustomerID(ctx, names, data) },
			both(&protocol.MulticastByCustomerId{CustomerIds: names, Data: data})},
		{"MulticastByCustomerID to none", func() error { return c.MulticastByCustomerID(ctx, nil, data) }, [2]pb{}},
		{"SingleCast", func() error { return c.SingleCast(ctx, a1, data) }, [2]pb{&protocol.SingleCast{UniqId: a1, Data: data}}},
		{"SingleCast to a stranger", func() error { return c.SingleCast(ctx, x, data) }, both(&protocol.SingleCast{UniqId: x, Data: data})},
		{"SingleCast to another node", func() error { return c.SingleCast(ctx, idOf(protocol.Node{1}, 1), data) },
			both(&protocol.SingleCast{UniqId: idOf(protocol.Node{1}, 1), Data: data})},
		{"SingleCastByCustomerID", func() error { return c.SingleCastByCustomerID(ctx, "n", data) },
			both(&protocol.SingleCastByCustomerId{CustomerId: "n", Data: data})},
		{"SingleCastBulk", func() error {
			return c.SingleCastBulk(ctx, ids, bss{{0}, {1}, {2}, {3}, {4}})
		}, [2]pb{
			&protocol.SingleCastBulk{UniqIds: []string{a1, x, a2, a1}, Data: bss{{1}, {2}, {3}, {4}}},
			&protocol.SingleCastBulk{UniqIds: []string{b1, x}, Data: bss{{0}, {2}}},
		}},
		{"SingleCastBulk to one", func() error { return c.SingleCastBulk(ctx, []string{b1}, bss{{0}, {1}}) },
			[2]pb{1: &protocol.SingleCastBulk{UniqIds: []string{b1}, Data: bss{{0}, {1}}}}},
		{"SingleCastBulk to one stranger", func() error { return c.SingleCastBulk(ctx, []string{x}, bss{{0}, {1}}) },
			both(&protocol.SingleCastBulk{UniqIds: []string{x}, Data: bss{{0}, {1}}})},
		{"SingleCastBulk to none", func() error { return c.SingleCastBulk(ctx, nil, nil) }, [2]pb{}},
		{"SingleCastBulkByCustomerID", func() error { return c.SingleCastBulkByCustomerID(ctx, names, bss{{0}, {1}}) },
			both(&protocol.SingleCastBulkByCustomerId{CustomerIds: names, Data: bss{{0}, {1}}})},
		{"Subscribe", func() error { return c.Subscribe(ctx, b1, names, data) },
			[2]pb{1: &protocol.TopicSubscribe{UniqId: b1, Topics: names, Data: data}}},
		{"Unsubscribe", func() error { return c.Unsubscribe(ctx, a1, names, data) },
			[2]pb{&protocol.TopicUnsubscribe{UniqId: a1, Topics: names, Data: data}}},
		{"Subscribe to nothing", func() error { return errors.Join(c.Subscribe(ctx, b1, nil, data), c.Unsubscribe(ctx, b1, nil, data)) }, [2]pb{}},
		{"DeleteTopics", func() error { return c.DeleteTopics(ctx, names, data) }, both(&protocol.TopicDelete{Topics: names, Data: data})},
		{"Publish", func() error { return c.Publish(ctx, names, data) }, both(&protocol.TopicPublish{Topics: names, Data: data})},
		{"Publish to nothing", func() error { return errors.Join(c.Publish(ctx, nil, data), c.DeleteTopics(ctx, nil, data)) }, [2]pb{}},
		{"PublishBulk", func() error { return c.PublishBulk(ctx, names, bss{{0}, {1}}) },
			both(&protocol.TopicPublishBulk{Topics: names, Data: bss{{0}, {1}}})},
		{"UpdateConnInfo", func() error {
			return c.UpdateConnInfo(ctx, hooks.ConnInfoUpdate{UniqID: b1, NewSession: "s", NewCustomerID: "c", NewTopics: names, Data: data})
		}, [2]pb{1: &protocol.ConnInfoUpdate{UniqId: b1, NewSession: "s", NewCustomerId: "c", NewTopics: names, Data: data}}},
		{"DeleteConnInfo", func() error {
			return c.DeleteConnInfo(ctx, hooks.ConnInfoDelete{UniqID: a1, Session: true, CustomerID: true, Topics: true, Data: data})
		}, [2]pb{&protocol.ConnInfoDelete{UniqId: a1, DelSession: true, DelCustomerId: true, DelTopic: true, Data: data}}},
		{"ForceOffline", func() error { return c.ForceOffline(ctx, ids, data) }, [2]pb{
			&protocol.ForceOffline{UniqIds: []string{a1, x, a2, a1}, Data: data}, &protocol.ForceOffline{UniqIds: []string{b1, x}, Data: data},
		}},
		{"ForceOfflineByCustomerID", func() error { return c.ForceOfflineByCustomerID(ctx, names, data) },
			both(&protocol.ForceOfflineByCustomerId{CustomerIds: names, Data: data})},
		{"ForceOfflineByCustomerID of none", func() error { return c.ForceOfflineByCustomerID(ctx, nil, data) }, [2]pb{}},
		{"ForceOfflineGuest", func() error { return c.ForceOfflineGuest(ctx, []string{b1, a1}, 1500*time.Millisecond, data) }, [2]pb{
			&protocol.ForceOfflineGuest{UniqIds: []string{a1}, Delay: 2, Data: data},
			&protocol.ForceOfflineGuest{UniqIds: []string{b1}, Delay: 2, Data: data},
		}},
		{"ForceOfflineGuest in the past", func() error { return c.ForceOfflineGuest(ctx, []string{a1}, -time.Hour, data) },
			[2]pb{&protocol.ForceOfflineGuest{UniqIds: []string{a1}, Data: data}}},
		{"ForceOfflineGuest at the end of time", func() error { return c.ForceOfflineGuest(ctx, []string{a1}, math.MaxInt64, data) },
			[2]pb{&protocol.ForceOfflineGuest{UniqIds: []string{a1}, Delay: math.MaxInt32, Data: data}}},
	} {
		was := [2]int{len(a.got(commands)), len(b.got(commands))}
		if err := step.do(); err != nil {
			t.Errorf("%s: %v", step.name, err)
		}
		c.settled()
		for i, g := range []*fake{a, b} {
			got := g.got(commands)[was[i]:]
			if step.want[i] == nil {
				if len(got) > 0 {
					t.Errorf("%s: gateway %d was sent %v, want nothing", step.name, i, got[0].cmd)
				}
				continue
			}
			if len(got) != 1 {
				t.Errorf("%s: gateway %d was sent %d commands, want 1", step.name, i, len(got))
				continue
			}
			m := step.want[i].ProtoReflect().New().Interface()
			if as(t, got[0], m); !proto.Equal(m, step.want[i]) {
				t.Errorf("%s: gateway %d was sent %v, want %v", step.name, i, m, step.want[i])
			}
			if name := string(m.ProtoReflect().Descriptor().Name()); name != got[0].cmd.String() {
				t.Errorf("%s: %s came as %v", step.name, name, got[0].cmd)
			}
		}
	}
}

// Lists that do not pair up are an error before anything is sent.
func TestBulkMismatchSendsNothing(t *testing.T) {
	a, b := newFake(t), newFake(t)
	c := run(t, config(nil, a, b), true)
	ids := []string{a.id(1), b.id(1)}
	for name, f := range map[string]func(context.Context, []string, [][]byte) error{
		"SingleCastBulk": c.SingleCastBulk, "SingleCastBulkByCustomerID": c.SingleCastBulkByCustomerID, "PublishBulk": c.PublishBulk,
		"SingleCastBulk of one gateway": c.Gateway(1).SingleCastBulk,
	} {
		for _, lists := range []struct {
			ids  []string
			data [][]byte
		}{{ids, bss{{1}}}, {ids, nil}, {ids, bss{{1}, {2}, {3}}}, {nil, bss{{1}}}, {ids[:1], nil}} {
			if err := f(t.Context(), lists.ids, lists.data); !errors.Is(err, hooks.ErrBulkMismatch) {
				t.Errorf("%s of %d ids and %d data: %v", name, len(lists.ids), len(lists.data), err)
			}
		}
	}
	c.settled()
	if n := len(a.got(commands)) + len(b.got(commands)); n != 0 {
		t.Errorf("%d commands were sent, want none", n)
	}
}

// Three gateways' answers become one.
func TestAnswersAreMerged(t *testing.T) {
	gates := []*fake{newFake(t), newFake(t), newFake(t)}
	c := run(t, config(nil, gates...), true)
	ctx := t.Context()
	a1, b1, c1 := gates[0].id(1), gates[1].id(1), gates[2].id(1)
	topics := []string{"t", "u"}

	lists := [][]string{{"x", "a"}, {"b", "x", "a"}, nil}
	counts := []int32{5, 0, 7}
	for i, g := range gates {
		g.reply(protocol.Cmd_UniqIdList, &protocol.UniqIdListResp{UniqIds: lists[i]})
		g.reply(protocol.Cmd_CustomerIdList, &protocol.CustomerIdListResp{CustomerIds: lists[i]})
		g.reply(protocol.Cmd_TopicList, &protocol.TopicListResp{Topics: lists[i]})
		g.reply(protocol.Cmd_UniqIdCount, &protocol.UniqIdCountResp{Count: counts[i]})
		g.reply(protocol.Cmd_CustomerIdCount, &protocol.CustomerIdCountResp{Count: counts[i]})
		g.reply(protocol.Cmd_TopicCount, &protocol.TopicCountResp{Count: counts[i]})
		own := fmt.Sprint("own", i)
		g.reply(protocol.Cmd_TopicUniqIdList, &protocol.TopicUniqIdListResp{Items: map[string]*protocol.TopicUniqIdListResp_Item{
			"t": {UniqIds: lists[i]}, own: {UniqIds: []string{own}},
		}})
		g.reply(protocol.Cmd_TopicCustomerIdList, &protocol.TopicCustomerIdListResp{Items: map[string]*protocol.TopicCustomerIdListResp_Item{
			"t": {CustomerIds: lists[i]}, own: {CustomerIds: []string{own}},
		}})
		g.reply(protocol.Cmd_TopicUniqIdCount, &protocol.TopicUniqIdCountResp{Items: map[string]int32{"t": counts[i], own: 1}})
		g.reply(protocol.Cmd_TopicCustomerIdCount, &protocol.TopicCustomerIdCountResp{Items: map[string]int32{"t": counts[i], own: 1}})
		g.reply(protocol.Cmd_TopicCustomerIdToUniqIdsList, &protocol.TopicCustomerIdToUniqIdsListResp{
			Items: map[string]*protocol.TopicCustomerIdToUniqIdsListResp_Item{
				"t": {Items: map[string]*protocol.TopicCustomerIdToUniqIdsListResp_Customer{"c": {UniqIds: lists[i]}, own: {UniqIds: []string{own}}}},
			},
		})
		g.reply(protocol.Cmd_CheckOnline, &protocol.CheckOnlineResp{UniqIds: []string{g.id(1), "stranger"}})
		g.reply(protocol.Cmd_ConnInfo, &protocol.ConnInfoResp{Items: map[string]*protocol.ConnInfoResp_Item{
			g.id(1): {Session: own, CustomerId: "c", Topics: topics},
		}})
		g.reply(protocol.Cmd_ConnInfoByCustomerId, &protocol.ConnInfoByCustomerIdResp{Items: map[string]*protocol.ConnInfoByCustomerIdResp_Items{
			"c": {Items: []*protocol.ConnInfoByCustomerIdResp_Item{{Session: own, UniqId: g.id(1), Topics: topics}}},
			own: {Items: []*protocol.ConnInfoByCustomerIdResp_Item{{Session: own}}},
		}})
		g.reply(protocol.Cmd_Metrics, &protocol.MetricsResp{Items: map[int32]*protocol.MetricsResp_Item{
			1: {Item: 1, Count: 1 << 40, MeanRate: 0.5, Rate1: 1, Rate5: 2, Rate15: 4}, int32(2 + i): {Item: int32(2 + i), Count: 3},
		}})
		g.reply(protocol.Cmd_Limit, &protocol.LimitResp{OnOpen: []int32{0, 9, 8}[i], OnMessage: 0})
	}

	ask := func(name string, got any, err error, want any) {
		t.Helper()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, %v, want %v", name, got, err, want)
		}
	}
	set := func(s []string, err error) ([]string, error) { return sorted(s), err }
	sets := func(m map[string][]string) map[string][]string {
		for k := range m {
			m[k] = sorted(m[k])
		}
		return m
	}
	abx := []string{"a", "b", "x"}
	list, err := set(c.UniqIDs(ctx))
	ask("UniqIDs", list, err, abx)
	list, err = set(c.CustomerIDs(ctx))
	ask("CustomerIDs", list, err, abx)
	list, err = set(c.Topics(ctx))
	ask("Topics", list, err, abx)
	n, err := c.UniqIDCount(ctx)
	ask("UniqIDCount", n, err, 12)
	n, err = c.CustomerIDCount(ctx)
	ask("CustomerIDCount", n, err, 12)
	n, err = c.TopicCount(ctx)
	ask("TopicCount", n, err, 12)
	owns := map[string][]string{"t": abx, "own0": {"own0"}, "own1": {"own1"}, "own2": {"own2"}}
	m, err := c.TopicUniqIDs(ctx, topics)
	ask("TopicUniqIDs", sets(m), err, owns)
	m, err = c.TopicCustomerIDs(ctx, topics)
	ask("TopicCustomerIDs", sets(m), err, owns)
	sums := map[string]int{"t": 12, "own0": 1, "own1": 1, "own2": 1}
	k, err := c.TopicUniqIDCounts(ctx, topics, true)
	ask("TopicUniqIDCounts", k, err, sums)
	k, err = c.TopicCustomerIDCounts(ctx, topics, true)
	ask("TopicCustomerIDCounts", k, err, sums)
	mm, err := c.TopicCustomerUniqIDs(ctx, topics)
	sets(mm["t"])
	delete(owns, "t")
	owns["c"] = abx
	ask("TopicCustomerUniqIDs", mm, err, map[string]map[string][]string{"t": owns})
	list, err = set(c.CheckOnline(ctx, []string{a1, b1, c1, "stranger"}))
	ask("CheckOnline", list, err, sorted([]string{a1, b1, c1, "stranger"}))
	info, err := c.ConnInfo(ctx, []string{a1, c1}, hooks.ConnInfoFields{UniqID: true, Session: true, CustomerID: true, Topics: true})
	ask("ConnInfo", info, err, map[string]hooks.ConnInfo{
		a1: {UniqID: a1, Session: "own0", CustomerID: "c", Topics: topics}, c1: {UniqID: c1, Session: "own2", CustomerID: "c", Topics: topics},
	})
	infos, err := c.ConnInfoByCustomerID(ctx, []string{"c"}, hooks.ConnInfoFields{UniqID: true, CustomerID: true})
	if ids := map[string]bool{}; err != nil || len(infos) != 4 || len(infos["c"]) != 3 {
		t.Errorf("ConnInfoByCustomerID: %v, %v", infos, err)
	} else {
		for _, i := range infos["c"] {
			ids[i.UniqID] = i.CustomerID == "c"
		}
		ask("ConnInfoByCustomerID", ids, nil, map[string]bool{a1: true, b1: true, c1: true})
	}
	metrics, err := c.Metrics(ctx)
	ask("Metrics", metrics, err, map[hooks.MetricItem]hooks.Metric{
		1: {Count: 3 << 40, MeanRate: 1.5, Rate1: 3, Rate5: 6, Rate15: 12}, 2: {Count: 3}, 3: {Count: 3}, 4: {Count: 3},
	})
	limits, err := c.Limit(ctx, hooks.Limits{OnOpen: 9, OnMessage: -1})
	ask("Limit", limits, err, hooks.Limits{OnOpen: 8})
	n, err = c.Gateway(2).UniqIDCount(ctx)
	ask("UniqIDCount of one", n, err, 7)

	// What was asked.
	for i, g := range gates {
		if got := as(t, g.got(is(protocol.Cmd_Limit))[0], new(protocol.LimitReq)); got.GetOnOpen() != 9 || got.GetOnMessage() != 0 {
			t.Errorf("gateway %d was given the limits %v", i, got)
		}
		same(t, "CheckOnline asked", as(t, g.got(is(protocol.Cmd_CheckOnline))[0], new(protocol.CheckOnlineReq)).GetUniqIds(), []string{g.id(1), "stranger"})
		if got := len(g.got(is(protocol.Cmd_ConnInfo))); got != []int{1, 0, 1}[i] {
			t.Errorf("gateway %d was asked ConnInfo %d times", i, got)
		}
		if q := as(t, g.got(is(protocol.Cmd_TopicUniqIdCount))[0], new(protocol.TopicUniqIdCountReq)); !q.GetCountAll() || len(q.GetTopics()) != 2 {
			t.Errorf("gateway %d was asked %v", i, q)
		}
		if q := as(t, g.got(is(protocol.Cmd_ConnInfoByCustomerId))[0], new(protocol.ConnInfoByCustomerIdReq)); !q.GetReqUniqId() || q.GetReqSession() || q.GetReqTopic() {
			t.Errorf("gateway %d was asked %v", i, q)
		}
	}
}

// What one gateway answers is returned beside the error of another.
func TestOneGatewayIsAway(t *testing.T) {
	a := newFake(t)
	a.reply(protocol.Cmd_UniqIdCount, &protocol.UniqIdCountResp{Count: 3})
	cfg := config(nil, a)
	cfg.Gateways = append([]business.Gateway{{Task: nobody(t), Node: protocol.Node{9}}}, cfg.Gateways...)
	c := run(t, cfg, false)
	_, err := c.Gateway(1).UniqIDCount(t.Context())
	must(t, err)

	// The caller's time is not used up by the gateway that is away.
	short := func() context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), 250*time.Millisecond)
		t.Cleanup(cancel)
		return ctx
	}
	gone := (*business.UnreachableError)(nil)
	if n, err := c.UniqIDCount(short()); n != 3 || !errors.As(err, &gone) {
		t.Errorf("UniqIDCount: %d, %v", n, err)
	}
	if err := c.Broadcast(short(), []byte("d")); !errors.As(err, &gone) {
		t.Errorf("Broadcast: %v", err)
	}
	if err := c.Multicast(short(), []string{idOf(protocol.Node{9}, 1), a.id(1)}, []byte("d")); !errors.As(err, &gone) {
		t.Errorf("Multicast: %v", err)
	}
	if err := c.SingleCast(short(), a.id(1), []byte("d")); err != nil {
		t.Errorf("SingleCast: %v", err)
	}
	_, err = c.Gateway(1).UniqIDCount(t.Context())
	must(t, err)
	for _, cmd := range []protocol.Cmd_Number{protocol.Cmd_Broadcast, protocol.Cmd_Multicast, protocol.Cmd_SingleCast} {
		if n := len(a.got(is(cmd))); n != 1 {
			t.Errorf("%v came %d times to the gateway that is there", cmd, n)
		}
	}
}

// Gateways that cannot be reached are waited for at the same time, whatever is
// asked or commanded.
func TestUnreachableGatewaysShareOneWait(t *testing.T) {
	a := newFake(t)
	a.reply(protocol.Cmd_CheckOnline, &protocol.CheckOnlineResp{UniqIds: []string{a.id(1)}})
	a.reply(protocol.Cmd_ConnInfo, &protocol.ConnInfoResp{Items: map[string]*protocol.ConnInfoResp_Item{a.id(1): {Session: "s"}}})
	cfg := config(nil, a)
	cfg.Wait = 300 * time.Millisecond
	const away = 9
	ids := []string{a.id(1)}
	for i := range away {
		node := protocol.Node{9, byte(i)}
		cfg.Gateways = append(cfg.Gateways, business.Gateway{Task: nobody(t), Node: node})
		ids = append(ids, idOf(node, 1))
	}
	c := run(t, cfg, false)
	ctx := t.Context()
	_, err := c.Gateway(0).UniqIDCount(ctx)
	must(t, err)
	for name, do := range map[string]func() (answers int, err error){
		"UniqIDs":     func() (int, error) { _, err := c.UniqIDs(ctx); return 1, err },
		"CheckOnline": func() (int, error) { on, err := c.CheckOnline(ctx, ids); return len(on), err },
		"ConnInfo": func() (int, error) {
			all, err := c.ConnInfo(ctx, ids, hooks.ConnInfoFields{Session: true})
			return len(all), err
		},
		"Broadcast":      func() (int, error) { return 1, c.Broadcast(ctx, nil) },
		"Multicast":      func() (int, error) { return 1, c.Multicast(ctx, ids, nil) },
		"SingleCastBulk": func() (int, error) { return 1, c.SingleCastBulk(ctx, ids, make(bss, len(ids))) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			n, err := do()
			if gone := (*business.UnreachableError)(nil); n != 1 || !errors.As(err, &gone) {
				t.Errorf("%d, %v; want what the first gateway says, and an error", n, err)
			}
			// One after the other they take away times the wait.
			if d := time.Since(began); d > away*cfg.Wait/2 {
				t.Errorf("it took %v for %d gateways", d, away)
			}
		})
	}
}

// A gateway that is behind another address is known by what its clients' ids
// show, or by Config.
func TestNodes(t *testing.T) {
	a, b := newFake(t), newFake(t)
	got := make(chan struct{}, 1)
	cfg := config(hooks.RouterFuncs{OnOpen: func(context.Context, hooks.Bus, hooks.OpenEvent) { got <- struct{}{} }}, a, b)
	shown, set := protocol.Node{10, 0, 0, 1, 0, 1}, protocol.Node{10, 0, 0, 2, 0, 2}
	cfg.Gateways[1].Node = set
	c := run(t, cfg, true)
	a.registered(1).open(idOf(shown, 1))
	b.registered(1).open(idOf(protocol.Node{7}, 1)) // does not go before Config
	<-got
	<-got
	must(t, c.SingleCast(t.Context(), idOf(shown, 2), []byte("a")))
	must(t, c.SingleCast(t.Context(), idOf(set, 2), []byte("b")))
	c.settled()
	same(t, "the first gateway", a.data(), []string{"a"})
	same(t, "the second gateway", b.data(), []string{"b"})
	// It stays known when its connection is made again.
	a.cut(false)
	eventually(t, func() bool { _, err := c.Gateway(0).UniqIDCount(t.Context()); return err == nil }, "not connected again")
	must(t, c.SingleCast(t.Context(), idOf(shown, 3), []byte("c")))
	c.settled()
	same(t, "the first gateway", a.data(), []string{"a", "c"})
	same(t, "the second gateway", b.data(), []string{"b"})
}

package spread_test

import (
	"cmp"
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/spread"
	"github.com/sluicegate/sluice/protocol"
)

// query is a call of a Bus, what of it goes to which gateway, what they answer and
// what comes of that.
type query struct {
	name    string // begins with the method's
	do      func(context.Context, hooks.Bus) (any, error)
	cmd     protocol.Cmd_Number
	want    map[string]pb
	answers map[string]pb
	result  any
}

// of is a query without arguments.
func of[R any](do func(hooks.Bus, context.Context) (R, error)) func(context.Context, hooks.Bus) (any, error) {
	return func(ctx context.Context, b hooks.Bus) (any, error) {
		r, err := do(b, ctx)
		return r, err
	}
}

// three are the answers of three gateways, made of a list and a number of each.
func three(answer func(list []string, n int32) pb) map[string]pb {
	return map[string]pb{"a": answer([]string{"x", "1"}, 5), "b": answer([]string{"2", "x", "1"}, 0), "c": answer(nil, 7)}
}

func queries() []query {
	ids, names := []string{"b1", "a1", "?", "a2"}, []string{"n", "m"}
	union, sum := []string{"1", "2", "x"}, 12
	fields := hooks.ConnInfoFields{UniqID: true, Session: true, CustomerID: true, Topics: true}
	return []query{
		{"UniqIDs", of(hooks.Bus.UniqIDs), protocol.Cmd_UniqIdList, every(nil),
			three(func(l []string, _ int32) pb { return &protocol.UniqIdListResp{UniqIds: l} }), union},
		{"UniqIDCount", of(hooks.Bus.UniqIDCount), protocol.Cmd_UniqIdCount, every(nil),
			three(func(_ []string, n int32) pb { return &protocol.UniqIdCountResp{Count: n} }), sum},
		{"CustomerIDs", of(hooks.Bus.CustomerIDs), protocol.Cmd_CustomerIdList, every(nil),
			three(func(l []string, _ int32) pb { return &protocol.CustomerIdListResp{CustomerIds: l} }), union},
		{"CustomerIDCount", of(hooks.Bus.CustomerIDCount), protocol.Cmd_CustomerIdCount, every(nil),
			three(func(_ []string, n int32) pb { return &protocol.CustomerIdCountResp{Count: n} }), sum},
		{"Topics", of(hooks.Bus.Topics), protocol.Cmd_TopicList, every(nil),
			three(func(l []string, _ int32) pb { return &protocol.TopicListResp{Topics: l} }), union},
		{"TopicCount", of(hooks.Bus.TopicCount), protocol.Cmd_TopicCount, every(nil),
			three(func(_ []string, n int32) pb { return &protocol.TopicCountResp{Count: n} }), sum},
		{"TopicUniqIDs", func(ctx context.Context, b hooks.Bus) (any, error) { return b.TopicUniqIDs(ctx, names) },
			protocol.Cmd_TopicUniqIdList, every(&protocol.TopicUniqIdListReq{Topics: names}),
			three(func(l []string, n int32) pb {
				return &protocol.TopicUniqIdListResp{Items: map[string]*protocol.TopicUniqIdListResp_Item{
					"t": {UniqIds: l}, string('t' + n): {UniqIds: l},
				}}
			}), map[string][]string{"t": union, "y": {"1", "x"}, "{": nil}},
		{"TopicUniqIDCounts", func(ctx context.Context, b hooks.Bus) (any, error) { return b.TopicUniqIDCounts(ctx, names, true) },
			protocol.Cmd_TopicUniqIdCount, every(&protocol.TopicUniqIdCountReq{Topics: names, CountAll: true}),
			three(func(_ []string, n int32) pb {
				return &protocol.TopicUniqIdCountResp{Items: map[string]int32{"t": n, string('A' + n): 1}}
			}), map[string]int{"t": 12, "A": 1, "F": 1, "H": 1}},
		{"TopicCustomerIDs", func(ctx context.Context, b hooks.Bus) (any, error) { return b.TopicCustomerIDs(ctx, names) },
			protocol.Cmd_TopicCustomerIdList, every(&protocol.TopicCustomerIdListReq{Topics: names}),
			three(func(l []string, _ int32) pb {
				return &protocol.TopicCustomerIdListResp{Items: map[string]*protocol.TopicCustomerIdListResp_Item{"t": {CustomerIds: l}}}
			}), map[string][]string{"t": union}},
		{"TopicCustomerUniqIDs", func(ctx context.Context, b hooks.Bus) (any, error) { return b.TopicCustomerUniqIDs(ctx, names) },
			protocol.Cmd_TopicCustomerIdToUniqIdsList, every(&protocol.TopicCustomerIdToUniqIdsListReq{Topics: names}),
			three(func(l []string, n int32) pb {
				return &protocol.TopicCustomerIdToUniqIdsListResp{Items: map[string]*protocol.TopicCustomerIdToUniqIdsListResp_Item{
					"t": {Items: map[string]*protocol.TopicCustomerIdToUniqIdsListResp_Customer{"c": {UniqIds: l}, string('A' + n): {UniqIds: l}}},
				}}
			}), map[string]map[string][]string{"t": {"c": union, "A": union, "F": {"1", "x"}, "H": nil}}},
		{"TopicCustomerIDCounts", func(ctx context.Context, b hooks.Bus) (any, error) { return b.TopicCustomerIDCounts(ctx, names, false) },
			protocol.Cmd_TopicCustomerIdCount, every(&protocol.TopicCustomerIdCountReq{Topics: names}),
			three(func(_ []string, n int32) pb {
				return &protocol.TopicCustomerIdCountResp{Items: map[string]int32{"t": n}}
			}),
			map[string]int{"t": 12}},
		{"CheckOnline", func(ctx context.Context, b hooks.Bus) (any, error) { return b.CheckOnline(ctx, ids) },
			protocol.Cmd_CheckOnline, map[string]pb{
				"a": &protocol.CheckOnlineReq{UniqIds: []string{"a1", "?", "a2"}},
				"b": &protocol.CheckOnlineReq{UniqIds: []string{"b1", "?"}},
				"c": &protocol.CheckOnlineReq{UniqIds: []string{"?"}},
			}, map[string]pb{
				"a": &protocol.CheckOnlineResp{UniqIds: []string{"a2", "?"}},
				"b": &protocol.CheckOnlineResp{UniqIds: []string{"b1", "?"}},
			}, []string{"?", "a2", "b1"}},
		{"ConnInfo", func(ctx context.Context, b hooks.Bus) (any, error) { return b.ConnInfo(ctx, ids[:2], fields) },
			protocol.Cmd_ConnInfo, map[string]pb{
				"a": &protocol.ConnInfoReq{UniqIds: []string{"a1"}, ReqSession: true, ReqCustomerId: true, ReqTopic: true},
				"b": &protocol.ConnInfoReq{UniqIds: []string{"b1"}, ReqSession: true, ReqCustomerId: true, ReqTopic: true},
			}, map[string]pb{
				"a": &protocol.ConnInfoResp{Items: map[string]*protocol.ConnInfoResp_Item{"a1": {Session: "s", CustomerId: "c", Topics: names}}},
				"b": &protocol.ConnInfoResp{Items: map[string]*protocol.ConnInfoResp_Item{"b1": {Session: "z"}}},
			}, map[string]hooks.ConnInfo{
				"a1": {UniqID: "a1", Session: "s", CustomerID: "c", Topics: names}, "b1": {UniqID: "b1", Session: "z"},
			}},
		{"ConnInfo without ids", func(ctx context.Context, b hooks.Bus) (any, error) {
			return b.ConnInfo(ctx, []string{"b1"}, hooks.ConnInfoFields{})
		}, protocol.Cmd_ConnInfo, map[string]pb{"b": &protocol.ConnInfoReq{UniqIds: []string{"b1"}}},
			map[string]pb{"b": &protocol.ConnInfoResp{Items: map[string]*protocol.ConnInfoResp_Item{"b1": {}}}},
			map[string]hooks.ConnInfo{"b1": {}}},
		{"ConnInfoByCustomerID", func(ctx context.Context, b hooks.Bus) (any, error) { return b.ConnInfoByCustomerID(ctx, names, fields) },
			protocol.Cmd_ConnInfoByCustomerId,
			every(&protocol.ConnInfoByCustomerIdReq{CustomerIds: names, ReqSession: true, ReqUniqId: true, ReqTopic: true}),
			three(func(l []string, n int32) pb {
				return &protocol.ConnInfoByCustomerIdResp{Items: map[string]*protocol.ConnInfoByCustomerIdResp_Items{
					"n": {Items: []*protocol.ConnInfoByCustomerIdResp_Item{{UniqId: string('A' + n), Session: "s", Topics: l}}},
				}}
			}), map[string][]hooks.ConnInfo{"n": {
				{UniqID: "A", Session: "s", CustomerID: "n", Topics: []string{"2", "x", "1"}},
				{UniqID: "F", Session: "s", CustomerID: "n", Topics: []string{"x", "1"}},
				{UniqID: "H", Session: "s", CustomerID: "n"},
			}}},
		{"Metrics", of(hooks.Bus.Metrics), protocol.Cmd_Metrics, every(nil),
			three(func(_ []string, n int32) pb {
				return &protocol.MetricsResp{Items: map[int32]*protocol.MetricsResp_Item{
					1: {Item: 1, Count: 1 << 40, MeanRate: 0.5, Rate1: 1, Rate5: 2, Rate15: 4}, 2 + n: {Item: 2 + n, Count: 3},
				}}
			}), map[hooks.MetricItem]hooks.Metric{
				1: {Count: 3 << 40, MeanRate: 1.5, Rate1: 3, Rate5: 6, Rate15: 12}, 2: {Count: 3}, 7: {Count: 3}, 9: {Count: 3},
			}},
		{"Limit", func(ctx context.Context, b hooks.Bus) (any, error) {
			return b.Limit(ctx, hooks.Limits{OnOpen: 9, OnMessage: -1})
		}, protocol.Cmd_Limit, every(&protocol.LimitReq{OnOpen: 9}),
			three(func(_ []string, n int32) pb { return &protocol.LimitResp{OnOpen: n} }), hooks.Limits{OnOpen: 5}},
	}
}

// orderly sorts lists, which come in no particular order.
func orderly(result any) any {
	switch r := result.(type) {
	case []string:
		slices.Sort(r)
	case map[string][]string:
		for _, list := range r {
			slices.Sort(list)
		}
	case map[string]map[string][]string:
		for _, lists := range r {
			orderly(lists)
		}
	case map[string][]hooks.ConnInfo:
		for _, list := range r {
			slices.SortFunc(list, func(a, b hooks.ConnInfo) int { return cmp.Compare(a.UniqID, b.UniqID) })
		}
	}
	return result
}

// Every query goes where there may be an answer, and the answers become one.
func TestQueries(t *testing.T) {
	for _, q := range queries() {
		t.Run(q.name, func(t *testing.T) {
			f := newFakes("a", "b", "c")
			f.answers = q.answers
			result, err := q.do(t.Context(), spread.New(f))
			if err != nil || !reflect.DeepEqual(orderly(result), q.result) {
				t.Errorf("%v, %v, want %v", result, err, q.result)
			}
			f.expect(t, q.cmd, q.want)
		})
	}
}

// With one gateway away there is an error, and beside it what comes of the others'
// answers.
func TestQueriesWithOneAway(t *testing.T) {
	for _, q := range queries() {
		t.Run(q.name, func(t *testing.T) {
			f := newFakes("a", "b", "c")
			f.answers = q.answers
			f.away["b"] = errAway
			result, err := q.do(t.Context(), spread.New(f))
			if !errors.Is(err, errAway) {
				t.Errorf("it returned %v", err)
			}
			f.expect(t, q.cmd, q.want)

			delete(q.answers, "b")
			want, err := q.do(t.Context(), spread.New(f.others()))
			if err != nil || !reflect.DeepEqual(orderly(result), orderly(want)) {
				t.Errorf("%v, %v, want %v", result, err, want)
			}
		})
	}
}

// others are the same gateways with none away; those without an answer give an
// empty one.
func (f *fakes) others() *fakes {
	others := newFakes(f.gates...)
	others.answers = f.answers
	return others
}

// The gateways that share the ids of a query are asked at the same time, and their
// answers come together.
func TestAnswersComeTogether(t *testing.T) {
	for _, name := range []string{"CheckOnline", "ConnInfo"} {
		q := queries()[slices.IndexFunc(queries(), func(q query) bool { return q.name == name })]
		f := newFakes("a", "b", "c")
		f.answers = q.answers
		var waiting sync.WaitGroup
		waiting.Add(len(q.want))
		f.asking = func() {
			waiting.Done()
			waiting.Wait()
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			if result, err := q.do(t.Context(), spread.New(f)); err != nil || !reflect.DeepEqual(orderly(result), q.result) {
				t.Errorf("%s: %v, %v, want %v", name, result, err, q.result)
			}
		}()
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: one gateway is asked after the other", name)
		}
	}
}

// No method is left out above.
func TestEveryMethodIsTested(t *testing.T) {
	tested := make(map[string]bool)
	for _, c := range commands() {
		tested[strings.Fields(c.name)[0]] = true
	}
	for _, q := range queries() {
		tested[strings.Fields(q.name)[0]] = true
	}
	for m := range reflect.TypeFor[hooks.Bus]().Methods() {
		if !tested[m.Name] {
			t.Errorf("%s is not", m.Name)
		}
	}
}

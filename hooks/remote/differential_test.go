package remote_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	peer "github.com/buexplain/netsvr-protocol-go/v6/netsvrProtocol"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/hooks/limit"
	"github.com/sluicegate/sluice/hooks/remote"
	"github.com/sluicegate/sluice/internal/await"
	"github.com/sluicegate/sluice/protocol/business"
)

// Every command is carried out by three kinds of caller, which must not differ:
// the gateway itself in process, package business over TCP, and a client over
// TCP that knows nothing of ours.
func callers(t *testing.T, h *host) map[string]hooks.Bus {
	sdk, err := business.New(business.Config{Gateways: []business.Gateway{{Task: h.rt.TaskAddr().String()}}})
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- sdk.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		must(t, <-ended)
	})
	return map[string]hooks.Bus{
		"in process": h.Gateway,
		"SDK":        sdk,
		"raw":        &rawBus{c: dialRaw(t, h.rt.TaskAddr())},
	}
}

// company is who is there when a command is carried out: customer1 has a and
// b, a and c are in topic x, b is in y.
type company struct {
	*host
	others  []*host // if it is one of several
	ctx     context.Context
	bus     hooks.Bus
	a, b, c *client
}

func newCompany(t *testing.T, caller string) *company {
	h := start(t, remote.Config{}, gateway.Config{Limiter: limiter(t)})
	return (&company{host: h, a: h.join(), b: h.join(), c: h.join()}).called(t, caller)
}

func limiter(t *testing.T) *limit.Limiter {
	t.Helper()
	lim, err := limit.New(limit.Config{OnOpen: 1000, OnMessage: 2000})
	must(t, err)
	return lim
}

// called has commands come from one kind of caller, of the company's own gateway.
func (k *company) called(t *testing.T, caller string) *company {
	t.Helper()
	h := k.host
	k.ctx, k.bus = t.Context(), callers(t, h)[caller]
	for _, u := range []hooks.ConnInfoUpdate{
		{UniqID: k.a.id, NewCustomerID: "customer1", NewSession: "session a", NewTopics: []string{"x"}},
		{UniqID: k.b.id, NewCustomerID: "customer1", NewTopics: []string{"y"}},
		{UniqID: k.c.id, NewTopics: []string{"x"}},
	} {
		must(t, h.UpdateConnInfo(k.ctx, u))
	}
	return k
}

// names puts the clients' names in the place of their ids.
func (k *company) names(s string) string {
	return strings.NewReplacer(k.a.id, "A", k.b.id, "B", k.c.id, "C").Replace(s)
}

// describe writes down an answer so that two can be compared: lists whose order
// says nothing are sorted.
func (k *company) describe(v any) string {
	switch v := v.(type) {
	case []string:
		v = slices.Clone(v)
		for i := range v {
			v[i] = k.names(v[i])
		}
		slices.Sort(v)
		return fmt.Sprintf("%q", v)
	case map[string][]string:
		return k.describeMap(maps.Collect(func(yield func(string, any) bool) {
			for key, ids := range v {
				if !yield(key, ids) {
					return
				}
			}
		}))
	case map[string]map[string][]string:
		all := make(map[string]any)
		for key, m := range v {
			all[key] = m
		}
		return k.describeMap(all)
	case map[string]hooks.ConnInfo:
		all := make(map[string]any)
		for key, i := range v {
			all[key] = i
		}
		return k.describeMap(all)
	case map[string][]hooks.ConnInfo:
		all := make(map[string]any)
		for key, list := range v {
			var infos []string
			for _, i := range list {
				infos = append(infos, k.describe(i))
			}
			all[key] = infos
		}
		return k.describeMap(all)
	case hooks.ConnInfo:
		return fmt.Sprintf("{%s %q %q %s}", k.names(v.UniqID), v.Session, v.CustomerID, k.describe(v.Topics))
	case map[hooks.MetricItem]hooks.Metric:
		counts := make(map[hooks.MetricItem]int64)
		for item, m := range v {
			if (m.Count > 0) != (m.MeanRate > 0) {
				k.t.Errorf("item %d: %+v", item, m)
			}
			counts[item] = m.Count
		}
		return fmt.Sprint(counts)
	}
	b, err := json.Marshal(v)
	must(k.t, err)
	return string(b)
}

func (k *company) describeMap(all map[string]any) string {
	var lines []string
	for key, v := range all {
		lines = append(lines, k.names(key)+": "+k.describe(v))
	}
	slices.Sort(lines)
	return "{" + strings.Join(lines, ", ") + "}"
}

// outcome is all that a command may change: what it answered, what each client
// got, what the clients hold then, and what was counted.
type outcome struct {
	Answer  string
	Err     string
	A, B, C []string
	State   string
	Unknown int64
}

func (k *company) outcome(do func(k *company) (any, error)) (o outcome) {
	v, err := do(k)
	if v != nil {
		o.Answer = k.describe(v)
	}
	if err != nil {
		o.Err = err.Error()
	}
	// An answer shows that everything before it was carried out.
	if _, err := k.bus.UniqIDCount(k.ctx); err != nil {
		k.t.Fatal(err)
	}
	must(k.t, k.Broadcast(k.ctx, []byte("mark")))
	o.A, o.B, o.C = k.a.until("mark"), k.b.until("mark"), k.c.until("mark")
	infos, err := k.ConnInfo(k.ctx, []string{k.a.id, k.b.id, k.c.id}, hooks.ConnInfoFields{Session: true, CustomerID: true, Topics: true})
	must(k.t, err)
	o.State = k.describe(infos)
	o.Unknown = k.sum(func(s gateway.Stats) int64 { return s.Drops[hooks.DropUnknown].Messages })
	return o
}

// sum adds up what all gateways have counted.
func (k *company) sum(count func(gateway.Stats) int64) int64 {
	n := count(k.Stats())
	for _, h := range k.others {
		n += count(h.Stats())
	}
	return n
}

func msg(s string) []byte { return []byte(s) }

func msgs(ss ...string) (all [][]byte) {
	for _, s := range ss {
		all = append(all, []byte(s))
	}
	return all
}

// differential is the table: every command, with what is peculiar about it.
func differential() []struct {
	cmd  peer.Cmd
	name string
	do   func(k *company) (any, error)
} {
	type row = struct {
		cmd  peer.Cmd
		name string
		do   func(k *company) (any, error)
	}
	// told is for commands that have no answer.
	told := func(cmd peer.Cmd, name string, do func(k *company) error) row {
		return row{cmd, name, func(k *company) (any, error) { return nil, do(k) }}
	}
	some := []string{"x", "y", "never", "x"}
	everything := hooks.ConnInfoFields{UniqID: true, Session: true, CustomerID: true, Topics: true}
	return []row{
		told(peer.Cmd_ConnInfoUpdate, "everything", func(k *company) error {
			return k.bus.UpdateConnInfo(k.ctx, hooks.ConnInfoUpdate{
				UniqID: k.a.id, NewSession: "s", NewCustomerID: "customer2", NewTopics: []string{"z", "", "z"}, Data: msg("1"),
			})
		}),
		told(peer.Cmd_ConnInfoUpdate, "empty parts stay", func(k *company) error {
			return k.bus.UpdateConnInfo(k.ctx, hooks.ConnInfoUpdate{UniqID: k.a.id, Data: msg("1")})
		}),
		told(peer.Cmd_ConnInfoUpdate, "nobody", func(k *company) error {
			return k.bus.UpdateConnInfo(k.ctx, hooks.ConnInfoUpdate{UniqID: "nobody", NewSession: "s", Data: msg("1")})
		}),
		told(peer.Cmd_ConnInfoDelete, "everything", func(k *company) error {
			return k.bus.DeleteConnInfo(k.ctx, hooks.ConnInfoDelete{UniqID: k.a.id, Session: true, CustomerID: true, Topics: true, Data: msg("1")})
		}),
		told(peer.Cmd_ConnInfoDelete, "nothing", func(k *company) error {
			return k.bus.DeleteConnInfo(k.ctx, hooks.ConnInfoDelete{UniqID: k.a.id})
		}),
		told(peer.Cmd_Broadcast, "", func(k *company) error { return k.bus.Broadcast(k.ctx, msg("1")) }),
		told(peer.Cmd_Broadcast, "nothing", func(k *company) error { return k.bus.Broadcast(k.ctx, nil) }),
		told(peer.Cmd_Multicast, "one twice, one unknown", func(k *company) error {
			return k.bus.Multicast(k.ctx, []string{k.a.id, "nobody", k.c.id, k.a.id}, msg("1"))
		}),
		told(peer.Cmd_MulticastByCustomerId, "one twice, one unknown", func(k *company) error {
			return k.bus.MulticastByCustomerID(k.ctx, []string{"customer1", "nobody", "customer1"}, msg("1"))
		}),
		told(peer.Cmd_SingleCast, "", func(k *company) error { return k.bus.SingleCast(k.ctx, k.b.id, msg("1")) }),
		told(peer.Cmd_SingleCast, "nobody", func(k *company) error { return k.bus.SingleCast(k.ctx, "nobody", msg("1")) }),
		told(peer.Cmd_SingleCastBulk, "pairwise", func(k *company) error {
			return k.bus.SingleCastBulk(k.ctx, []string{k.a.id, k.b.id, "nobody"}, msgs("1", "", "3"))
		}),
		told(peer.Cmd_SingleCastBulk, "all to one", func(k *company) error {
			return k.bus.SingleCastBulk(k.ctx, []string{k.a.id}, msgs("1", "", "3"))
		}),
		told(peer.Cmd_SingleCastBulk, "no pairs", func(k *company) error {
			return k.bus.SingleCastBulk(k.ctx, []string{k.a.id, k.b.id}, msgs("1"))
		}),
		told(peer.Cmd_SingleCastByCustomerId, "", func(k *company) error { return k.bus.SingleCastByCustomerID(k.ctx, "customer1", msg("1")) }),
		told(peer.Cmd_SingleCastBulkByCustomerId, "pairwise", func(k *company) error {
			return k.bus.SingleCastBulkByCustomerID(k.ctx, []string{"customer1", "nobody"}, msgs("1", "2"))
		}),
		told(peer.Cmd_SingleCastBulkByCustomerId, "all to one", func(k *company) error {
			return k.bus.SingleCastBulkByCustomerID(k.ctx, []string{"customer1"}, msgs("1", "2"))
		}),
		told(peer.Cmd_SingleCastBulkByCustomerId, "no pairs", func(k *company) error {
			return k.bus.SingleCastBulkByCustomerID(k.ctx, nil, msgs("1", "2"))
		}),
		told(peer.Cmd_TopicSubscribe, "", func(k *company) error {
			return k.bus.Subscribe(k.ctx, k.b.id, []string{"x", "", "x", "new"}, msg("1"))
		}),
		told(peer.Cmd_TopicSubscribe, "no topics", func(k *company) error { return k.bus.Subscribe(k.ctx, k.b.id, nil, msg("1")) }),
		told(peer.Cmd_TopicSubscribe, "nobody", func(k *company) error { return k.bus.Subscribe(k.ctx, "nobody", some, msg("1")) }),
		told(peer.Cmd_TopicUnsubscribe, "", func(k *company) error { return k.bus.Unsubscribe(k.ctx, k.a.id, some, msg("1")) }),
		told(peer.Cmd_TopicUnsubscribe, "no topics", func(k *company) error { return k.bus.Unsubscribe(k.ctx, k.a.id, nil, msg("1")) }),
		told(peer.Cmd_TopicDelete, "", func(k *company) error { return k.bus.DeleteTopics(k.ctx, some, msg("1")) }),
		told(peer.Cmd_TopicPublish, "a topic twice", func(k *company) error { return k.bus.Publish(k.ctx, some, msg("1")) }),
		told(peer.Cmd_TopicPublishBulk, "pairwise", func(k *company) error {
			return k.bus.PublishBulk(k.ctx, []string{"x", "y", "never"}, msgs("1", "2", "3"))
		}),
		told(peer.Cmd_TopicPublishBulk, "all to one", func(k *company) error { return k.bus.PublishBulk(k.ctx, []string{"x"}, msgs("1", "2")) }),
		told(peer.Cmd_TopicPublishBulk, "no pairs", func(k *company) error { return k.bus.PublishBulk(k.ctx, []string{"x", "y"}, msgs("1")) }),
		told(peer.Cmd_ForceOffline, "", func(k *company) error {
			return k.bus.ForceOffline(k.ctx, []string{k.a.id, "nobody", k.a.id}, msg("bye"))
		}),
		told(peer.Cmd_ForceOfflineByCustomerId, "", func(k *company) error {
			return k.bus.ForceOfflineByCustomerID(k.ctx, []string{"customer1"}, nil)
		}),
		told(peer.Cmd_ForceOfflineGuest, "at once", func(k *company) error {
			return k.bus.ForceOfflineGuest(k.ctx, []string{k.a.id, k.b.id, k.c.id}, 0, msg("bye"))
		}),
		told(peer.Cmd_ForceOfflineGuest, "later", func(k *company) error {
			if err := k.bus.ForceOfflineGuest(k.ctx, []string{k.a.id, k.c.id}, time.Second, nil); err != nil {
				return err
			}
			if _, err := k.bus.UniqIDCount(k.ctx); err != nil {
				return err
			}
			if n, _ := k.UniqIDCount(k.ctx); n != 3 {
				return errors.New("the guest was not given its second")
			}
			await.Until(k.t, func() string {
				if n, _ := k.UniqIDCount(k.ctx); n != 2 {
					return "the guest is still there"
				}
				return ""
			})
			return nil
		}),
		{peer.Cmd_CheckOnline, "", func(k *company) (any, error) {
			return k.bus.CheckOnline(k.ctx, []string{k.a.id, "nobody", k.c.id})
		}},
		{peer.Cmd_CheckOnline, "nobody asked for", func(k *company) (any, error) { return k.bus.CheckOnline(k.ctx, nil) }},
		{peer.Cmd_CustomerIdList, "", func(k *company) (any, error) { return k.bus.CustomerIDs(k.ctx) }},
		{peer.Cmd_CustomerIdCount, "", func(k *company) (any, error) { return k.bus.CustomerIDCount(k.ctx) }},
		{peer.Cmd_UniqIdList, "", func(k *company) (any, error) { return k.bus.UniqIDs(k.ctx) }},
		{peer.Cmd_UniqIdCount, "", func(k *company) (any, error) { return k.bus.UniqIDCount(k.ctx) }},
		{peer.Cmd_TopicList, "", func(k *company) (any, error) { return k.bus.Topics(k.ctx) }},
		{peer.Cmd_TopicCount, "", func(k *company) (any, error) { return k.bus.TopicCount(k.ctx) }},
		{peer.Cmd_TopicUniqIdList, "", func(k *company) (any, error) { return k.bus.TopicUniqIDs(k.ctx, some) }},
		{peer.Cmd_TopicUniqIdCount, "", func(k *company) (any, error) { return k.bus.TopicUniqIDCounts(k.ctx, some, false) }},
		{peer.Cmd_TopicUniqIdCount, "all", func(k *company) (any, error) { return k.bus.TopicUniqIDCounts(k.ctx, []string{"y"}, true) }},
		{peer.Cmd_TopicCustomerIdList, "", func(k *company) (any, error) { return k.bus.TopicCustomerIDs(k.ctx, some) }},
		{peer.Cmd_TopicCustomerIdToUniqIdsList, "", func(k *company) (any, error) { return k.bus.TopicCustomerUniqIDs(k.ctx, some) }},
		{peer.Cmd_TopicCustomerIdCount, "", func(k *company) (any, error) { return k.bus.TopicCustomerIDCounts(k.ctx, some, false) }},
		{peer.Cmd_TopicCustomerIdCount, "all, one without a customer", func(k *company) (any, error) {
			if err := k.bus.Subscribe(k.ctx, k.c.id, []string{"guests"}, nil); err != nil {
				return nil, err
			}
			return k.bus.TopicCustomerIDCounts(k.ctx, nil, true)
		}},
		{peer.Cmd_ConnInfo, "everything", func(k *company) (any, error) {
			return k.bus.ConnInfo(k.ctx, []string{k.a.id, k.c.id, "nobody"}, everything)
		}},
		{peer.Cmd_ConnInfo, "session", func(k *company) (any, error) {
			return k.bus.ConnInfo(k.ctx, []string{k.a.id}, hooks.ConnInfoFields{Session: true})
		}},
		{peer.Cmd_ConnInfoByCustomerId, "everything", func(k *company) (any, error) {
			return k.bus.ConnInfoByCustomerID(k.ctx, []string{"customer1", "nobody"}, everything)
		}},
		{peer.Cmd_ConnInfoByCustomerId, "topics", func(k *company) (any, error) {
			return k.bus.ConnInfoByCustomerID(k.ctx, []string{"customer1"}, hooks.ConnInfoFields{Topics: true})
		}},
		{peer.Cmd_Metrics, "", func(k *company) (any, error) {
			if err := k.bus.SingleCast(k.ctx, k.a.id, msg("12345")); err != nil {
				return nil, err
			}
			if _, err := k.bus.UniqIDCount(k.ctx); err != nil {
				return nil, err
			}
			k.a.expect("12345")
			await.Until(k.t, func() string {
				if k.sum(func(s gateway.Stats) int64 { return s.MessagesOut }) != 1 {
					return "the message was not counted"
				}
				return ""
			})
			return k.bus.Metrics(k.ctx)
		}},
		{peer.Cmd_Limit, "read", func(k *company) (any, error) { return k.bus.Limit(k.ctx, hooks.Limits{}) }},
		{peer.Cmd_Limit, "set", func(k *company) (any, error) { return k.bus.Limit(k.ctx, hooks.Limits{OnOpen: 7, OnMessage: -1}) }},
	}
}

// compare does the same by all callers.
func compare(t *testing.T, assemble func(t *testing.T, caller string) *company, do func(k *company) (any, error)) {
	t.Helper()
	want := assemble(t, "in process").outcome(do)
	for _, caller := range []string{"SDK", "raw"} {
		got := assemble(t, caller).outcome(do)
		if caller == "raw" {
			got.Err = want.Err // commands have no answer to carry one
		}
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
			t.Errorf("%s:\n got %+v\nwant %+v", caller, got, want)
		}
	}
}

func TestDifferential(t *testing.T) {
	covered := make(map[peer.Cmd]bool)
	for _, row := range differential() {
		covered[row.cmd] = true
		t.Run(row.cmd.String()+" "+row.name, func(t *testing.T) { compare(t, newCompany, row.do) })
	}
	for number, name := range peer.Cmd_name {
		switch cmd := peer.Cmd(number); cmd {
		case peer.Cmd_Placeholder:
		case peer.Cmd_ConnOpen, peer.Cmd_ConnClose, peer.Cmd_Transfer, peer.Cmd_Register, peer.Cmd_Unregister:
			// TestDifferentialEvents
		default:
			if !covered[cmd] {
				t.Errorf("%s is not in the table", name)
			}
		}
	}
}

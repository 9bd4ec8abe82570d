package spread_test

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/spread"
	"github.com/sluicegate/sluice/protocol"
)

// command is a call of a Bus and what of it goes to which gateway.
type command struct {
	name string // begins with the method's
	do   func(context.Context, hooks.Bus) error
	want map[string]pb
}

func commands() []command {
	data, names := []byte("d"), []string{"n", "m"}
	ids := []string{"b1", "a1", "?", "a2", "a1"}
	return []command{
		{"Broadcast", func(ctx context.Context, b hooks.Bus) error { return b.Broadcast(ctx, data) },
			every(&protocol.Broadcast{Data: data})},
		{"Multicast", func(ctx context.Context, b hooks.Bus) error { return b.Multicast(ctx, ids, data) }, map[string]pb{
			"a": &protocol.Multicast{UniqIds: []string{"a1", "?", "a2", "a1"}, Data: data},
			"b": &protocol.Multicast{UniqIds: []string{"b1", "?"}, Data: data},
			"c": &protocol.Multicast{UniqIds: []string{"?"}, Data: data},
		}},
		{"Multicast to one", func(ctx context.Context, b hooks.Bus) error { return b.Multicast(ctx, []string{"b1"}, data) },
			map[string]pb{"b": &protocol.Multicast{UniqIds: []string{"b1"}, Data: data}}},
		{"Multicast to one that is late", func(ctx context.Context, b hooks.Bus) error { return b.Multicast(ctx, []string{"l1", "a1"}, data) }, map[string]pb{
			"a":  &protocol.Multicast{UniqIds: []string{"a1"}, Data: data},
			late: &protocol.Multicast{UniqIds: []string{"l1"}, Data: data},
		}},
		{"Multicast to none", func(ctx context.Context, b hooks.Bus) error { return b.Multicast(ctx, nil, data) }, nil},
		{"MulticastByCustomerID", func(ctx context.Context, b hooks.Bus) error { return b.MulticastByCustomerID(ctx, names, data) },
			every(&protocol.MulticastByCustomerId{CustomerIds: names, Data: data})},
		{"SingleCast", func(ctx context.Context, b hooks.Bus) error { return b.SingleCast(ctx, "b1", data) },
			map[string]pb{"b": &protocol.SingleCast{UniqId: "b1", Data: data}}},
		{"SingleCast to a stranger", func(ctx context.Context, b hooks.Bus) error { return b.SingleCast(ctx, "?", data) },
			every(&protocol.SingleCast{UniqId: "?", Data: data})},
		{"SingleCastByCustomerID", func(ctx context.Context, b hooks.Bus) error { return b.SingleCastByCustomerID(ctx, "n", data) },
			every(&protocol.SingleCastByCustomerId{CustomerId: "n", Data: data})},
		{"SingleCastBulk", func(ctx context.Context, b hooks.Bus) error {
			return b.SingleCastBulk(ctx, ids, bss{{0}, {1}, {2}, {3}, {4}})
		}, map[string]pb{
			"a": &protocol.SingleCastBulk{UniqIds: []string{"a1", "?", "a2", "a1"}, Data: bss{{1}, {2}, {3}, {4}}},
			"b": &protocol.SingleCastBulk{UniqIds: []string{"b1", "?"}, Data: bss{{0}, {2}}},
			"c": &protocol.SingleCastBulk{UniqIds: []string{"?"}, Data: bss{{2}}},
		}},
		{"SingleCastBulk to one", func(ctx context.Context, b hooks.Bus) error {
			return b.SingleCastBulk(ctx, []string{"b1"}, bss{{0}, {1}})
		}, map[string]pb{"b": &protocol.SingleCastBulk{UniqIds: []string{"b1"}, Data: bss{{0}, {1}}}}},
		{"SingleCastBulk to one stranger", func(ctx context.Context, b hooks.Bus) error {
			return b.SingleCastBulk(ctx, []string{"?"}, bss{{0}, {1}})
		}, every(&protocol.SingleCastBulk{UniqIds: []string{"?"}, Data: bss{{0}, {1}}})},
		{"SingleCastBulkByCustomerID", func(ctx context.Context, b hooks.Bus) error {
			return b.SingleCastBulkByCustomerID(ctx, names, bss{{0}, {1}})
		}, every(&protocol.SingleCastBulkByCustomerId{CustomerIds: names, Data: bss{{0}, {1}}})},
		{"Subscribe", func(ctx context.Context, b hooks.Bus) error { return b.Subscribe(ctx, "b1", names, data) },
			map[string]pb{"b": &protocol.TopicSubscribe{UniqId: "b1", Topics: names, Data: data}}},
		{"Unsubscribe", func(ctx context.Context, b hooks.Bus) error { return b.Unsubscribe(ctx, "b1", names, data) },
			map[string]pb{"b": &protocol.TopicUnsubscribe{UniqId: "b1", Topics: names, Data: data}}},
		{"DeleteTopics", func(ctx context.Context, b hooks.Bus) error { return b.DeleteTopics(ctx, names, data) },
			every(&protocol.TopicDelete{Topics: names, Data: data})},
		{"Publish", func(ctx context.Context, b hooks.Bus) error { return b.Publish(ctx, names, data) },
			every(&protocol.TopicPublish{Topics: names, Data: data})},
		{"PublishLatest", func(ctx context.Context, b hooks.Bus) error { return b.PublishLatest(ctx, names, "key", data) },
			every(&protocol.TopicPublish{Topics: names, Data: data})},
		{"PublishBulk", func(ctx context.Context, b hooks.Bus) error { return b.PublishBulk(ctx, names, bss{{0}, {1}}) },
			every(&protocol.TopicPublishBulk{Topics: names, Data: bss{{0}, {1}}})},
		{"UpdateConnInfo", func(ctx context.Context, b hooks.Bus) error {
			return b.UpdateConnInfo(ctx, hooks.ConnInfoUpdate{UniqID: "b1", NewSession: "s", NewCustomerID: "c", NewTopics: names, Data: data})
		}, map[string]pb{"b": &protocol.ConnInfoUpdate{UniqId: "b1", NewSession: "s", NewCustomerId: "c", NewTopics: names, Data: data}}},
		{"DeleteConnInfo", func(ctx context.Context, b hooks.Bus) error {
			return b.DeleteConnInfo(ctx, hooks.ConnInfoDelete{UniqID: "b1", Session: true, CustomerID: true, Topics: true, Data: data})
		}, map[string]pb{"b": &protocol.ConnInfoDelete{UniqId: "b1", DelSession: true, DelCustomerId: true, DelTopic: true, Data: data}}},
		{"ForceOffline", func(ctx context.Context, b hooks.Bus) error { return b.ForceOffline(ctx, ids[:2], data) }, map[string]pb{
			"a": &protocol.ForceOffline{UniqIds: []string{"a1"}, Data: data}, "b": &protocol.ForceOffline{UniqIds: []string{"b1"}, Data: data},
		}},
		{"ForceOfflineByCustomerID", func(ctx context.Context, b hooks.Bus) error { return b.ForceOfflineByCustomerID(ctx, names, data) },
			every(&protocol.ForceOfflineByCustomerId{CustomerIds: names, Data: data})},
		{"ForceOfflineGuest", func(ctx context.Context, b hooks.Bus) error {
			return b.ForceOfflineGuest(ctx, ids[:2], 1001*time.Millisecond, data)
		}, map[string]pb{
			"a": &protocol.ForceOfflineGuest{UniqIds: []string{"a1"}, Delay: 2, Data: data},
			"b": &protocol.ForceOfflineGuest{UniqIds: []string{"b1"}, Delay: 2, Data: data},
		}},
		{"ForceOfflineGuest in the past", func(ctx context.Context, b hooks.Bus) error {
			return b.ForceOfflineGuest(ctx, []string{"b1"}, -time.Hour, data)
		}, map[string]pb{"b": &protocol.ForceOfflineGuest{UniqIds: []string{"b1"}, Data: data}}},
		{"ForceOfflineGuest at the end of time", func(ctx context.Context, b hooks.Bus) error {
			return b.ForceOfflineGuest(ctx, []string{"b1"}, math.MaxInt64, data)
		}, map[string]pb{"b": &protocol.ForceOfflineGuest{UniqIds: []string{"b1"}, Delay: math.MaxInt32, Data: data}}},
	}
}

// cmdOf is the command that a message is the body of.
func cmdOf(want map[string]pb) protocol.Cmd_Number {
	for _, m := range want {
		return protocol.Cmd_Number(protocol.Cmd_Number_value[string(m.ProtoReflect().Descriptor().Name())])
	}
	return 0
}

// Every command goes where its clients are, with what is theirs; one that names
// none goes everywhere.
func TestCommands(t *testing.T) {
	for _, c := range commands() {
		t.Run(c.name, func(t *testing.T) {
			f := newFakes("a", "b", "c")
			if err := c.do(t.Context(), spread.New(f)); err != nil {
				t.Error(err)
			}
			f.expect(t, cmdOf(c.want), c.want)
		})
	}
}

// A gateway that is away is an error, and the others get what is theirs.
func TestCommandsWithOneAway(t *testing.T) {
	for _, c := range commands() {
		t.Run(c.name, func(t *testing.T) {
			f := newFakes("a", "b", "c")
			f.away["b"] = errAway
			err := c.do(t.Context(), spread.New(f))
			if concerned := c.want["b"] != nil; errors.Is(err, errAway) != concerned {
				t.Errorf("it returned %v, and concerns the gateway that is away: %v", err, concerned)
			}
			f.expect(t, cmdOf(c.want), c.want)
		})
	}
}

// A gateway is given the caller's own lists if all ids are its own, and where it is the
// only one whatever they name.
func TestOneGatewayGetsListsAsTheyAre(t *testing.T) {
	for _, tc := range []struct{ gates, ids []string }{
		{[]string{"a"}, []string{"b1", "a1", "b1"}},
		{[]string{"b", "a", "c"}, []string{"a2", "a1", "a2"}},
	} {
		f := newFakes(tc.gates...)
		b, data := spread.New(f), bss{{1}, {2}, {3}}
		for _, err := range []error{
			b.Multicast(t.Context(), tc.ids, nil), b.SingleCastBulk(t.Context(), tc.ids, data),
			b.ForceOffline(t.Context(), tc.ids, nil), b.ForceOfflineGuest(t.Context(), tc.ids, 0, nil),
		} {
			if err != nil {
				t.Error(err)
			}
		}
		if _, err := b.CheckOnline(t.Context(), tc.ids); err != nil {
			t.Error(err)
		}
		if len(f.sent) != 1 || len(f.sent["a"]) != 5 {
			t.Fatalf("sent %v, want 5 messages to one gateway", f.sent)
		}
		for _, m := range f.sent["a"] {
			if got := m.body.(interface{ GetUniqIds() []string }).GetUniqIds(); len(got) != len(tc.ids) || &got[0] != &tc.ids[0] {
				t.Errorf("%v: ids %v, want those that were given, not copied", m.cmd, got)
			}
		}
	}
}

// What names nobody is not sent, and tells whether the caller's time is over where
// it would be told by a gateway.
func TestNothingToSend(t *testing.T) {
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for _, gates := range [][]string{{"a"}, {"a", "b", "c"}} {
		f := newFakes(gates...)
		b := spread.New(f)
		for name, do := range map[string]func(context.Context) error{
			"MulticastByCustomerID":    func(ctx context.Context) error { return b.MulticastByCustomerID(ctx, nil, nil) },
			"SingleCastBulk":           func(ctx context.Context) error { return b.SingleCastBulk(ctx, nil, nil) },
			"Subscribe":                func(ctx context.Context) error { return b.Subscribe(ctx, "a1", nil, nil) },
			"Unsubscribe":              func(ctx context.Context) error { return b.Unsubscribe(ctx, "a1", nil, nil) },
			"DeleteTopics":             func(ctx context.Context) error { return b.DeleteTopics(ctx, nil, nil) },
			"Publish":                  func(ctx context.Context) error { return b.Publish(ctx, nil, nil) },
			"PublishLatest":            func(ctx context.Context) error { return b.PublishLatest(ctx, nil, "", nil) },
			"ForceOfflineByCustomerID": func(ctx context.Context) error { return b.ForceOfflineByCustomerID(ctx, nil, nil) },
		} {
			if err := do(t.Context()); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if err := do(over); !errors.Is(err, context.Canceled) {
				t.Errorf("%s after its time: %v", name, err)
			}
		}
		for name, do := range map[string]func() error{
			"Multicast":         func() error { return b.Multicast(t.Context(), nil, nil) },
			"ForceOffline":      func() error { return b.ForceOffline(t.Context(), nil, nil) },
			"ForceOfflineGuest": func() error { return b.ForceOfflineGuest(t.Context(), nil, 0, nil) },
			"CheckOnline":       func() error { _, err := b.CheckOnline(t.Context(), nil); return err },
			"ConnInfo":          func() error { _, err := b.ConnInfo(t.Context(), nil, hooks.ConnInfoFields{}); return err },
		} {
			if err := do(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		f.expect(t, 0, nil)
	}
}

// Lists that do not pair up are an error before anything is sent.
func TestBulkMismatch(t *testing.T) {
	for _, gates := range [][]string{{"a"}, {"a", "b", "c"}} {
		f := newFakes(gates...)
		b := spread.New(f)
		ids := []string{"a1", "b1"}
		for name, do := range map[string]func(context.Context, []string, [][]byte) error{
			"SingleCastBulk": b.SingleCastBulk, "SingleCastBulkByCustomerID": b.SingleCastBulkByCustomerID, "PublishBulk": b.PublishBulk,
		} {
			for _, lists := range []struct {
				ids  []string
				data bss
			}{{ids, bss{{1}}}, {ids, nil}, {ids, bss{{1}, {2}, {3}}}, {nil, bss{{1}}}, {ids[:1], nil}} {
				if err := do(t.Context(), lists.ids, lists.data); !errors.Is(err, hooks.ErrBulkMismatch) {
					t.Errorf("%s of %d ids and %d data: %v", name, len(lists.ids), len(lists.data), err)
				}
			}
		}
		f.expect(t, 0, nil)
	}
}

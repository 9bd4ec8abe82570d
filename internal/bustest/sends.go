package bustest

import (
	"errors"
	"testing"

	"github.com/sluicegate/sluice/hooks"
)

// A sending is a command and what reaches whom.
type sending struct {
	name    string
	do      func(k *cast) error
	a, b, c []string
	unknown int64 // messages counted as dropped as there is no such client
	nobody  int64 // and as there is no such customer or topic
	err     error
}

// Every command that sends, with what reaches whom.
func sends() []sending {
	type got = []string
	return []sending{
		{name: "Broadcast", do: func(k *cast) error { return k.Bus.Broadcast(k.ctx, msg("1")) }, a: got{"1"}, b: got{"1"}, c: got{"1"}},
		{name: "Broadcast nothing", do: func(k *cast) error { return k.Bus.Broadcast(k.ctx, nil) }, a: got{""}, b: got{""}, c: got{""}},
		{name: "SingleCast", do: func(k *cast) error { return k.Bus.SingleCast(k.ctx, k.b.id, msg("1")) }, b: got{"1"}},
		{name: "SingleCast nobody", do: func(k *cast) error { return k.Bus.SingleCast(k.ctx, "nobody", msg("1")) }, unknown: 1},
		{
			name: "Multicast, one id twice, one unknown",
			do: func(k *cast) error {
				return k.Bus.Multicast(k.ctx, []string{k.a.id, k.c.id, "nobody", k.a.id}, msg("1"))
			},
			a: got{"1", "1"}, c: got{"1"}, unknown: 1,
		},
		{name: "SingleCastByCustomerID", do: func(k *cast) error { return k.Bus.SingleCastByCustomerID(k.ctx, "customer1", msg("1")) }, a: got{"1"}, b: got{"1"}},
		{
			name: "MulticastByCustomerID, one twice, one unknown",
			do: func(k *cast) error {
				return k.Bus.MulticastByCustomerID(k.ctx, []string{"customer1", "nobody", "customer1"}, msg("1"))
			},
			a: got{"1", "1"}, b: got{"1", "1"}, nobody: 1,
		},
		{
			name: "SingleCastBulk pairwise, an empty datum skipped",
			do: func(k *cast) error {
				return k.Bus.SingleCastBulk(k.ctx, []string{k.a.id, k.b.id, k.c.id}, msgs("1", "", "3"))
			},
			a: got{"1"}, c: got{"3"},
		},
		{
			name: "SingleCastBulk, all to one",
			do:   func(k *cast) error { return k.Bus.SingleCastBulk(k.ctx, []string{k.a.id}, msgs("1", "2", "", "3")) },
			a:    got{"1", "2", "3"},
		},
		{
			name: "SingleCastBulk, lists that do not pair up",
			do:   func(k *cast) error { return k.Bus.SingleCastBulk(k.ctx, []string{k.a.id, k.b.id}, msgs("1", "2", "3")) },
			err:  hooks.ErrBulkMismatch,
		},
		{
			name: "SingleCastBulk, one id and no data",
			do:   func(k *cast) error { return k.Bus.SingleCastBulk(k.ctx, []string{k.a.id}, nil) },
			err:  hooks.ErrBulkMismatch,
		},
		{
			name: "SingleCastBulkByCustomerID pairwise",
			do: func(k *cast) error {
				return k.Bus.SingleCastBulkByCustomerID(k.ctx, []string{"customer1", "nobody"}, msgs("1", "2"))
			},
			a: got{"1"}, b: got{"1"}, nobody: 1,
		},
		{name: "Publish", do: func(k *cast) error { return k.Bus.Publish(k.ctx, []string{"x"}, msg("1")) }, a: got{"1"}, c: got{"1"}},
		{name: "Publish to nobody", do: func(k *cast) error { return k.Bus.Publish(k.ctx, []string{"z"}, msg("1")) }, nobody: 1},
		{
			name: "Publish to two topics, a client in both gets it twice",
			do: func(k *cast) error {
				must(k.t, k.Bus.Subscribe(k.ctx, k.a.id, []string{"y"}, nil))
				return k.Bus.Publish(k.ctx, []string{"x", "y"}, msg("1"))
			},
			a: got{"1", "1"}, b: got{"1"}, c: got{"1"},
		},
		{
			name: "PublishBulk pairwise",
			do:   func(k *cast) error { return k.Bus.PublishBulk(k.ctx, []string{"x", "y"}, msgs("1", "2")) },
			a:    got{"1"}, b: got{"2"}, c: got{"1"},
		},
		{
			name: "PublishBulk, all to one",
			do:   func(k *cast) error { return k.Bus.PublishBulk(k.ctx, []string{"y"}, msgs("1", "2")) },
			b:    got{"1", "2"},
		},
		{
			name: "PublishBulk, lists that do not pair up",
			do:   func(k *cast) error { return k.Bus.PublishBulk(k.ctx, []string{"x", "y"}, msgs("1")) },
			err:  hooks.ErrBulkMismatch,
		},
		{
			name: "Subscribe with data, doubled and empty topics",
			do: func(k *cast) error {
				must(k.t, k.Bus.Subscribe(k.ctx, k.b.id, []string{"x", "", "x"}, msg("welcome")))
				return k.Bus.Publish(k.ctx, []string{"x"}, msg("1"))
			},
			a: got{"1"}, b: got{"welcome", "1"}, c: got{"1"},
		},
		{name: "Subscribe without topics does nothing", do: func(k *cast) error { return k.Bus.Subscribe(k.ctx, k.b.id, nil, msg("1")) }},
		{name: "Subscribe nobody", do: func(k *cast) error { return k.Bus.Subscribe(k.ctx, "nobody", []string{"x"}, msg("1")) }, unknown: 1},
		{
			name: "Unsubscribe with data",
			do: func(k *cast) error {
				must(k.t, k.Bus.Unsubscribe(k.ctx, k.a.id, []string{"x", "never"}, msg("farewell")))
				return k.Bus.Publish(k.ctx, []string{"x"}, msg("1"))
			},
			a: got{"farewell"}, c: got{"1"},
		},
		{name: "Unsubscribe without topics does nothing", do: func(k *cast) error { return k.Bus.Unsubscribe(k.ctx, k.b.id, nil, msg("1")) }},
		{
			name: "DeleteTopics tells each client once",
			do: func(k *cast) error {
				must(k.t, k.Bus.Subscribe(k.ctx, k.a.id, []string{"y"}, nil))
				must(k.t, k.Bus.DeleteTopics(k.ctx, []string{"x", "y", "never"}, msg("gone")))
				return k.Bus.Publish(k.ctx, []string{"x", "y"}, msg("1"))
			},
			a: got{"gone"}, b: got{"gone"}, c: got{"gone"}, nobody: 2,
		},
		{
			name: "UpdateConnInfo with data",
			do: func(k *cast) error {
				return k.Bus.UpdateConnInfo(k.ctx, hooks.ConnInfoUpdate{UniqID: k.c.id, NewSession: "s", Data: msg("1")})
			},
			c: got{"1"},
		},
		{
			name: "DeleteConnInfo with data",
			do: func(k *cast) error {
				must(k.t, k.Bus.DeleteConnInfo(k.ctx, hooks.ConnInfoDelete{UniqID: k.a.id, CustomerID: true, Topics: true, Data: msg("1")}))
				must(k.t, k.Bus.SingleCastByCustomerID(k.ctx, "customer1", msg("2")))
				return k.Bus.Publish(k.ctx, []string{"x"}, msg("3"))
			},
			a: got{"1"}, b: got{"2"}, c: got{"3"},
		},
	}
}

func (tc sending) run(t *testing.T, k *cast) {
	if err := tc.do(k); !errors.Is(err, tc.err) {
		t.Fatalf("error %v, want %v", err, tc.err)
	}
	k.expect(tc.a, tc.b, tc.c)
	want := tc.unknown
	if k.NamesCounted {
		want += tc.nobody
	}
	if n := k.Unknown(); n != want {
		t.Errorf("%d messages counted as unknown, want %d", n, want)
	}
}

package gateway_test

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
)

// cast is the company of a bus test: a, b and c are clients, customer1 has a
// and b, a and c are in topic x, b is in y.
type cast struct {
	*host
	ctx     context.Context
	a, b, c *client
}

func newCast(t *testing.T, h harness) *cast {
	g := h.start(t, gateway.Config{Router: greeter()})
	k := &cast{host: g, ctx: t.Context(), a: g.join(), b: g.join(), c: g.join()}
	for _, u := range []hooks.ConnInfoUpdate{
		{UniqID: k.a.id, NewCustomerID: "customer1", NewSession: "session a", NewTopics: []string{"x"}},
		{UniqID: k.b.id, NewCustomerID: "customer1", NewTopics: []string{"y"}},
		{UniqID: k.c.id, NewTopics: []string{"x"}},
	} {
		must(t, g.UpdateConnInfo(k.ctx, u))
	}
	return k
}

// expect checks that exactly these messages came: a mark that is sent last
// shows that nothing came besides.
func (k *cast) expect(a, b, c []string) {
	k.t.Helper()
	must(k.t, k.Broadcast(k.ctx, []byte("mark")))
	k.a.expect(append(a, "mark")...)
	k.b.expect(append(b, "mark")...)
	k.c.expect(append(c, "mark")...)
}

func msg(s string) []byte { return []byte(s) }

func msgs(ss ...string) (all [][]byte) {
	for _, s := range ss {
		all = append(all, []byte(s))
	}
	return all
}

// Every command that sends, with what reaches whom.
func TestBusSends(t *testing.T) {
	type got []string
	cases := []struct {
		name    string
		do      func(k *cast) error
		a, b, c got
		unknown int64 // messages counted as dropped for want of a recipient
		err     error
	}{
		{name: "Broadcast", do: func(k *cast) error { return k.Broadcast(k.ctx, msg("1")) }, a: got{"1"}, b: got{"1"}, c: got{"1"}},
		{name: "Broadcast nothing", do: func(k *cast) error { return k.Broadcast(k.ctx, nil) }, a: got{""}, b: got{""}, c: got{""}},
		{name: "SingleCast", do: func(k *cast) error { return k.SingleCast(k.ctx, k.b.id, msg("1")) }, b: got{"1"}},
		{name: "SingleCast nobody", do: func(k *cast) error { return k.SingleCast(k.ctx, "nobody", msg("1")) }, unknown: 1},
		{
			name: "Multicast, one id twice, one unknown",
			do:   func(k *cast) error { return k.Multicast(k.ctx, []string{k.a.id, k.c.id, "nobody", k.a.id}, msg("1")) },
			a:    got{"1", "1"}, c: got{"1"}, unknown: 1,
		},
		{name: "SingleCastByCustomerID", do: func(k *cast) error { return k.SingleCastByCustomerID(k.ctx, "customer1", msg("1")) }, a: got{"1"}, b: got{"1"}},
		{
			name: "MulticastByCustomerID, one twice, one unknown",
			do: func(k *cast) error {
				return k.MulticastByCustomerID(k.ctx, []string{"customer1", "nobody", "customer1"}, msg("1"))
			},
			a: got{"1", "1"}, b: got{"1", "1"}, unknown: 1,
		},
		{
			name: "SingleCastBulk pairwise, an empty datum skipped",
			do: func(k *cast) error {
				return k.SingleCastBulk(k.ctx, []string{k.a.id, k.b.id, k.c.id}, msgs("1", "", "3"))
			},
			a: got{"1"}, c: got{"3"},
		},
		{
			name: "SingleCastBulk, all to one",
			do:   func(k *cast) error { return k.SingleCastBulk(k.ctx, []string{k.a.id}, msgs("1", "2", "", "3")) },
			a:    got{"1", "2", "3"},
		},
		{
			name: "SingleCastBulk, lists that do not pair up",
			do:   func(k *cast) error { return k.SingleCastBulk(k.ctx, []string{k.a.id, k.b.id}, msgs("1", "2", "3")) },
			err:  hooks.ErrBulkMismatch,
		},
		{
			name: "SingleCastBulk, one id and no data",
			do:   func(k *cast) error { return k.SingleCastBulk(k.ctx, []string{k.a.id}, nil) },
			err:  hooks.ErrBulkMismatch,
		},
		{
			name: "SingleCastBulkByCustomerID pairwise",
			do: func(k *cast) error {
				return k.SingleCastBulkByCustomerID(k.ctx, []string{"customer1", "nobody"}, msgs("1", "2"))
			},
			a: got{"1"}, b: got{"1"}, unknown: 1,
		},
		{name: "Publish", do: func(k *cast) error { return k.Publish(k.ctx, []string{"x"}, msg("1")) }, a: got{"1"}, c: got{"1"}},
		{name: "Publish to nobody", do: func(k *cast) error { return k.Publish(k.ctx, []string{"z"}, msg("1")) }, unknown: 1},
		{
			name: "Publish to two topics, a client in both gets it twice",
			do: func(k *cast) error {
				must(k.t, k.Subscribe(k.ctx, k.a.id, []string{"y"}, nil))
				return k.Publish(k.ctx, []string{"x", "y"}, msg("1"))
			},
			a: got{"1", "1"}, b: got{"1"}, c: got{"1"},
		},
		{
			name: "PublishBulk pairwise",
			do:   func(k *cast) error { return k.PublishBulk(k.ctx, []string{"x", "y"}, msgs("1", "2")) },
			a:    got{"1"}, b: got{"2"}, c: got{"1"},
		},
		{
			name: "PublishBulk, all to one",
			do:   func(k *cast) error { return k.PublishBulk(k.ctx, []string{"y"}, msgs("1", "2")) },
			b:    got{"1", "2"},
		},
		{
			name: "PublishBulk, lists that do not pair up",
			do:   func(k *cast) error { return k.PublishBulk(k.ctx, []string{"x", "y"}, msgs("1")) },
			err:  hooks.ErrBulkMismatch,
		},
		{
			name: "Subscribe with data, doubled and empty topics",
			do: func(k *cast) error {
				must(k.t, k.Subscribe(k.ctx, k.b.id, []string{"x", "", "x"}, msg("welcome")))
				return k.Publish(k.ctx, []string{"x"}, msg("1"))
			},
			a: got{"1"}, b: got{"welcome", "1"}, c: got{"1"},
		},
		{name: "Subscribe without topics does nothing", do: func(k *cast) error { return k.Subscribe(k.ctx, k.b.id, nil, msg("1")) }},
		{name: "Subscribe nobody", do: func(k *cast) error { return k.Subscribe(k.ctx, "nobody", []string{"x"}, msg("1")) }, unknown: 1},
		{
			name: "Unsubscribe with data",
			do: func(k *cast) error {
				must(k.t, k.Unsubscribe(k.ctx, k.a.id, []string{"x", "never"}, msg("farewell")))
				return k.Publish(k.ctx, []string{"x"}, msg("1"))
			},
			a: got{"farewell"}, c: got{"1"},
		},
		{name: "Unsubscribe without topics does nothing", do: func(k *cast) error { return k.Unsubscribe(k.ctx, k.b.id, nil, msg("1")) }},
		{
			name: "DeleteTopics tells each client once",
			do: func(k *cast) error {
				must(k.t, k.Subscribe(k.ctx, k.a.id, []string{"y"}, nil))
				must(k.t, k.DeleteTopics(k.ctx, []string{"x", "y", "never"}, msg("gone")))
				return k.Publish(k.ctx, []string{"x", "y"}, msg("1"))
			},
			a: got{"gone"}, b: got{"gone"}, c: got{"gone"}, unknown: 2,
		},
		{
			name: "UpdateConnInfo with data",
			do: func(k *cast) error {
				return k.UpdateConnInfo(k.ctx, hooks.ConnInfoUpdate{UniqID: k.c.id, NewSession: "s", Data: msg("1")})
			},
			c: got{"1"},
		},
		{
			name: "DeleteConnInfo with data",
			do: func(k *cast) error {
				must(k.t, k.DeleteConnInfo(k.ctx, hooks.ConnInfoDelete{UniqID: k.a.id, CustomerID: true, Topics: true, Data: msg("1")}))
				must(k.t, k.SingleCastByCustomerID(k.ctx, "customer1", msg("2")))
				return k.Publish(k.ctx, []string{"x"}, msg("3"))
			},
			a: got{"1"}, b: got{"2"}, c: got{"3"},
		},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			onEach(t, func(t *testing.T, h harness) {
				k := newCast(t, h)
				if err := tc.do(k); !errors.Is(err, tc.err) {
					t.Fatalf("error %v, want %v", err, tc.err)
				}
				k.expect(tc.a, tc.b, tc.c)
				if n := k.Stats().Drops[hooks.DropUnknown].Messages; n != tc.unknown {
					t.Errorf("%d messages counted as unknown, want %d", n, tc.unknown)
				}
			})
		})
	}
}

// sorted makes answers comparable: they come in no order.
func sorted(ids []string, err error) []string {
	if err != nil {
		return []string{err.Error()}
	}
	slices.Sort(ids)
	return ids
}

// Every query, with its whole answer.
func TestBusQueries(t *testing.T) {
	onEach(t, func(t *testing.T, h harness) {
		k := newCast(t, h)
		ids := func(cs ...*client) (all []string) {
			for _, c := range cs {
				all = append(all, c.id)
			}
			slices.Sort(all)
			return all
		}
		lists := func(m map[string][]string, err error) map[string][]string {
			must(t, err)
			for _, l := range m {
				slices.Sort(l)
			}
			return m
		}
		counts := func(m map[string]int, err error) map[string]int {
			must(t, err)
			return m
		}
		number := func(n int, err error) int {
			must(t, err)
			return n
		}
		topics := []string{"x", "y", "never"}
		nested, err := k.TopicCustomerUniqIDs(k.ctx, topics)
		must(t, err)
		for _, m := range nested {
			for _, l := range m {
				slices.Sort(l)
			}
		}
		everything := hooks.ConnInfoFields{UniqID: true, Session: true, CustomerID: true, Topics: true}
		infos, err := k.ConnInfo(k.ctx, []string{k.a.id, k.c.id, "nobody"}, everything)
		must(t, err)
		sessions, err := k.ConnInfo(k.ctx, []string{k.a.id}, hooks.ConnInfoFields{Session: true})
		must(t, err)
		byCustomer, err := k.ConnInfoByCustomerID(k.ctx, []string{"customer1", "nobody"}, everything)
		must(t, err)
		slices.SortFunc(byCustomer["customer1"], func(x, y hooks.ConnInfo) int { return -1 * compare(x.Session, y.Session) })

		infoA := hooks.ConnInfo{UniqID: k.a.id, Session: "session a", CustomerID: "customer1", Topics: []string{"x"}}
		for _, tc := range []struct {
			name      string
			got, want any
		}{
			{"CheckOnline", sorted(k.CheckOnline(k.ctx, []string{k.a.id, "nobody", k.c.id})), ids(k.a, k.c)},
			{"UniqIDs", sorted(k.UniqIDs(k.ctx)), ids(k.a, k.b, k.c)},
			{"UniqIDCount", number(k.UniqIDCount(k.ctx)), 3},
			{"CustomerIDs", sorted(k.CustomerIDs(k.ctx)), []string{"customer1"}},
			{"CustomerIDCount", number(k.CustomerIDCount(k.ctx)), 1},
			{"Topics", sorted(k.Topics(k.ctx)), []string{"x", "y"}},
			{"TopicCount", number(k.TopicCount(k.ctx)), 2},
			{"TopicUniqIDs", lists(k.TopicUniqIDs(k.ctx, topics)), map[string][]string{"x": ids(k.a, k.c), "y": ids(k.b)}},
			{"TopicUniqIDCounts", counts(k.TopicUniqIDCounts(k.ctx, []string{"x", "never"}, false)), map[string]int{"x": 2}},
			{"TopicUniqIDCounts, all", counts(k.TopicUniqIDCounts(k.ctx, nil, true)), map[string]int{"x": 2, "y": 1}},
			{"TopicCustomerIDs", lists(k.TopicCustomerIDs(k.ctx, topics)), map[string][]string{"x": {"customer1"}, "y": {"customer1"}}},
			{"TopicCustomerUniqIDs", nested, map[string]map[string][]string{"x": {"customer1": ids(k.a, k.b)}, "y": {"customer1": ids(k.a, k.b)}}},
			{"TopicCustomerIDCounts", counts(k.TopicCustomerIDCounts(k.ctx, []string{"x", "never"}, false)), map[string]int{"x": 1}},
			{"TopicCustomerIDCounts, all", counts(k.TopicCustomerIDCounts(k.ctx, nil, true)), map[string]int{"x": 1, "y": 1}},
			{"ConnInfo", infos, map[string]hooks.ConnInfo{k.a.id: infoA, k.c.id: {UniqID: k.c.id, Topics: []string{"x"}}}},
			{"ConnInfo, one field", sessions, map[string]hooks.ConnInfo{k.a.id: {Session: "session a"}}},
			{"ConnInfoByCustomerID", byCustomer, map[string][]hooks.ConnInfo{"customer1": {infoA, {UniqID: k.b.id, CustomerID: "customer1", Topics: []string{"y"}}}}},
		} {
			if !reflect.DeepEqual(tc.got, tc.want) {
				t.Errorf("%s: got %v, want %v", tc.name, tc.got, tc.want)
			}
		}

		// A topic with no customer in it counts 0; one without a subscriber
		// does not exist.
		must(t, k.DeleteConnInfo(k.ctx, hooks.ConnInfoDelete{UniqID: k.a.id, CustomerID: true, Session: true}))
		must(t, k.Unsubscribe(k.ctx, k.b.id, []string{"y"}, nil))
		if got := counts(k.TopicCustomerIDCounts(k.ctx, topics, false)); !maps.Equal(got, map[string]int{"x": 0}) {
			t.Errorf("TopicCustomerIDCounts without customers: %v", got)
		}
		if got := sorted(k.Topics(k.ctx)); !slices.Equal(got, []string{"x"}) {
			t.Errorf("Topics after the last Unsubscribe: %v", got)
		}
		if got := number(k.CustomerIDCount(k.ctx)); got != 1 {
			t.Errorf("CustomerIDCount while b is left: %d", got)
		}
	})
}

func compare(x, y string) int {
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

// UpdateConnInfo leaves alone what its empty fields name and replaces topics
// as a whole.
func TestUpdateConnInfoReplaces(t *testing.T) {
	onEach(t, func(t *testing.T, h harness) {
		k := newCast(t, h)
		all := hooks.ConnInfoFields{Session: true, CustomerID: true, Topics: true}
		for _, step := range []struct {
			update hooks.ConnInfoUpdate
			want   hooks.ConnInfo
		}{
			{hooks.ConnInfoUpdate{}, hooks.ConnInfo{Session: "session a", CustomerID: "customer1", Topics: []string{"x"}}},
			{hooks.ConnInfoUpdate{NewSession: "s2"}, hooks.ConnInfo{Session: "s2", CustomerID: "customer1", Topics: []string{"x"}}},
			{hooks.ConnInfoUpdate{NewCustomerID: "c2"}, hooks.ConnInfo{Session: "s2", CustomerID: "c2", Topics: []string{"x"}}},
			{hooks.ConnInfoUpdate{NewTopics: []string{"p", "q"}}, hooks.ConnInfo{Session: "s2", CustomerID: "c2", Topics: []string{"p", "q"}}},
		} {
			step.update.UniqID = k.a.id
			must(t, k.UpdateConnInfo(k.ctx, step.update))
			infos, _ := k.ConnInfo(k.ctx, []string{k.a.id}, all)
			if !reflect.DeepEqual(infos[k.a.id], step.want) {
				t.Errorf("after %+v: %+v, want %+v", step.update, infos[k.a.id], step.want)
			}
		}
	})
}

// The three forms of force offline: data first, then the close frame with its
// reason, nothing behind it, and the socket closes.
func TestForceOffline(t *testing.T) {
	cases := []struct {
		name, reason string
		do           func(k *cast) error
		gone         func(k *cast) []*client
	}{
		{
			"ForceOffline", "forceOffline",
			func(k *cast) error {
				return k.ForceOffline(k.ctx, []string{k.b.id, "nobody", k.b.id}, msg("bye"))
			},
			func(k *cast) []*client { return []*client{k.b} },
		},
		{
			"ForceOfflineByCustomerID", "forceOfflineByCustomerId",
			func(k *cast) error {
				return k.ForceOfflineByCustomerID(k.ctx, []string{"customer1", "nobody"}, msg("bye"))
			},
			func(k *cast) []*client { return []*client{k.a, k.b} },
		},
		{
			// a has a customer id, c has topics only: those make no customer.
			"ForceOfflineGuest", "forceOfflineGuest",
			func(k *cast) error {
				return k.ForceOfflineGuest(k.ctx, []string{k.a.id, k.c.id}, 0, msg("bye"))
			},
			func(k *cast) []*client { return []*client{k.c} },
		},
		{
			"ForceOfflineGuest, delayed", "forceOfflineGuest",
			func(k *cast) error {
				must(k.t, k.DeleteConnInfo(k.ctx, hooks.ConnInfoDelete{UniqID: k.a.id, CustomerID: true, Session: true}))
				must(k.t, k.ForceOfflineGuest(k.ctx, []string{k.a.id, k.c.id}, 20*time.Millisecond, msg("bye")))
				// A session in time saves a.
				must(k.t, k.UpdateConnInfo(k.ctx, hooks.ConnInfoUpdate{UniqID: k.a.id, NewSession: "s"}))
				if on, _ := k.CheckOnline(k.ctx, []string{k.c.id}); len(on) != 1 {
					k.t.Error("the delayed command acted at once")
				}
				k.awaitClients(2)
				return nil
			},
			func(k *cast) []*client { return []*client{k.c} },
		},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			onEach(t, func(t *testing.T, h harness) {
				k := newCast(t, h)
				must(t, tc.do(k))
				must(t, k.Broadcast(k.ctx, msg("only for those who stay")))
				gone := tc.gone(k)
				for _, c := range gone {
					if got := c.expectClose(1008, tc.reason); !slices.Equal(got, []string{"bye"}) {
						t.Errorf("before the close frame: %q", got)
					}
				}
				for _, c := range []*client{k.a, k.b, k.c} {
					if !slices.Contains(gone, c) {
						c.expect("only for those who stay")
					}
				}
				k.awaitClients(3 - len(gone))
			})
		})
	}
}

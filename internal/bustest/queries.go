package bustest

import (
	"maps"
	"reflect"
	"slices"
	"testing"

	"github.com/sluicegate/sluice/hooks"
)

// sorted makes answers comparable: they come in no order.
func sorted(ids []string, err error) []string {
	if err != nil {
		return []string{err.Error()}
	}
	slices.Sort(ids)
	return ids
}

// Every query, with its whole answer.
func queries(t *testing.T, k *cast) {
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
	nested, err := k.Bus.TopicCustomerUniqIDs(k.ctx, topics)
	must(t, err)
	for _, m := range nested {
		for _, l := range m {
			slices.Sort(l)
		}
	}
	everything := hooks.ConnInfoFields{UniqID: true, Session: true, CustomerID: true, Topics: true}
	infos, err := k.Bus.ConnInfo(k.ctx, []string{k.a.id, k.c.id, "nobody"}, everything)
	must(t, err)
	sessions, err := k.Bus.ConnInfo(k.ctx, []string{k.a.id}, hooks.ConnInfoFields{Session: true})
	must(t, err)
	byCustomer, err := k.Bus.ConnInfoByCustomerID(k.ctx, []string{"customer1", "nobody"}, everything)
	must(t, err)
	slices.SortFunc(byCustomer["customer1"], func(x, y hooks.ConnInfo) int { return -1 * compare(x.Session, y.Session) })

	infoA := hooks.ConnInfo{UniqID: k.a.id, Session: "session a", CustomerID: "customer1", Topics: []string{"x"}}
	for _, tc := range []struct {
		name      string
		got, want any
	}{
		{"CheckOnline", sorted(k.Bus.CheckOnline(k.ctx, []string{k.a.id, "nobody", k.c.id})), ids(k.a, k.c)},
		{"UniqIDs", sorted(k.Bus.UniqIDs(k.ctx)), ids(k.a, k.b, k.c)},
		{"UniqIDCount", number(k.Bus.UniqIDCount(k.ctx)), 3},
		{"CustomerIDs", sorted(k.Bus.CustomerIDs(k.ctx)), []string{"customer1"}},
		{"CustomerIDCount", number(k.Bus.CustomerIDCount(k.ctx)), 1},
		{"Topics", sorted(k.Bus.Topics(k.ctx)), []string{"x", "y"}},
		{"TopicCount", number(k.Bus.TopicCount(k.ctx)), 2},
		{"TopicUniqIDs", lists(k.Bus.TopicUniqIDs(k.ctx, topics)), map[string][]string{"x": ids(k.a, k.c), "y": ids(k.b)}},
		{"TopicUniqIDCounts", counts(k.Bus.TopicUniqIDCounts(k.ctx, []string{"x", "never"}, false)), map[string]int{"x": 2}},
		{"TopicUniqIDCounts, all", counts(k.Bus.TopicUniqIDCounts(k.ctx, nil, true)), map[string]int{"x": 2, "y": 1}},
		{"TopicCustomerIDs", lists(k.Bus.TopicCustomerIDs(k.ctx, topics)), map[string][]string{"x": {"customer1"}, "y": {"customer1"}}},
		{"TopicCustomerUniqIDs", nested, map[string]map[string][]string{"x": {"customer1": ids(k.a, k.b)}, "y": {"customer1": ids(k.a, k.b)}}},
		{"TopicCustomerIDCounts", counts(k.Bus.TopicCustomerIDCounts(k.ctx, []string{"x", "never"}, false)), map[string]int{"x": 1}},
		{"TopicCustomerIDCounts, all", counts(k.Bus.TopicCustomerIDCounts(k.ctx, nil, true)), map[string]int{"x": 1, "y": 1}},
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
	must(t, k.Bus.DeleteConnInfo(k.ctx, hooks.ConnInfoDelete{UniqID: k.a.id, CustomerID: true, Session: true}))
	must(t, k.Bus.Unsubscribe(k.ctx, k.b.id, []string{"y"}, nil))
	if got := counts(k.Bus.TopicCustomerIDCounts(k.ctx, topics, false)); !maps.Equal(got, map[string]int{"x": 0}) {
		t.Errorf("TopicCustomerIDCounts without customers: %v", got)
	}
	if got := sorted(k.Bus.Topics(k.ctx)); !slices.Equal(got, []string{"x"}) {
		t.Errorf("Topics after the last Unsubscribe: %v", got)
	}
	if got := number(k.Bus.CustomerIDCount(k.ctx)); got != 1 {
		t.Errorf("CustomerIDCount while b is left: %d", got)
	}
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
func updateReplaces(t *testing.T, k *cast) {
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
		must(t, k.Bus.UpdateConnInfo(k.ctx, step.update))
		infos, _ := k.Bus.ConnInfo(k.ctx, []string{k.a.id}, all)
		if !reflect.DeepEqual(infos[k.a.id], step.want) {
			t.Errorf("after %+v: %+v, want %+v", step.update, infos[k.a.id], step.want)
		}
	}
}

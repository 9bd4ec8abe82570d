package command_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/sluicegate/sluice/hooks"
)

// fakeBus notes how it was called. Its answers are always the same, with text in
// them that is not UTF-8 where clients or business code may have put it, and come
// with its err. PublishLatest is no command.
type fakeBus struct {
	hooks.Bus
	err   error
	calls []string
}

// note notes a call, with data as text.
func (b *fakeBus) note(method string, args ...any) error {
	var call strings.Builder
	call.WriteString(method)
	for _, arg := range args {
		switch arg := arg.(type) {
		case []byte, [][]byte:
			fmt.Fprintf(&call, " %s", arg)
		default:
			fmt.Fprintf(&call, " %+v", arg)
		}
	}
	b.calls = append(b.calls, call.String())
	return b.err
}

func (b *fakeBus) Broadcast(_ context.Context, data []byte) error { return b.note("Broadcast", data) }

func (b *fakeBus) Multicast(_ context.Context, ids []string, data []byte) error {
	return b.note("Multicast", ids, data)
}

func (b *fakeBus) MulticastByCustomerID(_ context.Context, ids []string, data []byte) error {
	return b.note("MulticastByCustomerID", ids, data)
}

func (b *fakeBus) SingleCast(_ context.Context, id string, data []byte) error {
	return b.note("SingleCast", id, data)
}

func (b *fakeBus) SingleCastByCustomerID(_ context.Context, id string, data []byte) error {
	return b.note("SingleCastByCustomerID", id, data)
}

func (b *fakeBus) SingleCastBulk(_ context.Context, ids []string, data [][]byte) error {
	return b.note("SingleCastBulk", ids, data)
}

func (b *fakeBus) SingleCastBulkByCustomerID(_ context.Context, ids []string, data [][]byte) error {
	return b.note("SingleCastBulkByCustomerID", ids, data)
}

func (b *fakeBus) Subscribe(_ context.Context, id string, topics []string, data []byte) error {
	return b.note("Subscribe", id, topics, data)
}

func (b *fakeBus) Unsubscribe(_ context.Context, id string, topics []string, data []byte) error {
	return b.note("Unsubscribe", id, topics, data)
}

func (b *fakeBus) DeleteTopics(_ context.Context, topics []string, data []byte) error {
	return b.note("DeleteTopics", topics, data)
}

func (b *fakeBus) Publish(_ context.Context, topics []string, data []byte) error {
	return b.note("Publish", topics, data)
}

func (b *fakeBus) PublishBulk(_ context.Context, topics []string, data [][]byte) error {
	return b.note("PublishBulk", topics, data)
}

func (b *fakeBus) UpdateConnInfo(_ context.Context, u hooks.ConnInfoUpdate) error {
	return b.note("UpdateConnInfo", struct {
		UniqID, NewSession, NewCustomerID string
		NewTopics                         []string
		Data                              string
	}{u.UniqID, u.NewSession, u.NewCustomerID, u.NewTopics, string(u.Data)})
}

func (b *fakeBus) DeleteConnInfo(_ context.Context, d hooks.ConnInfoDelete) error {
	return b.note("DeleteConnInfo", struct {
		UniqID                      string
		Session, CustomerID, Topics bool
		Data                        string
	}{d.UniqID, d.Session, d.CustomerID, d.Topics, string(d.Data)})
}

func (b *fakeBus) ForceOffline(_ context.Context, ids []string, data []byte) error {
	return b.note("ForceOffline", ids, data)
}

func (b *fakeBus) ForceOfflineByCustomerID(_ context.Context, ids []string, data []byte) error {
	return b.note("ForceOfflineByCustomerID", ids, data)
}

func (b *fakeBus) ForceOfflineGuest(_ context.Context, ids []string, delay time.Duration, data []byte) error {
	return b.note("ForceOfflineGuest", ids, delay, data)
}

func (b *fakeBus) Limit(_ context.Context, l hooks.Limits) (hooks.Limits, error) {
	return hooks.Limits{OnOpen: 3, OnMessage: 4}, b.note("Limit", l)
}

func (b *fakeBus) CheckOnline(_ context.Context, ids []string) ([]string, error) {
	return []string{"a", "b"}, b.note("CheckOnline", ids)
}

func (b *fakeBus) UniqIDs(context.Context) ([]string, error) {
	return []string{"a", "b"}, b.note("UniqIDs")
}

func (b *fakeBus) UniqIDCount(context.Context) (int, error) { return 5, b.note("UniqIDCount") }

func (b *fakeBus) CustomerIDs(context.Context) ([]string, error) {
	return []string{"p", "\xff"}, b.note("CustomerIDs")
}

func (b *fakeBus) CustomerIDCount(context.Context) (int, error) { return 6, b.note("CustomerIDCount") }

func (b *fakeBus) Topics(context.Context) ([]string, error) {
	return []string{"p", "\xff"}, b.note("Topics")
}

func (b *fakeBus) TopicCount(context.Context) (int, error) { return 7, b.note("TopicCount") }

func (b *fakeBus) TopicUniqIDs(_ context.Context, topics []string) (map[string][]string, error) {
	return map[string][]string{"\xff": {"a", "b"}}, b.note("TopicUniqIDs", topics)
}

func (b *fakeBus) TopicUniqIDCounts(_ context.Context, topics []string, all bool) (map[string]int, error) {
	return map[string]int{"\xff": 8}, b.note("TopicUniqIDCounts", topics, all)
}

func (b *fakeBus) TopicCustomerIDs(_ context.Context, topics []string) (map[string][]string, error) {
	return map[string][]string{"\xff": {"p", "\xff"}}, b.note("TopicCustomerIDs", topics)
}

func (b *fakeBus) TopicCustomerUniqIDs(_ context.Context, topics []string) (map[string]map[string][]string, error) {
	return map[string]map[string][]string{"\xff": {"\xff": {"a", "b"}}}, b.note("TopicCustomerUniqIDs", topics)
}

func (b *fakeBus) TopicCustomerIDCounts(_ context.Context, topics []string, all bool) (map[string]int, error) {
	return map[string]int{"\xff": 9}, b.note("TopicCustomerIDCounts", topics, all)
}

func (b *fakeBus) ConnInfo(_ context.Context, ids []string, f hooks.ConnInfoFields) (map[string]hooks.ConnInfo, error) {
	info := hooks.ConnInfo{UniqID: "a", Session: "\xff", CustomerID: "d", Topics: []string{"p", "\xff"}}
	return map[string]hooks.ConnInfo{"a": info}, b.note("ConnInfo", ids, f)
}

func (b *fakeBus) ConnInfoByCustomerID(_ context.Context, ids []string, f hooks.ConnInfoFields) (map[string][]hooks.ConnInfo, error) {
	info := hooks.ConnInfo{UniqID: "a", Session: "\xff", CustomerID: "d", Topics: []string{"p", "\xff"}}
	return map[string][]hooks.ConnInfo{"d": {info}}, b.note("ConnInfoByCustomerID", ids, f)
}

func (b *fakeBus) Metrics(context.Context) (map[hooks.MetricItem]hooks.Metric, error) {
	return map[hooks.MetricItem]hooks.Metric{
		1: {Count: 2, MeanRate: 0.5, Rate1: 1, Rate5: 5, Rate15: 15},
	}, b.note("Metrics")
}

package gateway

import (
	"context"
	"time"

	"github.com/sluicegate/sluice/hooks"
)

var _ hooks.Bus = (*Gateway)(nil)

// local is the Bus of a gateway's own clients.
type local struct{ *Gateway }

// Local returns a Bus for the clients of this gateway only. Without a
// Config.Cluster it is as good as the gateway itself.
func (g *Gateway) Local() hooks.Bus { return local{g} }

// Broadcast implements [hooks.Bus].
func (g *Gateway) Broadcast(ctx context.Context, data []byte) error {
	return g.bus.Broadcast(ctx, data)
}

// Multicast implements [hooks.Bus].
func (g *Gateway) Multicast(ctx context.Context, uniqIDs []string, data []byte) error {
	return g.bus.Multicast(ctx, uniqIDs, data)
}

// MulticastByCustomerID implements [hooks.Bus].
func (g *Gateway) MulticastByCustomerID(ctx context.Context, customerIDs []string, data []byte) error {
	return g.bus.MulticastByCustomerID(ctx, customerIDs, data)
}

// SingleCast implements [hooks.Bus].
func (g *Gateway) SingleCast(ctx context.Context, uniqID string, data []byte) error {
	return g.bus.SingleCast(ctx, uniqID, data)
}

// SingleCastByCustomerID implements [hooks.Bus].
func (g *Gateway) SingleCastByCustomerID(ctx context.Context, customerID string, data []byte) error {
	return g.bus.SingleCastByCustomerID(ctx, customerID, data)
}

// SingleCastBulk implements [hooks.Bus].
func (g *Gateway) SingleCastBulk(ctx context.Context, uniqIDs []string, data [][]byte) error {
	return g.bus.SingleCastBulk(ctx, uniqIDs, data)
}

// SingleCastBulkByCustomerID implements [hooks.Bus].
func (g *Gateway) SingleCastBulkByCustomerID(ctx context.Context, customerIDs []string, data [][]byte) error {
	return g.bus.SingleCastBulkByCustomerID(ctx, customerIDs, data)
}

// Subscribe implements [hooks.Bus].
func (g *Gateway) Subscribe(ctx context.Context, uniqID string, topics []string, data []byte) error {
	return g.bus.Subscribe(ctx, uniqID, topics, data)
}

// Unsubscribe implements [hooks.Bus].
func (g *Gateway) Unsubscribe(ctx context.Context, uniqID string, topics []string, data []byte) error {
	return g.bus.Unsubscribe(ctx, uniqID, topics, data)
}

// DeleteTopics implements [hooks.Bus].
func (g *Gateway) DeleteTopics(ctx context.Context, topics []string, data []byte) error {
	return g.bus.DeleteTopics(ctx, topics, data)
}

// Publish implements [hooks.Bus].
func (g *Gateway) Publish(ctx context.Context, topics []string, data []byte) error {
	return g.bus.Publish(ctx, topics, data)
}

// PublishLatest implements [hooks.Bus].
func (g *Gateway) PublishLatest(ctx context.Context, topics []string, key string, data []byte) error {
	return g.bus.PublishLatest(ctx, topics, key, data)
}

// PublishBulk implements [hooks.Bus].
func (g *Gateway) PublishBulk(ctx context.Context, topics []string, data [][]byte) error {
	return g.bus.PublishBulk(ctx, topics, data)
}

// UpdateConnInfo implements [hooks.Bus].
func (g *Gateway) UpdateConnInfo(ctx context.Context, u hooks.ConnInfoUpdate) error {
	return g.bus.UpdateConnInfo(ctx, u)
}

// DeleteConnInfo implements [hooks.Bus].
func (g *Gateway) DeleteConnInfo(ctx context.Context, d hooks.ConnInfoDelete) error {
	return g.bus.DeleteConnInfo(ctx, d)
}

// ForceOffline implements [hooks.Bus].
func (g *Gateway) ForceOffline(ctx context.Context, uniqIDs []string, data []byte) error {
	return g.bus.ForceOffline(ctx, uniqIDs, data)
}

// ForceOfflineByCustomerID implements [hooks.Bus].
func (g *Gateway) ForceOfflineByCustomerID(ctx context.Context, customerIDs []string, data []byte) error {
	return g.bus.ForceOfflineByCustomerID(ctx, customerIDs, data)
}

// ForceOfflineGuest implements [hooks.Bus].
func (g *Gateway) ForceOfflineGuest(ctx context.Context, uniqIDs []string, delay time.Duration, data []byte) error {
	return g.bus.ForceOfflineGuest(ctx, uniqIDs, delay, data)
}

// CheckOnline implements [hooks.Bus].
func (g *Gateway) CheckOnline(ctx context.Context, uniqIDs []string) ([]string, error) {
	return g.bus.CheckOnline(ctx, uniqIDs)
}

// UniqIDs implements [hooks.Bus].
func (g *Gateway) UniqIDs(ctx context.Context) ([]string, error) {
	return g.bus.UniqIDs(ctx)
}

// UniqIDCount implements [hooks.Bus].
func (g *Gateway) UniqIDCount(ctx context.Context) (int, error) {
	return g.bus.UniqIDCount(ctx)
}

// CustomerIDs implements [hooks.Bus].
func (g *Gateway) CustomerIDs(ctx context.Context) ([]string, error) {
	return g.bus.CustomerIDs(ctx)
}

// CustomerIDCount implements [hooks.Bus].
func (g *Gateway) CustomerIDCount(ctx context.Context) (int, error) {
	return g.bus.CustomerIDCount(ctx)
}

// Topics implements [hooks.Bus].
func (g *Gateway) Topics(ctx context.Context) ([]string, error) {
	return g.bus.Topics(ctx)
}

// TopicCount implements [hooks.Bus].
func (g *Gateway) TopicCount(ctx context.Context) (int, error) {
	return g.bus.TopicCount(ctx)
}

// TopicUniqIDs implements [hooks.Bus].
func (g *Gateway) TopicUniqIDs(ctx context.Context, topics []string) (map[string][]string, error) {
	return g.bus.TopicUniqIDs(ctx, topics)
}

// TopicUniqIDCounts implements [hooks.Bus].
func (g *Gateway) TopicUniqIDCounts(ctx context.Context, topics []string, all bool) (map[string]int, error) {
	return g.bus.TopicUniqIDCounts(ctx, topics, all)
}

// TopicCustomerIDs implements [hooks.Bus].
func (g *Gateway) TopicCustomerIDs(ctx context.Context, topics []string) (map[string][]string, error) {
	return g.bus.TopicCustomerIDs(ctx, topics)
}

// TopicCustomerUniqIDs implements [hooks.Bus].
func (g *Gateway) TopicCustomerUniqIDs(ctx context.Context, topics []string) (map[string]map[string][]string, error) {
	return g.bus.TopicCustomerUniqIDs(ctx, topics)
}

// TopicCustomerIDCounts implements [hooks.Bus].
func (g *Gateway) TopicCustomerIDCounts(ctx context.Context, topics []string, all bool) (map[string]int, error) {
	return g.bus.TopicCustomerIDCounts(ctx, topics, all)
}

// ConnInfo implements [hooks.Bus].
func (g *Gateway) ConnInfo(ctx context.Context, uniqIDs []string, f hooks.ConnInfoFields) (map[string]hooks.ConnInfo, error) {
	return g.bus.ConnInfo(ctx, uniqIDs, f)
}

// ConnInfoByCustomerID implements [hooks.Bus].
func (g *Gateway) ConnInfoByCustomerID(ctx context.Context, customerIDs []string, f hooks.ConnInfoFields) (map[string][]hooks.ConnInfo, error) {
	return g.bus.ConnInfoByCustomerID(ctx, customerIDs, f)
}

// Metrics implements [hooks.Bus].
func (g *Gateway) Metrics(ctx context.Context) (map[hooks.MetricItem]hooks.Metric, error) {
	return g.bus.Metrics(ctx)
}

// Limit implements [hooks.Bus].
func (g *Gateway) Limit(ctx context.Context, l hooks.Limits) (hooks.Limits, error) {
	return g.bus.Limit(ctx, l)
}

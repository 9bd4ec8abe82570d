package remote_test

import (
	"context"
	"sync"
	"time"

	peer "github.com/buexplain/netsvr-protocol-go/v6/netsvrProtocol"
	"google.golang.org/protobuf/proto"

	"github.com/sluicegate/sluice/hooks"
)

// rawBus is a hooks.Bus over one raw task connection, written as an existing
// client of the protocol is: with another package's types and a socket.
type rawBus struct {
	mu sync.Mutex
	c  *rawConn
}

var _ hooks.Bus = (*rawBus)(nil)

func (b *rawBus) tell(cmd peer.Cmd, m proto.Message) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.c.send(cmd, m)
	return nil
}

// ask sends a request, nil for an empty one, and reads the reply into m.
func (b *rawBus) ask(cmd peer.Cmd, req, m proto.Message) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.c.send(cmd, req)
	b.c.expect(cmd, m)
	return nil
}

func (b *rawBus) Broadcast(_ context.Context, data []byte) error {
	return b.tell(peer.Cmd_Broadcast, &peer.Broadcast{Data: data})
}

func (b *rawBus) Multicast(_ context.Context, uniqIDs []string, data []byte) error {
	return b.tell(peer.Cmd_Multicast, &peer.Multicast{UniqIds: uniqIDs, Data: data})
}

func (b *rawBus) MulticastByCustomerID(_ context.Context, customerIDs []string, data []byte) error {
	return b.tell(peer.Cmd_MulticastByCustomerId, &peer.MulticastByCustomerId{CustomerIds: customerIDs, Data: data})
}

func (b *rawBus) SingleCast(_ context.Context, uniqID string, data []byte) error {
	return b.tell(peer.Cmd_SingleCast, &peer.SingleCast{UniqId: uniqID, Data: data})
}

func (b *rawBus) SingleCastByCustomerID(_ context.Context, customerID string, data []byte) error {
	return b.tell(peer.Cmd_SingleCastByCustomerId, &peer.SingleCastByCustomerId{CustomerId: customerID, Data: data})
}

func (b *rawBus) SingleCastBulk(_ context.Context, uniqIDs []string, data [][]byte) error {
	return b.tell(peer.Cmd_SingleCastBulk, &peer.SingleCastBulk{UniqIds: uniqIDs, Data: data})
}

func (b *rawBus) SingleCastBulkByCustomerID(_ context.Context, customerIDs []string, data [][]byte) error {
	return b.tell(peer.Cmd_SingleCastBulkByCustomerId, &peer.SingleCastBulkByCustomerId{CustomerIds: customerIDs, Data: data})
}

func (b *rawBus) Subscribe(_ context.Context, uniqID string, topics []string, data []byte) error {
	return b.tell(peer.Cmd_TopicSubscribe, &peer.TopicSubscribe{UniqId: uniqID, Topics: topics, Data: data})
}

func (b *rawBus) Unsubscribe(_ context.Context, uniqID string, topics []string, data []byte) error {
	return b.tell(peer.Cmd_TopicUnsubscribe, &peer.TopicUnsubscribe{UniqId: uniqID, Topics: topics, Data: data})
}

func (b *rawBus) DeleteTopics(_ context.Context, topics []string, data []byte) error {
	return b.tell(peer.Cmd_TopicDelete, &peer.TopicDelete{Topics: topics, Data: data})
}

func (b *rawBus) Publish(_ context.Context, topics []string, data []byte) error {
	return b.tell(peer.Cmd_TopicPublish, &peer.TopicPublish{Topics: topics, Data: data})
}

func (b *rawBus) PublishLatest(ctx context.Context, topics []string, _ string, data []byte) error {
	return b.Publish(ctx, topics, data)
}

func (b *rawBus) PublishBulk(_ context.Context, topics []string, data [][]byte) error {
	return b.tell(peer.Cmd_TopicPublishBulk, &peer.TopicPublishBulk{Topics: topics, Data: data})
}

func (b *rawBus) UpdateConnInfo(_ context.Context, u hooks.ConnInfoUpdate) error {
	return b.tell(peer.Cmd_ConnInfoUpdate, &peer.ConnInfoUpdate{
		UniqId: u.UniqID, NewSession: u.NewSession, NewCustomerId: u.NewCustomerID, NewTopics: u.NewTopics, Data: u.Data,
	})
}

func (b *rawBus) DeleteConnInfo(_ context.Context, d hooks.ConnInfoDelete) error {
	return b.tell(peer.Cmd_ConnInfoDelete, &peer.ConnInfoDelete{
		UniqId: d.UniqID, DelSession: d.Session, DelCustomerId: d.CustomerID, DelTopic: d.Topics, Data: d.Data,
	})
}

func (b *rawBus) ForceOffline(_ context.Context, uniqIDs []string, data []byte) error {
	return b.tell(peer.Cmd_ForceOffline, &peer.ForceOffline{UniqIds: uniqIDs, Data: data})
}

func (b *rawBus) ForceOfflineByCustomerID(_ context.Context, customerIDs []string, data []byte) error {
	return b.tell(peer.Cmd_ForceOfflineByCustomerId, &peer.ForceOfflineByCustomerId{CustomerIds: customerIDs, Data: data})
}

func (b *rawBus) ForceOfflineGuest(_ context.Context, uniqIDs []string, delay time.Duration, data []byte) error {
	return b.tell(peer.Cmd_ForceOfflineGuest, &peer.ForceOfflineGuest{UniqIds: uniqIDs, Delay: int32(delay / time.Second), Data: data})
}

func (b *rawBus) CheckOnline(_ context.Context, uniqIDs []string) ([]string, error) {
	var r peer.CheckOnlineResp
	err := b.ask(peer.Cmd_CheckOnline, &peer.CheckOnlineReq{UniqIds: uniqIDs}, &r)
	return r.UniqIds, err
}

func (b *rawBus) UniqIDs(context.Context) ([]string, error) {
	var r peer.UniqIdListResp
	err := b.ask(peer.Cmd_UniqIdList, nil, &r)
	return r.UniqIds, err
}

func (b *rawBus) UniqIDCount(context.Context) (int, error) {
	var r peer.UniqIdCountResp
	err := b.ask(peer.Cmd_UniqIdCount, nil, &r)
	return int(r.Count), err
}

func (b *rawBus) CustomerIDs(context.Context) ([]string, error) {
	var r peer.CustomerIdListResp
	err := b.ask(peer.Cmd_CustomerIdList, nil, &r)
	return r.CustomerIds, err
}

func (b *rawBus) CustomerIDCount(context.Context) (int, error) {
	var r peer.CustomerIdCountResp
	err := b.ask(peer.Cmd_CustomerIdCount, nil, &r)
	return int(r.Count), err
}

func (b *rawBus) Topics(context.Context) ([]string, error) {
	var r peer.TopicListResp
	err := b.ask(peer.Cmd_TopicList, nil, &r)
	return r.Topics, err
}

func (b *rawBus) TopicCount(context.Context) (int, error) {
	var r peer.TopicCountResp
	err := b.ask(peer.Cmd_TopicCount, nil, &r)
	return int(r.Count), err
}

func (b *rawBus) TopicUniqIDs(_ context.Context, topics []string) (map[string][]string, error) {
	var r peer.TopicUniqIdListResp
	err := b.ask(peer.Cmd_TopicUniqIdList, &peer.TopicUniqIdListReq{Topics: topics}, &r)
	all := make(map[string][]string)
	for topic, item := range r.Items {
		all[topic] = item.UniqIds
	}
	return all, err
}

func (b *rawBus) TopicUniqIDCounts(_ context.Context, topics []string, every bool) (map[string]int, error) {
	var r peer.TopicUniqIdCountResp
	err := b.ask(peer.Cmd_TopicUniqIdCount, &peer.TopicUniqIdCountReq{Topics: topics, CountAll: every}, &r)
	return ints(r.Items), err
}

func (b *rawBus) TopicCustomerIDs(_ context.Context, topics []string) (map[string][]string, error) {
	var r peer.TopicCustomerIdListResp
	err := b.ask(peer.Cmd_TopicCustomerIdList, &peer.TopicCustomerIdListReq{Topics: topics}, &r)
	all := make(map[string][]string)
	for topic, item := range r.Items {
		all[topic] = item.CustomerIds
	}
	return all, err
}

func (b *rawBus) TopicCustomerUniqIDs(_ context.Context, topics []string) (map[string]map[string][]string, error) {
	var r peer.TopicCustomerIdToUniqIdsListResp
	err := b.ask(peer.Cmd_TopicCustomerIdToUniqIdsList, &peer.TopicCustomerIdToUniqIdsListReq{Topics: topics}, &r)
	all := make(map[string]map[string][]string)
	for topic, item := range r.Items {
		all[topic] = make(map[string][]string)
		for customer, ids := range item.Items {
			all[topic][customer] = ids.UniqIds
		}
	}
	return all, err
}

func (b *rawBus) TopicCustomerIDCounts(_ context.Context, topics []string, every bool) (map[string]int, error) {
	var r peer.TopicCustomerIdCountResp
	err := b.ask(peer.Cmd_TopicCustomerIdCount, &peer.TopicCustomerIdCountReq{Topics: topics, CountAll: every}, &r)
	return ints(r.Items), err
}

func (b *rawBus) ConnInfo(_ context.Context, uniqIDs []string, f hooks.ConnInfoFields) (map[string]hooks.ConnInfo, error) {
	var r peer.ConnInfoResp
	err := b.ask(peer.Cmd_ConnInfo, &peer.ConnInfoReq{
		UniqIds: uniqIDs, ReqSession: f.Session, ReqCustomerId: f.CustomerID, ReqTopic: f.Topics,
	}, &r)
	all := make(map[string]hooks.ConnInfo)
	for id, item := range r.Items {
		i := hooks.ConnInfo{Session: item.Session, CustomerID: item.CustomerId, Topics: item.Topics}
		if f.UniqID {
			i.UniqID = id
		}
		all[id] = i
	}
	return all, err
}

func (b *rawBus) ConnInfoByCustomerID(_ context.Context, customerIDs []string, f hooks.ConnInfoFields) (map[string][]hooks.ConnInfo, error) {
	var r peer.ConnInfoByCustomerIdResp
	err := b.ask(peer.Cmd_ConnInfoByCustomerId, &peer.ConnInfoByCustomerIdReq{
		CustomerIds: customerIDs, ReqSession: f.Session, ReqUniqId: f.UniqID, ReqTopic: f.Topics,
	}, &r)
	all := make(map[string][]hooks.ConnInfo)
	for customer, items := range r.Items {
		for _, item := range items.Items {
			i := hooks.ConnInfo{Session: item.Session, UniqID: item.UniqId, Topics: item.Topics}
			if f.CustomerID {
				i.CustomerID = customer
			}
			all[customer] = append(all[customer], i)
		}
	}
	return all, err
}

func (b *rawBus) Metrics(context.Context) (map[hooks.MetricItem]hooks.Metric, error) {
	var r peer.MetricsResp
	err := b.ask(peer.Cmd_Metrics, nil, &r)
	all := make(map[hooks.MetricItem]hooks.Metric)
	for item, m := range r.Items {
		all[hooks.MetricItem(item)] = hooks.Metric{
			Count: m.Count, MeanRate: float64(m.MeanRate), Rate1: float64(m.Rate1), Rate5: float64(m.Rate5), Rate15: float64(m.Rate15),
		}
	}
	return all, err
}

func (b *rawBus) Limit(_ context.Context, l hooks.Limits) (hooks.Limits, error) {
	var r peer.LimitResp
	err := b.ask(peer.Cmd_Limit, &peer.LimitReq{OnOpen: int32(l.OnOpen), OnMessage: int32(l.OnMessage)}, &r)
	return hooks.Limits{OnOpen: int(r.OnOpen), OnMessage: int(r.OnMessage)}, err
}

func ints(all map[string]int32) map[string]int {
	out := make(map[string]int)
	for key, n := range all {
		out[key] = int(n)
	}
	return out
}

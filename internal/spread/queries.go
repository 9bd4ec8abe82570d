package spread

import (
	"context"
	"slices"
	"sync"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/protocol"
)

// CheckOnline implements [hooks.Bus].
func (b Bus[G]) CheckOnline(ctx context.Context, uniqIDs []string) ([]string, error) {
	var mu sync.Mutex // asks run at the same time
	var all union
	err := b.splitIDs(uniqIDs, func(to []G, mine []string) error {
		return ask(ctx, b, to, protocol.Cmd_CheckOnline, &protocol.CheckOnlineReq{UniqIds: mine},
			func(r *protocol.CheckOnlineResp) {
				mu.Lock()
				defer mu.Unlock()
				all.add(r.GetUniqIds())
			})
	})
	return all.list, err
}

// UniqIDs implements [hooks.Bus].
func (b Bus[G]) UniqIDs(ctx context.Context) ([]string, error) {
	var all union
	err := ask(ctx, b, b.to.All(), protocol.Cmd_UniqIdList, nil, func(r *protocol.UniqIdListResp) { all.add(r.GetUniqIds()) })
	return all.list, err
}

// UniqIDCount implements [hooks.Bus].
func (b Bus[G]) UniqIDCount(ctx context.Context) (n int, err error) {
	err = ask(ctx, b, b.to.All(), protocol.Cmd_UniqIdCount, nil, func(r *protocol.UniqIdCountResp) { n += int(r.GetCount()) })
	return n, err
}

// CustomerIDs implements [hooks.Bus].
func (b Bus[G]) CustomerIDs(ctx context.Context) ([]string, error) {
	var all union
	err := ask(ctx, b, b.to.All(), protocol.Cmd_CustomerIdList, nil,
		func(r *protocol.CustomerIdListResp) { all.add(r.GetCustomerIds()) })
	return all.list, err
}

// CustomerIDCount implements [hooks.Bus].
func (b Bus[G]) CustomerIDCount(ctx context.Context) (n int, err error) {
	err = ask(ctx, b, b.to.All(), protocol.Cmd_CustomerIdCount, nil, func(r *protocol.CustomerIdCountResp) { n += int(r.GetCount()) })
	return n, err
}

// Topics implements [hooks.Bus].
func (b Bus[G]) Topics(ctx context.Context) ([]string, error) {
	var all union
	err := ask(ctx, b, b.to.All(), protocol.Cmd_TopicList, nil, func(r *protocol.TopicListResp) { all.add(r.GetTopics()) })
	return all.list, err
}

// TopicCount implements [hooks.Bus].
func (b Bus[G]) TopicCount(ctx context.Context) (n int, err error) {
	err = ask(ctx, b, b.to.All(), protocol.Cmd_TopicCount, nil, func(r *protocol.TopicCountResp) { n += int(r.GetCount()) })
	return n, err
}

// TopicUniqIDs implements [hooks.Bus].
func (b Bus[G]) TopicUniqIDs(ctx context.Context, topics []string) (map[string][]string, error) {
	all := make(unions)
	err := ask(ctx, b, b.to.All(), protocol.Cmd_TopicUniqIdList, &protocol.TopicUniqIdListReq{Topics: topics},
		func(r *protocol.TopicUniqIdListResp) {
			for topic, item := range r.GetItems() {
				all.add(topic, item.GetUniqIds())
			}
		})
	return all.lists(), err
}

// TopicUniqIDCounts implements [hooks.Bus].
func (b Bus[G]) TopicUniqIDCounts(ctx context.Context, topics []string, every bool) (map[string]int, error) {
	all := make(map[string]int)
	err := ask(ctx, b, b.to.All(), protocol.Cmd_TopicUniqIdCount, &protocol.TopicUniqIdCountReq{Topics: topics, CountAll: every},
		func(r *protocol.TopicUniqIdCountResp) { addUp(all, r.GetItems()) })
	return all, err
}

// TopicCustomerIDs implements [hooks.Bus].
func (b Bus[G]) TopicCustomerIDs(ctx context.Context, topics []string) (map[string][]string, error) {
	all := make(unions)
	err := ask(ctx, b, b.to.All(), protocol.Cmd_TopicCustomerIdList, &protocol.TopicCustomerIdListReq{Topics: topics},
		func(r *protocol.TopicCustomerIdListResp) {
			for topic, item := range r.GetItems() {
				all.add(topic, item.GetCustomerIds())
			}
		})
	return all.lists(), err
}

// TopicCustomerUniqIDs implements [hooks.Bus].
func (b Bus[G]) TopicCustomerUniqIDs(ctx context.Context, topics []string) (map[string]map[string][]string, error) {
	found := make(map[string]unions)
	err := ask(ctx, b, b.to.All(), protocol.Cmd_TopicCustomerIdToUniqIdsList, &protocol.TopicCustomerIdToUniqIdsListReq{Topics: topics},
		func(r *protocol.TopicCustomerIdToUniqIdsListResp) {
			for topic, customers := range r.GetItems() {
				if found[topic] == nil {
					found[topic] = make(unions)
				}
				for customer, ids := range customers.GetItems() {
					found[topic].add(customer, ids.GetUniqIds())
				}
			}
		})
	all := make(map[string]map[string][]string, len(found))
	for topic, customers := range found {
		all[topic] = customers.lists()
	}
	return all, err
}

// TopicCustomerIDCounts implements [hooks.Bus].
func (b Bus[G]) TopicCustomerIDCounts(ctx context.Context, topics []string, every bool) (map[string]int, error) {
	all := make(map[string]int)
	err := ask(ctx, b, b.to.All(), protocol.Cmd_TopicCustomerIdCount, &protocol.TopicCustomerIdCountReq{Topics: topics, CountAll: every},
		func(r *protocol.TopicCustomerIdCountResp) { addUp(all, r.GetItems()) })
	return all, err
}

// ConnInfo implements [hooks.Bus].
func (b Bus[G]) ConnInfo(ctx context.Context, uniqIDs []string, f hooks.ConnInfoFields) (map[string]hooks.ConnInfo, error) {
	var mu sync.Mutex // asks run at the same time
	all := make(map[string]hooks.ConnInfo, len(uniqIDs))
	err := b.splitIDs(uniqIDs, func(to []G, mine []string) error {
		return ask(ctx, b, to, protocol.Cmd_ConnInfo,
			&protocol.ConnInfoReq{UniqIds: mine, ReqSession: f.Session, ReqCustomerId: f.CustomerID, ReqTopic: f.Topics},
			func(r *protocol.ConnInfoResp) {
				mu.Lock()
				defer mu.Unlock()
				for id, item := range r.GetItems() {
					i := hooks.ConnInfo{Session: item.GetSession(), CustomerID: item.GetCustomerId(), Topics: item.GetTopics()}
					if f.UniqID {
						i.UniqID = id
					}
					all[id] = i
				}
			})
	})
	return all, err
}

// ConnInfoByCustomerID implements [hooks.Bus].
func (b Bus[G]) ConnInfoByCustomerID(ctx context.Context, customerIDs []string, f hooks.ConnInfoFields) (map[string][]hooks.ConnInfo, error) {
	all := make(map[string][]hooks.ConnInfo, len(customerIDs))
	err := ask(ctx, b, b.to.All(), protocol.Cmd_ConnInfoByCustomerId,
		&protocol.ConnInfoByCustomerIdReq{CustomerIds: customerIDs, ReqSession: f.Session, ReqUniqId: f.UniqID, ReqTopic: f.Topics},
		func(r *protocol.ConnInfoByCustomerIdResp) {
			for customer, items := range r.GetItems() {
				for _, item := range items.GetItems() {
					i := hooks.ConnInfo{UniqID: item.GetUniqId(), Session: item.GetSession(), Topics: item.GetTopics()}
					if f.CustomerID {
						i.CustomerID = customer
					}
					all[customer] = append(all[customer], i)
				}
			}
		})
	return all, err
}

// Metrics implements hooks.Bus. Counts and rates of several gateways add up.
func (b Bus[G]) Metrics(ctx context.Context) (map[hooks.MetricItem]hooks.Metric, error) {
	all := make(map[hooks.MetricItem]hooks.Metric, hooks.MetricItems)
	err := ask(ctx, b, b.to.All(), protocol.Cmd_Metrics, nil,
		func(r *protocol.MetricsResp) {
			for number, item := range r.GetItems() {
				m := all[hooks.MetricItem(number)]
				m.Count += item.GetCount()
				m.MeanRate += float64(item.GetMeanRate())
				m.Rate1 += float64(item.GetRate1())
				m.Rate5 += float64(item.GetRate5())
				m.Rate15 += float64(item.GetRate15())
				all[hooks.MetricItem(number)] = m
			}
		})
	return all, err
}

// Limit implements hooks.Bus. Each gateway is given the limits; of what several
// have in force, the lowest is returned.
func (b Bus[G]) Limit(ctx context.Context, l hooks.Limits) (now hooks.Limits, err error) {
	// A negative limit is none, on the wire too, whatever its size.
	req := &protocol.LimitReq{OnOpen: int32(min(max(l.OnOpen, 0), 1<<31-1)), OnMessage: int32(min(max(l.OnMessage, 0), 1<<31-1))}
	err = ask(ctx, b, b.to.All(), protocol.Cmd_Limit, req,
		func(r *protocol.LimitResp) {
			now.OnOpen = lowest(now.OnOpen, int(r.GetOnOpen()))
			now.OnMessage = lowest(now.OnMessage, int(r.GetOnMessage()))
		})
	return now, err
}

// lowest returns the lower of two limits, of which 0 is none.
func lowest(a, b int) int {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

// union joins lists without duplicates.
type union struct {
	list []string
	seen map[string]bool // of lists before the last; nil for one
}

func (u *union) add(more []string) {
	if u.list == nil {
		u.list = more
		return
	}
	if u.seen == nil {
		u.seen = make(map[string]bool, len(u.list)+len(more))
		for _, s := range u.list {
			u.seen[s] = true
		}
	}
	u.list = slices.Grow(u.list, len(more))
	for _, s := range more {
		if !u.seen[s] {
			u.seen[s] = true
			u.list = append(u.list, s)
		}
	}
}

// unions are the lists of a map.
type unions map[string]*union

func (u unions) add(key string, more []string) {
	if u[key] == nil {
		u[key] = new(union)
	}
	u[key].add(more)
}

func (u unions) lists() map[string][]string {
	all := make(map[string][]string, len(u))
	for key, one := range u {
		all[key] = one.list
	}
	return all
}

func addUp(all map[string]int, more map[string]int32) {
	for key, n := range more {
		all[key] += int(n)
	}
}

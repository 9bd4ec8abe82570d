package command

import (
	"context"
	"math"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/wire"
	"github.com/sluicegate/sluice/protocol"
)

// lists are the questions about who and what there is.
func lists() map[protocol.Cmd_Number]Command {
	return map[protocol.Cmd_Number]Command{
		protocol.Cmd_CheckOnline: ask(func(ctx context.Context, bus hooks.Bus, m *protocol.CheckOnlineReq) (*protocol.CheckOnlineResp, error) {
			ids, err := bus.CheckOnline(ctx, m.GetUniqIds())
			return &protocol.CheckOnlineResp{UniqIds: ids}, err
		}),
		protocol.Cmd_UniqIdList: query(func(ctx context.Context, bus hooks.Bus) (*protocol.UniqIdListResp, error) {
			ids, err := bus.UniqIDs(ctx)
			return &protocol.UniqIdListResp{UniqIds: ids}, err
		}),
		protocol.Cmd_UniqIdCount: query(func(ctx context.Context, bus hooks.Bus) (*protocol.UniqIdCountResp, error) {
			n, err := bus.UniqIDCount(ctx)
			return &protocol.UniqIdCountResp{Count: number(n)}, err
		}),
		protocol.Cmd_CustomerIdList: query(func(ctx context.Context, bus hooks.Bus) (*protocol.CustomerIdListResp, error) {
			ids, err := bus.CustomerIDs(ctx)
			return &protocol.CustomerIdListResp{CustomerIds: wire.Texts(ids)}, err
		}),
		protocol.Cmd_CustomerIdCount: query(func(ctx context.Context, bus hooks.Bus) (*protocol.CustomerIdCountResp, error) {
			n, err := bus.CustomerIDCount(ctx)
			return &protocol.CustomerIdCountResp{Count: number(n)}, err
		}),
		protocol.Cmd_TopicList: query(func(ctx context.Context, bus hooks.Bus) (*protocol.TopicListResp, error) {
			topics, err := bus.Topics(ctx)
			return &protocol.TopicListResp{Topics: wire.Texts(topics)}, err
		}),
		protocol.Cmd_TopicCount: query(func(ctx context.Context, bus hooks.Bus) (*protocol.TopicCountResp, error) {
			n, err := bus.TopicCount(ctx)
			return &protocol.TopicCountResp{Count: number(n)}, err
		}),
		protocol.Cmd_Metrics: query(func(ctx context.Context, bus hooks.Bus) (*protocol.MetricsResp, error) {
			all, err := bus.Metrics(ctx)
			resp := &protocol.MetricsResp{Items: make(map[int32]*protocol.MetricsResp_Item, len(all))}
			for item, m := range all {
				resp.Items[int32(item)] = &protocol.MetricsResp_Item{
					Item: int32(item), Count: m.Count, MeanRate: float32(m.MeanRate),
					Rate1: float32(m.Rate1), Rate5: float32(m.Rate5), Rate15: float32(m.Rate15),
				}
			}
			return resp, err
		}),
	}
}

// topicQueries are the questions about topics.
func topicQueries() map[protocol.Cmd_Number]Command {
	return map[protocol.Cmd_Number]Command{
		protocol.Cmd_TopicUniqIdList: ask(func(ctx context.Context, bus hooks.Bus, m *protocol.TopicUniqIdListReq) (*protocol.TopicUniqIdListResp, error) {
			all, err := bus.TopicUniqIDs(ctx, m.GetTopics())
			return &protocol.TopicUniqIdListResp{Items: items(all, func(ids []string) *protocol.TopicUniqIdListResp_Item {
				return &protocol.TopicUniqIdListResp_Item{UniqIds: ids}
			})}, err
		}),
		protocol.Cmd_TopicUniqIdCount: ask(func(ctx context.Context, bus hooks.Bus, m *protocol.TopicUniqIdCountReq) (*protocol.TopicUniqIdCountResp, error) {
			all, err := bus.TopicUniqIDCounts(ctx, m.GetTopics(), m.GetCountAll())
			return &protocol.TopicUniqIdCountResp{Items: items(all, number)}, err
		}),
		protocol.Cmd_TopicCustomerIdList: ask(func(ctx context.Context, bus hooks.Bus, m *protocol.TopicCustomerIdListReq) (*protocol.TopicCustomerIdListResp, error) {
			all, err := bus.TopicCustomerIDs(ctx, m.GetTopics())
			return &protocol.TopicCustomerIdListResp{Items: items(all, func(ids []string) *protocol.TopicCustomerIdListResp_Item {
				return &protocol.TopicCustomerIdListResp_Item{CustomerIds: wire.Texts(ids)}
			})}, err
		}),
		protocol.Cmd_TopicCustomerIdToUniqIdsList: ask(func(ctx context.Context, bus hooks.Bus, m *protocol.TopicCustomerIdToUniqIdsListReq) (*protocol.TopicCustomerIdToUniqIdsListResp, error) {
			all, err := bus.TopicCustomerUniqIDs(ctx, m.GetTopics())
			return &protocol.TopicCustomerIdToUniqIdsListResp{Items: items(all, func(customers map[string][]string) *protocol.TopicCustomerIdToUniqIdsListResp_Item {
				return &protocol.TopicCustomerIdToUniqIdsListResp_Item{Items: items(customers, func(ids []string) *protocol.TopicCustomerIdToUniqIdsListResp_Customer {
					return &protocol.TopicCustomerIdToUniqIdsListResp_Customer{UniqIds: ids}
				})}
			})}, err
		}),
		protocol.Cmd_TopicCustomerIdCount: ask(func(ctx context.Context, bus hooks.Bus, m *protocol.TopicCustomerIdCountReq) (*protocol.TopicCustomerIdCountResp, error) {
			all, err := bus.TopicCustomerIDCounts(ctx, m.GetTopics(), m.GetCountAll())
			return &protocol.TopicCustomerIdCountResp{Items: items(all, number)}, err
		}),
	}
}

// infoQueries are the questions about what clients hold.
func infoQueries() map[protocol.Cmd_Number]Command {
	return map[protocol.Cmd_Number]Command{
		protocol.Cmd_ConnInfo: ask(func(ctx context.Context, bus hooks.Bus, m *protocol.ConnInfoReq) (*protocol.ConnInfoResp, error) {
			all, err := bus.ConnInfo(ctx, m.GetUniqIds(), hooks.ConnInfoFields{
				Session: m.GetReqSession(), CustomerID: m.GetReqCustomerId(), Topics: m.GetReqTopic(),
			})
			return &protocol.ConnInfoResp{Items: items(all, func(i hooks.ConnInfo) *protocol.ConnInfoResp_Item {
				return &protocol.ConnInfoResp_Item{Session: wire.Text(i.Session), CustomerId: wire.Text(i.CustomerID), Topics: wire.Texts(i.Topics)}
			})}, err
		}),
		protocol.Cmd_ConnInfoByCustomerId: ask(func(ctx context.Context, bus hooks.Bus, m *protocol.ConnInfoByCustomerIdReq) (*protocol.ConnInfoByCustomerIdResp, error) {
			all, err := bus.ConnInfoByCustomerID(ctx, m.GetCustomerIds(), hooks.ConnInfoFields{
				Session: m.GetReqSession(), UniqID: m.GetReqUniqId(), Topics: m.GetReqTopic(),
			})
			return &protocol.ConnInfoByCustomerIdResp{Items: items(all, func(infos []hooks.ConnInfo) *protocol.ConnInfoByCustomerIdResp_Items {
				one := new(protocol.ConnInfoByCustomerIdResp_Items)
				for _, i := range infos {
					one.Items = append(one.Items, &protocol.ConnInfoByCustomerIdResp_Item{
						Session: wire.Text(i.Session), UniqId: i.UniqID, Topics: wire.Texts(i.Topics),
					})
				}
				return one
			})}, err
		}),
	}
}

// number is n as the wire has it.
func number(n int) int32 { return int32(min(n, math.MaxInt32)) }

// items turns the values of a map into those of the wire, its keys into text.
func items[A, B any](all map[string]A, to func(A) B) map[string]B {
	out := make(map[string]B, len(all))
	for key, v := range all {
		out[wire.Text(key)] = to(v)
	}
	return out
}

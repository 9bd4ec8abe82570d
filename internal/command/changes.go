package command

import (
	"context"
	"time"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/protocol"
)

// changes are the commands that change what clients hold, or what is allowed to
// them.
func changes() map[protocol.Cmd_Number]Command {
	return map[protocol.Cmd_Number]Command{
		protocol.Cmd_ConnInfoUpdate: tell(func(ctx context.Context, bus hooks.Bus, m *protocol.ConnInfoUpdate) error {
			return bus.UpdateConnInfo(ctx, hooks.ConnInfoUpdate{
				UniqID: m.GetUniqId(), NewSession: m.GetNewSession(), NewCustomerID: m.GetNewCustomerId(),
				NewTopics: m.GetNewTopics(), Data: m.GetData(),
			})
		}),
		protocol.Cmd_ConnInfoDelete: tell(func(ctx context.Context, bus hooks.Bus, m *protocol.ConnInfoDelete) error {
			return bus.DeleteConnInfo(ctx, hooks.ConnInfoDelete{
				UniqID: m.GetUniqId(), Session: m.GetDelSession(), CustomerID: m.GetDelCustomerId(),
				Topics: m.GetDelTopic(), Data: m.GetData(),
			})
		}),
		protocol.Cmd_TopicSubscribe: tell(func(ctx context.Context, bus hooks.Bus, m *protocol.TopicSubscribe) error {
			return bus.Subscribe(ctx, m.GetUniqId(), m.GetTopics(), m.GetData())
		}),
		protocol.Cmd_TopicUnsubscribe: tell(func(ctx context.Context, bus hooks.Bus, m *protocol.TopicUnsubscribe) error {
			return bus.Unsubscribe(ctx, m.GetUniqId(), m.GetTopics(), m.GetData())
		}),
		protocol.Cmd_TopicDelete: tell(func(ctx context.Context, bus hooks.Bus, m *protocol.TopicDelete) error {
			return bus.DeleteTopics(ctx, m.GetTopics(), m.GetData())
		}),
		protocol.Cmd_ForceOffline: tell(func(ctx context.Context, bus hooks.Bus, m *protocol.ForceOffline) error {
			return bus.ForceOffline(ctx, m.GetUniqIds(), m.GetData())
		}),
		protocol.Cmd_ForceOfflineByCustomerId: tell(func(ctx context.Context, bus hooks.Bus, m *protocol.ForceOfflineByCustomerId) error {
			return bus.ForceOfflineByCustomerID(ctx, m.GetCustomerIds(), m.GetData())
		}),
		protocol.Cmd_ForceOfflineGuest: tell(func(ctx context.Context, bus hooks.Bus, m *protocol.ForceOfflineGuest) error {
			return bus.ForceOfflineGuest(ctx, m.GetUniqIds(), time.Duration(m.GetDelay())*time.Second, m.GetData())
		}),
		protocol.Cmd_Limit: ask(func(ctx context.Context, bus hooks.Bus, m *protocol.LimitReq) (*protocol.LimitResp, error) {
			now, err := bus.Limit(ctx, hooks.Limits{OnOpen: int(m.GetOnOpen()), OnMessage: int(m.GetOnMessage())})
			return &protocol.LimitResp{OnOpen: number(now.OnOpen), OnMessage: number(now.OnMessage)}, err
		}),
	}
}

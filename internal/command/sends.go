package command

import (
	"context"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/protocol"
)

// sends are the commands that send to clients and change nothing.
func sends() map[protocol.Cmd_Number]Command {
	return map[protocol.Cmd_Number]Command{
		protocol.Cmd_Broadcast: tell(func(ctx context.Context, bus hooks.Bus, m *protocol.Broadcast) error {
			return bus.Broadcast(ctx, m.GetData())
		}),
		protocol.Cmd_Multicast: tell(func(ctx context.Context, bus hooks.Bus, m *protocol.Multicast) error {
			return bus.Multicast(ctx, m.GetUniqIds(), m.GetData())
		}),
		protocol.Cmd_MulticastByCustomerId: tell(func(ctx context.Context, bus hooks.Bus, m *protocol.MulticastByCustomerId) error {
			return bus.MulticastByCustomerID(ctx, m.GetCustomerIds(), m.GetData())
		}),
		protocol.Cmd_SingleCast: tell(func(ctx context.Context, bus hooks.Bus, m *protocol.SingleCast) error {
			return bus.SingleCast(ctx, m.GetUniqId(), m.GetData())
		}),
		protocol.Cmd_SingleCastBulk: tell(func(ctx context.Context, bus hooks.Bus, m *protocol.SingleCastBulk) error {
			return bus.SingleCastBulk(ctx, m.GetUniqIds(), m.GetData())
		}),
		protocol.Cmd_SingleCastByCustomerId: tell(func(ctx context.Context, bus hooks.Bus, m *protocol.SingleCastByCustomerId) error {
			return bus.SingleCastByCustomerID(ctx, m.GetCustomerId(), m.GetData())
		}),
		protocol.Cmd_SingleCastBulkByCustomerId: tell(func(ctx context.Context, bus hooks.Bus, m *protocol.SingleCastBulkByCustomerId) error {
			return bus.SingleCastBulkByCustomerID(ctx, m.GetCustomerIds(), m.GetData())
		}),
		protocol.Cmd_TopicPublish: tell(func(ctx context.Context, bus hooks.Bus, m *protocol.TopicPublish) error {
			return bus.Publish(ctx, m.GetTopics(), m.GetData())
		}),
		protocol.Cmd_TopicPublishBulk: tell(func(ctx context.Context, bus hooks.Bus, m *protocol.TopicPublishBulk) error {
			return bus.PublishBulk(ctx, m.GetTopics(), m.GetData())
		}),
	}
}

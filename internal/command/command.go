// Package command carries out the protocol's commands on a [hooks.Bus]: those of
// business processes, which come over TCP, and those of other nodes of a cluster.
package command

import (
	"context"
	"math"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/wire"
	"github.com/sluicegate/sluice/protocol"
)

// A Command carries out one kind of command.
type Command struct {
	// New returns an empty body to read one into. It is nil if the body says
	// nothing, whatever it is; Do is given nil then.
	New func() proto.Message
	// Do carries out the command that body describes, which is of the type that
	// New returns. Only a command that is answered has a reply, which may come
	// with an error if it is incomplete. It may be called on any goroutine, does
	// as bus does with ctx, and does not keep body.
	Do func(ctx context.Context, bus hooks.Bus, body proto.Message) (reply proto.Message, err error)
	// Answered says whether the command is.
	Answered bool
}

// message is a pointer to a message of type T.
type message[T any] interface {
	*T
	proto.Message
}

func fresh[T any, M message[T]]() proto.Message { return M(new(T)) }

// tell makes a command of what is never answered.
func tell[T any, M message[T]](do func(ctx context.Context, bus hooks.Bus, m M) error) Command {
	return Command{
		New: fresh[T, M],
		Do: func(ctx context.Context, bus hooks.Bus, body proto.Message) (proto.Message, error) {
			return nil, do(ctx, bus, body.(M))
		},
	}
}

// ask makes a command of what is answered, even if the answer is incomplete.
func ask[T any, M message[T], R proto.Message](do func(ctx context.Context, bus hooks.Bus, m M) (R, error)) Command {
	return Command{
		New: fresh[T, M],
		Do: func(ctx context.Context, bus hooks.Bus, body proto.Message) (proto.Message, error) {
			return do(ctx, bus, body.(M))
		},
		Answered: true,
	}
}

// query makes a command of what is answered whatever its body says.
func query[R proto.Message](do func(ctx context.Context, bus hooks.Bus) (R, error)) Command {
	return Command{
		Do: func(ctx context.Context, bus hooks.Bus, _ proto.Message) (proto.Message, error) {
			return do(ctx, bus)
		},
		Answered: true,
	}
}

// Table returns the commands by their numbers: all but those of the protocol that
// register a business process, and the events. The map is the caller's.
func Table() map[protocol.Cmd_Number]Command {
	all := make(map[protocol.Cmd_Number]Command)
	for _, some := range []map[protocol.Cmd_Number]Command{sends(), changes(), lists(), topicQueries(), infoQueries()} {
		for cmd, do := range some {
			all[cmd] = do
		}
	}
	return all
}

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

// number is n as the wire has it.
func number(n int) int32 { return int32(min(n, math.MaxInt32)) }

package business

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/protocol"
)

// bus is a hooks.Bus over one lane to each of some gateways.
type bus struct {
	c     *Client
	lane  int
	gates []*gate
}

var _ hooks.Bus = (*bus)(nil)

func newBus(c *Client, lane int, gates []*gate) *bus { return &bus{c: c, lane: lane, gates: gates} }

// tell sends a command to gateways. One gateway's trouble is not the others'.
func (b *bus) tell(ctx context.Context, gates []*gate, cmd protocol.Cmd_Number, m proto.Message) error {
	return each(gates, func(g *gate) error { return g.lanes[b.lane].put(ctx, cmd, m, nil) })
}

// ask puts a question to gateways and hands what each answers to merge, which
// is called for one at a time.
func ask[R proto.Message](ctx context.Context, b *bus, gates []*gate, cmd protocol.Cmd_Number,
	question proto.Message, reply func() R, merge func(R),
) error {
	var mu sync.Mutex
	return each(gates, func(g *gate) error {
		r := reply()
		if err := g.lanes[b.lane].ask(ctx, cmd, question, r); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		merge(r)
		return nil
	})
}

// each calls f for every gateway, for all at the same time: those that cannot
// be reached share one wait, and hold up none of the others.
func each(gates []*gate, f func(*gate) error) error {
	if len(gates) == 1 {
		return f(gates[0])
	}
	var all sync.WaitGroup
	errs := make([]error, len(gates))
	for i, g := range gates {
		all.Go(func() { errs[i] = f(g) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// home returns the gateways that may have a client: the one that its id names,
// or all if it names none that is known.
func (b *bus) home(uniqID string) []*gate {
	if len(b.gates) == 1 {
		return b.gates
	}
	if id, err := protocol.ParseUniqID(uniqID); err == nil {
		node := nodeNumber(id.Node)
		for i, g := range b.gates {
			if g.node.Load() == node {
				return b.gates[i : i+1]
			}
		}
	}
	return b.gates
}

// split calls f for each gateway with those of the ids that are, or may be, its
// own, as indexes; for all gateways at the same time.
func (b *bus) split(uniqIDs []string, f func(gates []*gate, mine []int) error) error {
	mine := make(map[*gate][]int, len(b.gates))
	for i, id := range uniqIDs {
		for _, g := range b.home(id) {
			mine[g] = append(mine[g], i)
		}
	}
	var owners []*gate
	for _, g := range b.gates {
		if len(mine[g]) > 0 {
			owners = append(owners, g)
		}
	}
	return each(owners, func(g *gate) error { return f([]*gate{g}, mine[g]) })
}

// splitIDs is split for commands that need no more than the ids.
func (b *bus) splitIDs(uniqIDs []string, f func(gates []*gate, mine []string) error) error {
	if len(b.gates) == 1 {
		if len(uniqIDs) == 0 {
			return nil
		}
		return f(b.gates, uniqIDs)
	}
	return b.split(uniqIDs, func(gates []*gate, mine []int) error { return f(gates, pick(uniqIDs, mine)) })
}

func pick[T any](all []T, which []int) []T {
	some := make([]T, len(which))
	for i, at := range which {
		some[i] = all[at]
	}
	return some
}

// Broadcast implements [hooks.Bus].
func (b *bus) Broadcast(ctx context.Context, data []byte) error {
	return b.tell(ctx, b.gates, protocol.Cmd_Broadcast, &protocol.Broadcast{Data: data})
}

// Multicast implements [hooks.Bus].
func (b *bus) Multicast(ctx context.Context, uniqIDs []string, data []byte) error {
	return b.splitIDs(uniqIDs, func(gates []*gate, mine []string) error {
		return b.tell(ctx, gates, protocol.Cmd_Multicast, &protocol.Multicast{UniqIds: mine, Data: data})
	})
}

// MulticastByCustomerID implements [hooks.Bus].
func (b *bus) MulticastByCustomerID(ctx context.Context, customerIDs []string, data []byte) error {
	if len(customerIDs) == 0 {
		return ctx.Err()
	}
	return b.tell(ctx, b.gates, protocol.Cmd_MulticastByCustomerId, &protocol.MulticastByCustomerId{CustomerIds: customerIDs, Data: data})
}

// SingleCast implements [hooks.Bus].
func (b *bus) SingleCast(ctx context.Context, uniqID string, data []byte) error {
	return b.tell(ctx, b.home(uniqID), protocol.Cmd_SingleCast, &protocol.SingleCast{UniqId: uniqID, Data: data})
}

// SingleCastByCustomerID implements [hooks.Bus].
func (b *bus) SingleCastByCustomerID(ctx context.Context, customerID string, data []byte) error {
	return b.tell(ctx, b.gates, protocol.Cmd_SingleCastByCustomerId, &protocol.SingleCastByCustomerId{CustomerId: customerID, Data: data})
}

// SingleCastBulk implements [hooks.Bus].
func (b *bus) SingleCastBulk(ctx context.Context, uniqIDs []string, data [][]byte) error {
	if !pairUp(uniqIDs, data) {
		return hooks.ErrBulkMismatch
	}
	if len(uniqIDs) == 0 {
		return ctx.Err()
	}
	if len(uniqIDs) == 1 || len(b.gates) == 1 {
		return b.tell(ctx, b.home(uniqIDs[0]), protocol.Cmd_SingleCastBulk, &protocol.SingleCastBulk{UniqIds: uniqIDs, Data: data})
	}
	return b.split(uniqIDs, func(gates []*gate, mine []int) error {
		return b.tell(ctx, gates, protocol.Cmd_SingleCastBulk, &protocol.SingleCastBulk{UniqIds: pick(uniqIDs, mine), Data: pick(data, mine)})
	})
}

// SingleCastBulkByCustomerID implements [hooks.Bus].
func (b *bus) SingleCastBulkByCustomerID(ctx context.Context, customerIDs []string, data [][]byte) error {
	if !pairUp(customerIDs, data) {
		return hooks.ErrBulkMismatch
	}
	return b.tell(ctx, b.gates, protocol.Cmd_SingleCastBulkByCustomerId,
		&protocol.SingleCastBulkByCustomerId{CustomerIds: customerIDs, Data: data})
}

// pairUp reports whether the lists of a bulk command do.
func pairUp(names []string, data [][]byte) bool {
	return len(names) == len(data) || len(names) == 1 && len(data) > 0
}

// Subscribe implements [hooks.Bus].
func (b *bus) Subscribe(ctx context.Context, uniqID string, topics []string, data []byte) error {
	if len(topics) == 0 {
		return ctx.Err()
	}
	return b.tell(ctx, b.home(uniqID), protocol.Cmd_TopicSubscribe, &protocol.TopicSubscribe{UniqId: uniqID, Topics: topics, Data: data})
}

// Unsubscribe implements [hooks.Bus].
func (b *bus) Unsubscribe(ctx context.Context, uniqID string, topics []string, data []byte) error {
	if len(topics) == 0 {
		return ctx.Err()
	}
	return b.tell(ctx, b.home(uniqID), protocol.Cmd_TopicUnsubscribe, &protocol.TopicUnsubscribe{UniqId: uniqID, Topics: topics, Data: data})
}

// DeleteTopics implements [hooks.Bus].
func (b *bus) DeleteTopics(ctx context.Context, topics []string, data []byte) error {
	if len(topics) == 0 {
		return ctx.Err()
	}
	return b.tell(ctx, b.gates, protocol.Cmd_TopicDelete, &protocol.TopicDelete{Topics: topics, Data: data})
}

// Publish implements [hooks.Bus].
func (b *bus) Publish(ctx context.Context, topics []string, data []byte) error {
	if len(topics) == 0 {
		return ctx.Err()
	}
	return b.tell(ctx, b.gates, protocol.Cmd_TopicPublish, &protocol.TopicPublish{Topics: topics, Data: data})
}

// PublishLatest implements [hooks.Bus]. The protocol has no keys.
func (b *bus) PublishLatest(ctx context.Context, topics []string, _ string, data []byte) error {
	return b.Publish(ctx, topics, data)
}

// PublishBulk implements [hooks.Bus].
func (b *bus) PublishBulk(ctx context.Context, topics []string, data [][]byte) error {
	if !pairUp(topics, data) {
		return hooks.ErrBulkMismatch
	}
	return b.tell(ctx, b.gates, protocol.Cmd_TopicPublishBulk, &protocol.TopicPublishBulk{Topics: topics, Data: data})
}

// UpdateConnInfo implements [hooks.Bus].
func (b *bus) UpdateConnInfo(ctx context.Context, u hooks.ConnInfoUpdate) error {
	return b.tell(ctx, b.home(u.UniqID), protocol.Cmd_ConnInfoUpdate, &protocol.ConnInfoUpdate{
		UniqId: u.UniqID, NewSession: u.NewSession, NewCustomerId: u.NewCustomerID, NewTopics: u.NewTopics, Data: u.Data,
	})
}

// DeleteConnInfo implements [hooks.Bus].
func (b *bus) DeleteConnInfo(ctx context.Context, d hooks.ConnInfoDelete) error {
	return b.tell(ctx, b.home(d.UniqID), protocol.Cmd_ConnInfoDelete, &protocol.ConnInfoDelete{
		UniqId: d.UniqID, DelSession: d.Session, DelCustomerId: d.CustomerID, DelTopic: d.Topics, Data: d.Data,
	})
}

// ForceOffline implements [hooks.Bus].
func (b *bus) ForceOffline(ctx context.Context, uniqIDs []string, data []byte) error {
	return b.splitIDs(uniqIDs, func(gates []*gate, mine []string) error {
		return b.tell(ctx, gates, protocol.Cmd_ForceOffline, &protocol.ForceOffline{UniqIds: mine, Data: data})
	})
}

// ForceOfflineByCustomerID implements [hooks.Bus].
func (b *bus) ForceOfflineByCustomerID(ctx context.Context, customerIDs []string, data []byte) error {
	if len(customerIDs) == 0 {
		return ctx.Err()
	}
	return b.tell(ctx, b.gates, protocol.Cmd_ForceOfflineByCustomerId, &protocol.ForceOfflineByCustomerId{CustomerIds: customerIDs, Data: data})
}

// ForceOfflineGuest implements hooks.Bus. The wire has whole seconds, of which
// a part counts as one, and at most 2^31-1, which is 68 years.
func (b *bus) ForceOfflineGuest(ctx context.Context, uniqIDs []string, delay time.Duration, data []byte) error {
	// Rounding up by adding would overflow near the longest delay there is.
	whole := delay / time.Second
	if delay%time.Second > 0 {
		whole++
	}
	seconds := int32(min(max(0, whole), math.MaxInt32))
	return b.splitIDs(uniqIDs, func(gates []*gate, mine []string) error {
		return b.tell(ctx, gates, protocol.Cmd_ForceOfflineGuest, &protocol.ForceOfflineGuest{UniqIds: mine, Delay: seconds, Data: data})
	})
}

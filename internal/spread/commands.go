package spread

import (
	"context"
	"math"
	"time"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/protocol"
)

// Broadcast implements [hooks.Bus].
func (b Bus[G]) Broadcast(ctx context.Context, data []byte) error {
	return b.to.Tell(ctx, b.to.All(), protocol.Cmd_Broadcast, &protocol.Broadcast{Data: data})
}

// Multicast implements [hooks.Bus].
func (b Bus[G]) Multicast(ctx context.Context, uniqIDs []string, data []byte) error {
	return b.splitIDs(uniqIDs, func(to []G, mine []string) error {
		return b.to.Tell(ctx, to, protocol.Cmd_Multicast, &protocol.Multicast{UniqIds: mine, Data: data})
	})
}

// MulticastByCustomerID implements [hooks.Bus].
func (b Bus[G]) MulticastByCustomerID(ctx context.Context, customerIDs []string, data []byte) error {
	if len(customerIDs) == 0 {
		return ctx.Err()
	}
	return b.to.Tell(ctx, b.to.All(), protocol.Cmd_MulticastByCustomerId, &protocol.MulticastByCustomerId{CustomerIds: customerIDs, Data: data})
}

// SingleCast implements [hooks.Bus].
func (b Bus[G]) SingleCast(ctx context.Context, uniqID string, data []byte) error {
	return b.to.Tell(ctx, b.to.Home(uniqID), protocol.Cmd_SingleCast, &protocol.SingleCast{UniqId: uniqID, Data: data})
}

// SingleCastByCustomerID implements [hooks.Bus].
func (b Bus[G]) SingleCastByCustomerID(ctx context.Context, customerID string, data []byte) error {
	return b.to.Tell(ctx, b.to.All(), protocol.Cmd_SingleCastByCustomerId, &protocol.SingleCastByCustomerId{CustomerId: customerID, Data: data})
}

// SingleCastBulk implements [hooks.Bus].
func (b Bus[G]) SingleCastBulk(ctx context.Context, uniqIDs []string, data [][]byte) error {
	if !pairUp(uniqIDs, data) {
		return hooks.ErrBulkMismatch
	}
	if len(uniqIDs) == 0 {
		return ctx.Err()
	}
	to := b.home(uniqIDs)
	if len(uniqIDs) == 1 {
		to = b.to.Home(uniqIDs[0]) // which gets all data
	} else if to == nil {
		return b.split(uniqIDs, func(to []G, mine []int) error {
			return b.to.Tell(ctx, to, protocol.Cmd_SingleCastBulk, &protocol.SingleCastBulk{UniqIds: pick(uniqIDs, mine), Data: pick(data, mine)})
		})
	}
	return b.to.Tell(ctx, to, protocol.Cmd_SingleCastBulk, &protocol.SingleCastBulk{UniqIds: uniqIDs, Data: data})
}

// SingleCastBulkByCustomerID implements [hooks.Bus].
func (b Bus[G]) SingleCastBulkByCustomerID(ctx context.Context, customerIDs []string, data [][]byte) error {
	if !pairUp(customerIDs, data) {
		return hooks.ErrBulkMismatch
	}
	return b.to.Tell(ctx, b.to.All(), protocol.Cmd_SingleCastBulkByCustomerId,
		&protocol.SingleCastBulkByCustomerId{CustomerIds: customerIDs, Data: data})
}

// pairUp reports whether the lists of a bulk command do.
func pairUp(names []string, data [][]byte) bool {
	return len(names) == len(data) || len(names) == 1 && len(data) > 0
}

// Subscribe implements [hooks.Bus].
func (b Bus[G]) Subscribe(ctx context.Context, uniqID string, topics []string, data []byte) error {
	if len(topics) == 0 {
		return ctx.Err()
	}
	return b.to.Tell(ctx, b.to.Home(uniqID), protocol.Cmd_TopicSubscribe, &protocol.TopicSubscribe{UniqId: uniqID, Topics: topics, Data: data})
}

// Unsubscribe implements [hooks.Bus].
func (b Bus[G]) Unsubscribe(ctx context.Context, uniqID string, topics []string, data []byte) error {
	if len(topics) == 0 {
		return ctx.Err()
	}
	return b.to.Tell(ctx, b.to.Home(uniqID), protocol.Cmd_TopicUnsubscribe, &protocol.TopicUnsubscribe{UniqId: uniqID, Topics: topics, Data: data})
}

// DeleteTopics implements [hooks.Bus].
func (b Bus[G]) DeleteTopics(ctx context.Context, topics []string, data []byte) error {
	if len(topics) == 0 {
		return ctx.Err()
	}
	return b.to.Tell(ctx, b.to.All(), protocol.Cmd_TopicDelete, &protocol.TopicDelete{Topics: topics, Data: data})
}

// Publish implements [hooks.Bus].
func (b Bus[G]) Publish(ctx context.Context, topics []string, data []byte) error {
	if len(topics) == 0 {
		return ctx.Err()
	}
	return b.to.Tell(ctx, b.to.All(), protocol.Cmd_TopicPublish, &protocol.TopicPublish{Topics: topics, Data: data})
}

// PublishLatest implements [hooks.Bus]. The protocol has no keys.
func (b Bus[G]) PublishLatest(ctx context.Context, topics []string, _ string, data []byte) error {
	return b.Publish(ctx, topics, data)
}

// PublishBulk implements [hooks.Bus].
func (b Bus[G]) PublishBulk(ctx context.Context, topics []string, data [][]byte) error {
	if !pairUp(topics, data) {
		return hooks.ErrBulkMismatch
	}
	return b.to.Tell(ctx, b.to.All(), protocol.Cmd_TopicPublishBulk, &protocol.TopicPublishBulk{Topics: topics, Data: data})
}

// UpdateConnInfo implements [hooks.Bus].
func (b Bus[G]) UpdateConnInfo(ctx context.Context, u hooks.ConnInfoUpdate) error {
	return b.to.Tell(ctx, b.to.Home(u.UniqID), protocol.Cmd_ConnInfoUpdate, &protocol.ConnInfoUpdate{
		UniqId: u.UniqID, NewSession: u.NewSession, NewCustomerId: u.NewCustomerID, NewTopics: u.NewTopics, Data: u.Data,
	})
}

// DeleteConnInfo implements [hooks.Bus].
func (b Bus[G]) DeleteConnInfo(ctx context.Context, d hooks.ConnInfoDelete) error {
	return b.to.Tell(ctx, b.to.Home(d.UniqID), protocol.Cmd_ConnInfoDelete, &protocol.ConnInfoDelete{
		UniqId: d.UniqID, DelSession: d.Session, DelCustomerId: d.CustomerID, DelTopic: d.Topics, Data: d.Data,
	})
}

// ForceOffline implements [hooks.Bus].
func (b Bus[G]) ForceOffline(ctx context.Context, uniqIDs []string, data []byte) error {
	return b.splitIDs(uniqIDs, func(to []G, mine []string) error {
		return b.to.Tell(ctx, to, protocol.Cmd_ForceOffline, &protocol.ForceOffline{UniqIds: mine, Data: data})
	})
}

// ForceOfflineByCustomerID implements [hooks.Bus].
func (b Bus[G]) ForceOfflineByCustomerID(ctx context.Context, customerIDs []string, data []byte) error {
	if len(customerIDs) == 0 {
		return ctx.Err()
	}
	return b.to.Tell(ctx, b.to.All(), protocol.Cmd_ForceOfflineByCustomerId, &protocol.ForceOfflineByCustomerId{CustomerIds: customerIDs, Data: data})
}

// ForceOfflineGuest implements hooks.Bus. The wire has whole seconds, of which
// a part counts as one, and at most 2^31-1, which is 68 years.
func (b Bus[G]) ForceOfflineGuest(ctx context.Context, uniqIDs []string, delay time.Duration, data []byte) error {
	// Rounding up by adding would overflow near the longest delay there is.
	whole := delay / time.Second
	if delay%time.Second > 0 {
		whole++
	}
	seconds := int32(min(max(0, whole), math.MaxInt32))
	return b.splitIDs(uniqIDs, func(to []G, mine []string) error {
		return b.to.Tell(ctx, to, protocol.Cmd_ForceOfflineGuest, &protocol.ForceOfflineGuest{UniqIds: mine, Delay: seconds, Data: data})
	})
}

package gateway

import (
	"context"
	"errors"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/registry"
	"github.com/sluicegate/sluice/transport/websocket"
)

// Broadcast implements [hooks.Bus].
func (g local) Broadcast(ctx context.Context, data []byte) error {
	if as := g.reg.Everyone(nil); len(as) > 0 {
		return g.deliverAll(ctx, as, g.encode(data))
	}
	return nil
}

// SingleCast implements [hooks.Bus].
func (g local) SingleCast(ctx context.Context, uniqID string, data []byte) error {
	c, ok := g.reg.Lookup(uniqID)
	if !ok {
		g.dropUnknown(data)
		return nil
	}
	return g.deliverOne(ctx, c, g.encode(data))
}

// Multicast implements [hooks.Bus].
func (g local) Multicast(ctx context.Context, uniqIDs []string, data []byte) error {
	found := g.reg.Find(nil, uniqIDs...)
	if missing := len(uniqIDs) - len(found); missing > 0 {
		g.drop("", hooks.DropUnknown, int64(missing), int64(missing*websocket.FrameSize(len(data))))
	}
	if len(found) == 0 {
		return nil
	}
	return g.deliverTo(ctx, found, g.encode(data))
}

// SingleCastByCustomerID implements [hooks.Bus].
func (g local) SingleCastByCustomerID(ctx context.Context, customerID string, data []byte) error {
	return g.castCustomers(ctx, []string{customerID}, data)
}

// MulticastByCustomerID implements [hooks.Bus].
func (g local) MulticastByCustomerID(ctx context.Context, customerIDs []string, data []byte) error {
	return g.castCustomers(ctx, customerIDs, data)
}

func (g local) castCustomers(ctx context.Context, customerIDs []string, data []byte) error {
	var found []*registry.Client
	for _, id := range customerIDs {
		n := len(found)
		if found = g.reg.FindByCustomer(found, id); len(found) == n {
			g.dropNobody(data)
		}
	}
	if len(found) == 0 {
		return nil
	}
	return g.deliverTo(ctx, found, g.encode(data))
}

// dropUnknown counts a message for a client that is not there.
func (g *Gateway) dropUnknown(data []byte) {
	g.drop("", hooks.DropUnknown, 1, int64(websocket.FrameSize(len(data))))
}

// dropNobody counts a message for a customer without clients, or a topic without
// subscribers, here: in a cluster, they may be elsewhere.
func (g *Gateway) dropNobody(data []byte) {
	if g.cfg.Cluster == nil {
		g.dropUnknown(data)
	}
}

// SingleCastBulk implements [hooks.Bus].
func (g local) SingleCastBulk(ctx context.Context, uniqIDs []string, data [][]byte) error {
	return g.bulk(ctx, uniqIDs, data, g.SingleCast)
}

// SingleCastBulkByCustomerID implements [hooks.Bus].
func (g local) SingleCastBulkByCustomerID(ctx context.Context, customerIDs []string, data [][]byte) error {
	return g.bulk(ctx, customerIDs, data, g.SingleCastByCustomerID)
}

// bulk pairs names with data and sends each.
func (g local) bulk(ctx context.Context, names []string, data [][]byte,
	send func(context.Context, string, []byte) error,
) error {
	one := len(names) == 1
	if len(names) != len(data) && (!one || len(data) == 0) {
		if n, ok := g.noise.bulk.Next(); ok {
			g.log.Warn("bulk command dropped", "ids", len(names), "messages", len(data), "suppressed", n,
				"hint", "as many messages as ids, or one id for all of them")
		}
		var bytes int
		for _, d := range data {
			bytes += websocket.FrameSize(len(d))
		}
		g.drop("", hooks.DropMalformed, int64(len(data)), int64(bytes))
		return hooks.ErrBulkMismatch
	}
	var err error
	for i, d := range data {
		if len(d) == 0 {
			continue
		}
		name := names[0]
		if !one {
			name = names[i]
		}
		e := send(ctx, name, d)
		ctx, err = rest(ctx, e), errors.Join(err, e)
	}
	return err
}

package gateway

import (
	"context"

	"github.com/sluicegate/sluice/registry"
)

// Subscribe implements [hooks.Bus].
func (g *Gateway) Subscribe(ctx context.Context, uniqID string, topics []string, data []byte) error {
	return g.changeTopics(ctx, g.reg.Subscribe, uniqID, topics, data)
}

// Unsubscribe implements [hooks.Bus].
func (g *Gateway) Unsubscribe(ctx context.Context, uniqID string, topics []string, data []byte) error {
	return g.changeTopics(ctx, g.reg.Unsubscribe, uniqID, topics, data)
}

func (g *Gateway) changeTopics(ctx context.Context, change func(string, []string) (*registry.Client, bool),
	uniqID string, topics []string, data []byte,
) error {
	if len(topics) == 0 {
		return nil
	}
	c, ok := change(uniqID, topics)
	return g.answer(ctx, c, ok, data)
}

// answer sends data, if any, to a client that was changed.
func (g *Gateway) answer(ctx context.Context, c *registry.Client, ok bool, data []byte) error {
	switch {
	case len(data) == 0:
		return nil
	case !ok:
		g.dropUnknown(data)
		return nil
	}
	return g.deliverOne(ctx, c, g.encode(data))
}

// DeleteTopics implements [hooks.Bus].
func (g *Gateway) DeleteTopics(ctx context.Context, topics []string, data []byte) error {
	lost := g.reg.DeleteTopics(topics)
	if len(lost) == 0 || len(data) == 0 {
		return nil
	}
	return g.deliverTo(ctx, lost, g.encode(data))
}

// Publish implements [hooks.Bus].
func (g *Gateway) Publish(ctx context.Context, topics []string, data []byte) error {
	var few [4]registry.Audience
	as := few[:0]
	for _, t := range topics {
		n := len(as)
		if as = g.reg.Subscribers(as, t); len(as) == n {
			g.dropUnknown(data)
		}
	}
	if len(as) == 0 {
		return nil
	}
	return g.deliverAll(ctx, as, g.encode(data))
}

// PublishBulk implements [hooks.Bus].
func (g *Gateway) PublishBulk(ctx context.Context, topics []string, data [][]byte) error {
	return g.bulk(ctx, topics, data, func(ctx context.Context, topic string, d []byte) error {
		return g.Publish(ctx, []string{topic}, d)
	})
}

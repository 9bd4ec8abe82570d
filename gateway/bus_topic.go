package gateway

import (
	"context"
	"errors"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/registry"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/websocket"
)

// Subscribe implements [hooks.Bus].
func (g local) Subscribe(ctx context.Context, uniqID string, topics []string, data []byte) error {
	g.want(ctx, uniqID, topics)
	return g.changeTopics(ctx, g.subscribe, uniqID, topics, data)
}

// Unsubscribe implements [hooks.Bus].
func (g local) Unsubscribe(ctx context.Context, uniqID string, topics []string, data []byte) error {
	defer g.unwant(topics)
	return g.changeTopics(ctx, g.reg.Unsubscribe, uniqID, topics, data)
}

func (g *Gateway) subscribe(uniqID string, topics []string) (*registry.Client, error) {
	if g.tooLong(topics...) {
		return nil, hooks.ErrTooMany
	}
	c, err := g.reg.Subscribe(uniqID, topics, g.cfg.MaxTopics)
	if c != nil && err == nil {
		g.wantStill(topics)
	}
	return c, err
}

// tooLong reports whether one of names is longer than they may be.
func (g *Gateway) tooLong(names ...string) bool {
	for _, n := range names {
		if len(n) > g.cfg.MaxName {
			return true
		}
	}
	return false
}

func (g *Gateway) changeTopics(ctx context.Context, change func(string, []string) (*registry.Client, error),
	uniqID string, topics []string, data []byte,
) error {
	if len(topics) == 0 {
		return nil
	}
	c, err := change(uniqID, topics)
	return g.answer(ctx, c, err, data)
}

// answer sends data, if any, to a client that was changed, unless there is an
// error.
func (g *Gateway) answer(ctx context.Context, c *registry.Client, err error, data []byte) error {
	switch {
	case errors.Is(err, hooks.ErrTooMany), errors.Is(err, registry.ErrTooManyTopics):
		if len(data) > 0 {
			g.drop("", hooks.DropMalformed, 1, int64(websocket.FrameSize(len(data))))
		}
		return hooks.ErrTooMany
	case len(data) == 0:
		return nil
	case c == nil: // nobody has that id, which is no error
		g.dropUnknown(data)
		return nil
	}
	return g.deliverOne(ctx, c, g.encode(data))
}

// DeleteTopics implements [hooks.Bus].
func (g local) DeleteTopics(ctx context.Context, topics []string, data []byte) error {
	lost := g.reg.DeleteTopics(topics)
	g.unwant(topics)
	if len(lost) == 0 || len(data) == 0 {
		return nil
	}
	return g.deliverTo(ctx, lost, g.encode(data))
}

// Publish implements [hooks.Bus].
func (g local) Publish(ctx context.Context, topics []string, data []byte) error {
	var few [4]registry.Audience
	as := few[:0]
	for _, t := range topics {
		n := len(as)
		if as = g.reg.Subscribers(as, t); len(as) == n {
			g.dropNobody(data)
		}
	}
	if len(as) == 0 {
		return nil
	}
	return g.deliverAll(ctx, as, g.encode(data))
}

// PublishLatest implements [hooks.Bus].
func (g local) PublishLatest(ctx context.Context, topics []string, key string, data []byte) error {
	if g.cfg.Slow != transport.SlowLatest || key == "" {
		return g.Publish(ctx, topics, data)
	}
	if g.tooLong(key) {
		return hooks.ErrTooMany
	}
	var err error
	var few [4]registry.Audience
	frame := g.encode(data)
	for _, t := range topics {
		as := g.reg.Subscribers(few[:0], t)
		if len(as) == 0 {
			g.dropNobody(data)
			continue
		}
		f := *frame
		f.Key = t + "\x00" + key
		e := g.deliverAll(ctx, as, &f)
		ctx, err = rest(ctx, e), errors.Join(err, e)
	}
	return err
}

// PublishBulk implements [hooks.Bus].
func (g local) PublishBulk(ctx context.Context, topics []string, data [][]byte) error {
	return g.bulk(ctx, topics, data, func(ctx context.Context, topic string, d []byte) error {
		return g.Publish(ctx, []string{topic}, d)
	})
}

package load

import (
	"context"
	"time"

	"github.com/sluicegate/sluice/internal/load/message"
	"github.com/sluicegate/sluice/internal/load/server"
)

// broadcast is messages to all clients, or to topics that all have.
type broadcast struct {
	r        *run
	audience *audience
	topics   []string // published to in turn; those of a Broadcast are one empty one
	sent     int64
	data     []byte
}

func newBroadcast(r *run) *broadcast { return &broadcast{r: r, topics: []string{""}} }

func (b *broadcast) prepare(ctx context.Context) error {
	if n := b.r.cfg.Topics; n > 0 {
		b.topics = server.TopicNames(n)
		if err := b.subscribe(ctx); err != nil {
			return err
		}
	}
	b.audience = newAudience(b.r.window, 1)
	for _, c := range b.r.clients {
		c.play(b.audience.join(c, 0))
	}
	return nil
}

func (b *broadcast) subscribe(ctx context.Context) error {
	if !b.r.target.serve {
		b.r.note("the server itself must have subscribed all clients to %s", commas(b.topics))
		return nil
	}
	return b.r.ask(ctx, message.Join, commas(b.topics), nil)
}

func (b *broadcast) play(ctx context.Context) error {
	loop := b.closed
	if b.r.cfg.Rate > 0 {
		loop = b.open
	}
	if err := loop(ctx); err != nil {
		return err
	}
	b.r.drain(ctx)
	return nil
}

// push has one more message sent, when the task connection is flushed.
func (b *broadcast) push(due time.Duration) error {
	h := message.Head{Kind: message.Push, Due: due, Seq: b.audience.say(0)}
	b.data = message.Append(b.data[:0], h, "", b.r.cfg.Bytes)
	topic := b.topics[b.sent%int64(len(b.topics))]
	b.sent++
	return b.r.task.push(topic, b.data)
}

// closed keeps so many messages under way.
func (b *broadcast) closed(ctx context.Context) error {
	each := int64(len(b.r.clients))
	for {
		if b.r.window.wait(ctx, int64(b.r.cfg.Inflight-1)*each) != nil {
			return nil
		}
		// All that there is room for goes in one write.
		for b.r.window.under.Load() <= int64(b.r.cfg.Inflight-1)*each {
			if err := b.push(b.r.meter.now()); err != nil {
				return err
			}
		}
		if err := b.r.task.flush(); err != nil {
			return err
		}
	}
}

// open sends to a schedule.
func (b *broadcast) open(ctx context.Context) error {
	all := pace{b.r.meter.now(), b.r.cfg.Rate}
	for i := int64(0); ; {
		if sleepUntil(ctx, b.r.meter.now, all.at(i)) != nil {
			return nil
		}
		// All that is due goes in one write.
		for now := b.r.meter.now(); all.at(i) <= now; i++ {
			if err := b.push(all.at(i)); err != nil {
				return err
			}
		}
		if err := b.r.task.flush(); err != nil {
			return err
		}
	}
}

func (b *broadcast) counts() []Count {
	return append([]Count{{"messages", b.sent}}, b.r.fates(b.audience)...)
}

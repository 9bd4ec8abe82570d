package load

import (
	"context"
	"strings"
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

func newBroadcast(r *run) *broadcast {
	return &broadcast{r: r, topics: []string{""}, audience: newAudience(r.window, 1)}
}

func (b *broadcast) prepare(ctx context.Context) error {
	if n := b.r.cfg.Topics; n > 0 {
		b.topics = server.TopicNames(n)
	}
	if err := b.present(ctx); err != nil {
		return err
	}
	for _, c := range b.r.clients {
		c.play(b.audience.join(c, 0))
	}
	return nil
}

// present has every client listed by the server, and subscribed: one that has the
// answer to its handshake need not be yet.
func (b *broadcast) present(ctx context.Context) error {
	all := strings.Join(b.topics, ",")
	if !b.r.target.serve {
		if all != "" {
			b.r.note("the server itself must have subscribed all clients to %s", all)
		}
		return sleepUntil(ctx, b.r.meter.now, b.r.meter.now()+b.r.cfg.Settle)
	}
	kind := message.Echo
	if all != "" {
		kind = message.Join
	}
	return b.r.ask(ctx, kind, func(*client) string { return all }, nil)
}

func (b *broadcast) play(ctx context.Context) error {
	s := stream{r: b.r, limit: int64(b.r.cfg.Inflight-1) * int64(len(b.r.clients)), push: b.push, flush: b.r.task.flush}
	if err := s.play(ctx); err != nil {
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

func (b *broadcast) counts() []Count {
	return append([]Count{{"messages", b.sent}}, b.r.fates(b.audience.due)...)
}

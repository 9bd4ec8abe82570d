package load

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/sluicegate/sluice/internal/load/message"
)

// maxBulk bounds the data of one bulk command, which must fit into a packet.
const maxBulk = 256 << 10

// unicast is single casts to clients, in bulk, each to one at random.
type unicast struct {
	r         *run
	audiences []*audience // of one client each
	uniqIDs   []string

	to    []string // the bulk that is being made
	data  [][]byte
	bytes int
	used  int // of data's slices
}

func newUnicast(r *run) *unicast {
	return &unicast{r: r, uniqIDs: make([]string, len(r.clients))}
}

func (u *unicast) prepare(ctx context.Context) error {
	err := u.r.ask(ctx, message.Who, func(*client) string { return "" }, func(c *client, name string) { u.uniqIDs[c.id] = name })
	if err != nil {
		return err
	}
	for _, c := range u.r.clients {
		a := newAudience(u.r.window, 1)
		u.audiences = append(u.audiences, a)
		c.play(a.join(c, 0))
	}
	return nil
}

func (u *unicast) play(ctx context.Context) error {
	s := stream{r: u.r, limit: int64(u.r.cfg.Inflight - 1), push: u.push, flush: u.flush}
	if err := s.play(ctx); err != nil {
		return err
	}
	u.r.drain(ctx)
	return nil
}

// push adds a message for a client at random to the bulk.
func (u *unicast) push(due time.Duration) error {
	if u.bytes+u.r.cfg.Bytes > maxBulk {
		if err := u.write(); err != nil {
			return err
		}
	}
	i := rand.IntN(len(u.audiences))
	if u.used == len(u.data) {
		u.data = append(u.data, nil)
	}
	h := message.Head{Kind: message.Push, Due: due, Seq: u.audiences[i].say(0)}
	u.data[u.used] = message.Append(u.data[u.used][:0], h, "", u.r.cfg.Bytes)
	u.bytes += len(u.data[u.used])
	u.used++
	u.to = append(u.to, u.uniqIDs[i])
	return nil
}

func (u *unicast) write() error {
	if u.used == 0 {
		return nil
	}
	err := u.r.task.casts(u.to, u.data[:u.used])
	u.to, u.used, u.bytes = u.to[:0], 0, 0
	return err
}

func (u *unicast) flush() error {
	if err := u.write(); err != nil {
		return err
	}
	return u.r.task.flush()
}

func (u *unicast) counts() []Count {
	var due int64
	for _, a := range u.audiences {
		due += a.due
	}
	return u.r.fates(due)
}

package load

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/internal/load/message"
)

// A request says what a client's message number seq asks for.
type request func(r *run, c *client, seq uint32) (kind message.Kind, name string)

func echoes(*run, *client, uint32) (message.Kind, string) { return message.Echo, "" }

// An exchange is clients whose messages come back.
type exchange struct {
	r       *run
	request request
	members []*correspondent
	over    atomic.Bool // closed loops stop
}

// A correspondent is one client of an exchange. It is guarded by its shard's mu.
type correspondent struct {
	*listener
	x       *exchange
	scratch []byte // for a message
}

func newExchange(r *run, request request) *exchange { return &exchange{r: r, request: request} }

func (x *exchange) prepare(context.Context) error {
	for _, c := range x.r.clients {
		m := &correspondent{listener: newAudience(x.r.window, 1).join(c, 0), x: x}
		if x.r.cfg.Rate == 0 {
			m.heard = m.again
		}
		x.members = append(x.members, m)
		c.play(m)
	}
	return nil
}

// again sends the next message of a closed loop.
func (m *correspondent) again(_ message.Head, now time.Duration) {
	if !m.x.over.Load() {
		m.c.answers = m.write(m.c.answers, now)
	}
}

// write appends the next message, in its frame.
func (m *correspondent) write(dst []byte, due time.Duration) []byte {
	h := message.Head{Due: due, Seq: m.audience.say(0)}
	var name string
	h.Kind, name = m.x.request(m.x.r, m.c, h.Seq)
	m.scratch = message.Append(m.scratch[:0], h, name, m.x.r.cfg.Bytes)
	return appendFrame(dst, m.scratch)
}

func (x *exchange) play(ctx context.Context) error {
	if x.r.cfg.Rate > 0 {
		x.open(ctx)
	} else {
		x.begin()
		<-ctx.Done()
	}
	x.over.Store(true)
	x.r.drain(ctx)
	return nil
}

// begin sends the first messages of the closed loops.
func (x *exchange) begin() {
	var frames []byte
	for _, m := range x.members {
		frames = frames[:0]
		m.c.shard.mu.Lock()
		for range x.r.cfg.Depth {
			frames = m.write(frames, x.r.meter.now())
		}
		m.c.shard.mu.Unlock()
		_ = m.c.send(frames) // the reader learns of errors
	}
}

// open sends to a schedule. Each sender has clients of its own, so that one's
// messages keep their order.
func (x *exchange) open(ctx context.Context) {
	start := x.r.meter.now()
	var senders sync.WaitGroup
	n := min(len(x.members), runtime.GOMAXPROCS(0))
	for first := range n {
		senders.Go(func() {
			var frame []byte
			all := pace{start, x.r.cfg.Rate}
			for i := int64(first); ; i += int64(n) {
				due := all.at(i)
				if sleepUntil(ctx, x.r.meter.now, due) != nil {
					return
				}
				m := x.members[i%int64(len(x.members))]
				m.c.shard.mu.Lock()
				frame = m.write(frame[:0], due)
				m.c.shard.mu.Unlock()
				_ = m.c.send(frame)
			}
		})
	}
	senders.Wait()
}

func (x *exchange) counts() []Count {
	all := make([]*audience, 0, len(x.members))
	for _, m := range x.members {
		all = append(all, m.audience)
	}
	return x.r.fates(all...)
}

package load

import (
	"context"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/internal/load/message"
	"github.com/sluicegate/sluice/internal/load/server"
)

// A request says what a client's message of number seq asks for.
type request func(c *client, seq uint32) (kind message.Kind, name string)

// An exchange is clients whose messages come back: to themselves, or to the group
// that they are in.
type exchange struct {
	r       *run
	request request
	size    int      // of a group, 1 if there are none
	topics  []string // of the groups, nil if there are none
	members []*correspondent
	over    atomic.Bool // closed loops stop
}

// A correspondent is one client of an exchange. It is guarded by its shard's mu.
type correspondent struct {
	*listener
	x       *exchange
	index   int // in its group
	scratch []byte
}

func newEcho(r *run) *exchange {
	return &exchange{r: r, size: 1, request: func(*client, uint32) (message.Kind, string) { return message.Echo, "" }}
}

func newTopics(r *run) *exchange {
	names := server.TopicNames(r.cfg.Topics)
	return &exchange{r: r, size: 1, request: func(c *client, seq uint32) (message.Kind, string) {
		name := names[(c.id+int(seq/2))%len(names)]
		if seq%2 == 0 {
			return message.Join, name
		}
		return message.Leave, name
	}}
}

func newLogin(r *run) *exchange {
	names := customers(len(r.clients))
	return &exchange{r: r, size: 1, request: func(c *client, seq uint32) (message.Kind, string) {
		if seq%2 == 0 {
			return message.Login, names[c.id]
		}
		return message.Logout, ""
	}}
}

func newGroups(r *run) *exchange {
	names := groupNames(r.cfg.Groups)
	return &exchange{r: r, size: r.cfg.GroupSize, topics: names, request: func(c *client, _ uint32) (message.Kind, string) {
		return message.Say, names[c.id/r.cfg.GroupSize]
	}}
}

func customers(n int) []string  { return numbered("c", n) }
func groupNames(n int) []string { return numbered("g", n) }

func numbered(prefix string, n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = prefix + strconv.Itoa(i)
	}
	return names
}

func (x *exchange) prepare(ctx context.Context) error {
	if x.topics != nil {
		topic := func(c *client) string { return x.topics[c.id/x.size] }
		if err := x.r.ask(ctx, message.Join, topic, nil); err != nil {
			return err
		}
	}
	var a *audience
	for i, c := range x.r.clients {
		if i%x.size == 0 {
			a = newAudience(x.r.window, x.size)
		}
		m := &correspondent{listener: a.join(c, 0), x: x, index: i % x.size}
		if x.r.cfg.Rate == 0 {
			m.heard = m.again
		}
		x.members = append(x.members, m)
		c.play(m)
	}
	return nil
}

// again sends the next message of a closed loop, when the client's own is back.
func (m *correspondent) again(h message.Head, now time.Duration) {
	if h.From == uint32(m.index) && !m.x.over.Load() {
		m.c.answers = m.write(m.c.answers, now)
	}
}

// write appends the next message, in its frame.
func (m *correspondent) write(dst []byte, due time.Duration) []byte {
	h := message.Head{Due: due, Seq: m.audience.say(m.index), From: uint32(m.index)}
	var name string
	h.Kind, name = m.x.request(m.c, h.Seq)
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
	all := x.r.pace()
	var senders sync.WaitGroup
	n := min(len(x.members), runtime.GOMAXPROCS(0))
	for first := range n {
		senders.Go(func() {
			var mine []*correspondent
			for i := first; i < len(x.members); i += n {
				mine = append(mine, x.members[i])
			}
			x.send(ctx, mine, all, first, n)
		})
	}
	senders.Wait()
}

// send has each of some clients send in turn, when it is due: every step-th message
// from the first.
func (x *exchange) send(ctx context.Context, members []*correspondent, all pace, first, step int) {
	var frame []byte
	for turn, i := 0, int64(first); all.await(ctx, i); turn, i = turn+1, i+int64(step) {
		m := members[turn%len(members)]
		m.c.shard.mu.Lock()
		frame = m.write(frame[:0], all.at(i))
		m.c.shard.mu.Unlock()
		_ = m.c.send(frame)
	}
}

func (x *exchange) counts() []Count {
	var due int64
	for i := 0; i < len(x.members); i += x.size {
		due += x.members[i].audience.due
	}
	return x.r.fates(due)
}

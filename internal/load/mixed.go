package load

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/internal/load/message"
	"github.com/sluicegate/sluice/internal/load/server"
)

// The classes of a mixed run.
const (
	mixedRoundTrip = iota
	mixedDelivery
)

// mixed is clients that do now this, now that, one after the other.
type mixed struct {
	r      *run
	mix    mix
	topics []string
	groups []string
	users  []string
	actors []*actor

	heard    atomic.Int64 // what groups said to others than the sender
	back     atomic.Int64 // clients that have connected again
	failures atomic.Int64 // to do so
}

func newMixed(r *run) *mixed {
	n := len(r.clients)
	return &mixed{
		r: r, mix: r.cfg.mix, topics: server.TopicNames(r.cfg.Topics), users: customers(n),
		groups: groupNames((n + r.cfg.GroupSize - 1) / r.cfg.GroupSize),
	}
}

func (m *mixed) group(id int) string { return m.groups[id/m.r.cfg.GroupSize] }

func (m *mixed) prepare(ctx context.Context) error {
	if err := m.r.ask(ctx, message.Join, func(c *client) string { return m.group(c.id) }, nil); err != nil {
		return err
	}
	for id, c := range m.r.clients {
		a := &actor{m: m, id: id, random: rand.New(rand.NewPCG(uint64(id), 0))}
		a.sit(c)
		m.actors = append(m.actors, a)
	}
	return nil
}

func (m *mixed) play(ctx context.Context) error {
	all := m.r.pace()
	patience, lose := context.WithCancel(context.WithoutCancel(ctx))
	defer lose()
	var acting sync.WaitGroup
	for _, a := range m.actors {
		acting.Go(func() { a.act(ctx, patience, all) })
	}
	<-ctx.Done()
	defer time.AfterFunc(m.r.cfg.Drain, lose).Stop()
	acting.Wait()
	return nil
}

func (m *mixed) counts() []Count {
	var due int64
	for _, a := range m.actors {
		due += a.past + a.player.audience.due
	}
	return append(m.r.fates(due), Count{"heard from groups", m.heard.Load()},
		Count{"reconnected", m.back.Load()}, Count{"failed to reconnect", m.failures.Load()})
}

// An actor is one client of a mixed run, over all its connections.
type actor struct {
	m      *mixed
	id     int
	random *rand.Rand
	player *actorPlayer
	past   int64 // what was due on earlier connections
	data   []byte
	frame  []byte

	joined, loggedIn bool
	topic            string
}

// act does one thing after the other until ctx ends, and waits for answers until
// patience does. In an open loop each thing has a time at which it is due.
func (a *actor) act(ctx, patience context.Context, all pace) {
	for i := int64(a.id); ; i += int64(len(a.m.actors)) {
		due := a.m.r.meter.now()
		if all.rate > 0 {
			if !all.await(ctx, i) {
				return
			}
			due = all.at(i)
		}
		if ctx.Err() != nil {
			return
		}
		select {
		case <-a.player.over: // the server has closed it
			a.reconnect(ctx, patience, due)
		default:
			a.do(ctx, patience, a.m.mix.pick(a.random), due)
		}
	}
}

func (a *actor) do(ctx, patience context.Context, part string, due time.Duration) {
	switch part {
	case partEcho:
		a.ask(patience, message.Echo, "", due)
	case partGroups:
		a.ask(patience, message.Say, a.m.group(a.id), due)
	case partTopics:
		kind := message.Leave
		if a.joined = !a.joined; a.joined {
			kind, a.topic = message.Join, a.m.topics[a.random.IntN(len(a.m.topics))]
		}
		a.ask(patience, kind, a.topic, due)
	case partLogin:
		kind := message.Logout
		if a.loggedIn = !a.loggedIn; a.loggedIn {
			kind = message.Login
		}
		a.ask(patience, kind, a.m.users[a.id], due)
	case partReconnect:
		a.reconnect(ctx, patience, due)
	}
}

// ask sends a message and waits until it is back.
func (a *actor) ask(patience context.Context, kind message.Kind, name string, due time.Duration) {
	p := a.player
	h := message.Head{Kind: kind, Due: due, Seq: p.audience.say(0), From: uint32(a.id)}
	a.data = message.Append(a.data[:0], h, name, a.m.r.cfg.Bytes)
	a.frame = appendFrame(a.frame[:0], a.data)
	_ = p.c.send(a.frame)
	select {
	case <-p.back:
	case <-p.over:
	case <-patience.Done():
	}
}

// reconnect leaves, comes back and joins the group again.
func (a *actor) reconnect(ctx, patience context.Context, due time.Duration) {
	old := a.player
	old.c.leave()
	<-old.over
	c, err := a.m.r.open(context.WithoutCancel(ctx), a.id, due)
	if err != nil {
		a.m.failures.Add(1)
		_ = sleepUntil(ctx, a.m.r.meter.now, a.m.r.meter.now()+pauseAfterFailure)
		return
	}
	a.past += old.audience.due
	a.m.back.Add(1)
	a.m.r.replace(c)
	a.sit(c)
	a.joined, a.loggedIn = false, false
	a.ask(patience, message.Join, a.m.group(a.id), a.m.r.meter.now())
}

// sit has the actor play on a connection.
func (a *actor) sit(c *client) {
	p := &actorPlayer{
		listener: newAudience(a.m.r.window, 1).join(c, mixedRoundTrip), actor: a,
		back: make(chan struct{}, 1), over: make(chan struct{}),
	}
	a.player = p
	c.play(p)
}

// An actorPlayer is an actor on one connection.
type actorPlayer struct {
	*listener // of the actor's own messages
	actor     *actor
	back      chan struct{} // has one when the actor's message is back
	over      chan struct{} // closed when the connection has ended
}

func (p *actorPlayer) received(h message.Head, data []byte, now time.Duration) {
	if h.From != uint32(p.actor.id) {
		p.actor.m.heard.Add(1)
		p.c.shard.record(mixedDelivery, h.Due, now)
		return
	}
	h.From = 0
	p.listener.received(h, data, now)
	select {
	case p.back <- struct{}{}:
	default:
	}
}

func (p *actorPlayer) gone() {
	p.listener.gone()
	close(p.over)
}

package cluster

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/spread"
	"github.com/sluicegate/sluice/protocol"
)

// bus is a hooks.Bus over all nodes. What it does not do itself goes by
// spread.Bus, whose gateways are the nodes.
type bus struct {
	spread.Bus[*member]
	c     *Cluster
	local hooks.Bus
}

var (
	_ hooks.Bus                = (*bus)(nil)
	_ spread.Gateways[*member] = (*nodes)(nil)
)

func newBus(c *Cluster) *bus {
	return &bus{Bus: spread.New((*nodes)(c)), c: c, local: c.local}
}

// Local returns what hooks.Local does.
func (b *bus) Local() hooks.Bus { return b.local }

// nodes is a Cluster as a Bus sees it.
type nodes Cluster

// All implements spread.Gateways.
func (n *nodes) All() []*member { return n.members.all() }

// Home implements spread.Gateways. A client of a node that is not there is nobody's,
// which this node counts, unless it cannot know who is there.
func (n *nodes) Home(uniqID string) []*member {
	if id, err := protocol.ParseUniqID(uniqID); err == nil {
		if m := n.members.of(id.Node); m != nil {
			return m.alone
		}
		if !n.link.up.Load() {
			return n.members.absent.alone
		}
	}
	return n.members.self().alone
}

// everyone reports whether to is all the nodes there are, rather than a list of them:
// then there is one message for all, which nodes get too that have just come.
func (n *nodes) everyone(to []*member) bool {
	all := n.members.all()
	return len(to) > 1 && len(to) == len(all) && to[0].dead == 0 || len(to) == 1 && len(all) == 1 && &to[0] != &to[0].alone[0]
}

// Tell implements spread.Gateways.
func (n *nodes) Tell(ctx context.Context, to []*member, cmd protocol.Cmd_Number, m proto.Message) error {
	c := (*Cluster)(n)
	if n.everyone(to) {
		_, err := c.commands[cmd].Do(ctx, c.local, m)
		return errors.Join(err, c.tell(ctx, c.subjects.all(), cmd, m))
	}
	var err error
	for _, one := range to {
		if one.dead == 0 {
			_, e := c.commands[cmd].Do(ctx, c.local, m)
			err = errors.Join(err, e)
		} else {
			err = errors.Join(err, c.tellOne(ctx, one, cmd, m))
		}
	}
	return err
}

// Ask implements spread.Gateways.
func (n *nodes) Ask(ctx context.Context, to []*member, cmd protocol.Cmd_Number, body proto.Message,
	reply func() proto.Message, merge func(proto.Message),
) error {
	c := (*Cluster)(n)
	var own bool
	var others []*member
	var q *question
	var err error
	unknown := n.everyone(to) && len(to) == 1 && !n.link.up.Load() // there may be others
	for _, one := range to {
		switch {
		case one.dead == 0:
			own = true
		case one == n.members.absent:
			unknown = true
		default:
			others = append(others, one)
		}
	}
	if unknown {
		c.counts.silent.Add(1)
		err = &SilentError{Err: c.away()}
	}
	if len(others) > 0 {
		q, err = c.pose(ctx, others, n.everyone(to), cmd, body)
	}
	if own {
		m, e := c.commands[cmd].Do(ctx, c.local, body)
		err = errors.Join(err, e)
		if m != nil {
			merge(m)
		}
	}
	if q == nil {
		return err
	}
	return errors.Join(err, c.gather(ctx, q, func(a answer) error {
		m := reply()
		if e := proto.Unmarshal(a.body, m); e != nil {
			return &remoteError{a.from.node, e.Error()}
		}
		merge(m)
		return nil
	}))
}

// pose sends a question to other nodes. Without an error, the answers have to be
// gathered.
func (c *Cluster) pose(ctx context.Context, to []*member, everyone bool, cmd protocol.Cmd_Number, m proto.Message) (*question, error) {
	silent := func(err error) error {
		e := &SilentError{Err: err}
		for _, one := range to {
			e.Nodes = append(e.Nodes, one.node)
		}
		c.counts.silent.Add(int64(len(to)))
		return e
	}
	if !hooks.MayWait(ctx) {
		return nil, silent(ErrNoWaiting)
	}
	q := c.questions.ask(to)
	b, err := c.encode(header{kind: kindAsk, cmd: cmd, question: q.number}, nil, m)
	if everyone && err == nil {
		err = c.post(ctx, c.subjects.all(), b)
	} else {
		for _, one := range to {
			if err == nil {
				err = c.post(ctx, c.subjects.node(one.node), append([]byte(nil), b...))
			}
		}
	}
	if err != nil {
		c.questions.forget(q)
		return nil, silent(err)
	}
	return q, nil
}

// gather hands the answers to a question to use, one at a time, until all are there
// or the time is up.
func (c *Cluster) gather(ctx context.Context, q *question, use func(answer) error) error {
	timer := time.NewTimer(c.cfg.QueryTimeout)
	defer timer.Stop()
	var err error
	late := &SilentError{}
	for left := cap(q.answers); left > 0; left-- {
		select {
		case a := <-q.answers:
			switch {
			case a.left:
			case !a.there:
				late.Nodes = append(late.Nodes, a.from.node)
			default:
				err = errors.Join(err, a.err)
				if a.err == nil || len(a.body) > 0 {
					err = errors.Join(err, use(a))
				}
			}
			continue
		case <-ctx.Done():
			late.Err = ctx.Err()
		case <-timer.C:
		}
		break
	}
	late.Nodes = append(late.Nodes, c.questions.forget(q)...)
	if len(late.Nodes) > 0 {
		if c.stopped.Load() {
			late.Err = hooks.ErrStopped
		}
		c.counts.silent.Add(int64(len(late.Nodes)))
		err = errors.Join(err, late)
	}
	return err
}

// SingleCast implements [hooks.Bus], without a message where the client is here.
func (b *bus) SingleCast(ctx context.Context, uniqID string, data []byte) error {
	if m := (*nodes)(b.c).Home(uniqID)[0]; m.dead > 0 {
		return b.c.tellOne(ctx, m, protocol.Cmd_SingleCast, &protocol.SingleCast{UniqId: uniqID, Data: data})
	}
	return b.local.SingleCast(ctx, uniqID, data)
}

// Publish implements [hooks.Bus].
func (b *bus) Publish(ctx context.Context, topics []string, data []byte) error {
	err := b.local.Publish(ctx, topics, data)
	for _, t := range topics {
		err = errors.Join(err, b.publish(ctx, t, data))
	}
	return err
}

// publish sends a topic's message to the nodes with a subscriber.
func (b *bus) publish(ctx context.Context, topic string, data []byte) error {
	if topic == "" {
		return nil // nobody's
	}
	return b.c.tell(ctx, b.c.subjects.topic(topic), protocol.Cmd_TopicPublish, &protocol.TopicPublish{Topics: []string{topic}, Data: data})
}

// PublishLatest implements [hooks.Bus].
func (b *bus) PublishLatest(ctx context.Context, topics []string, key string, data []byte) error {
	err := b.local.PublishLatest(ctx, topics, key, data)
	if errors.Is(err, hooks.ErrTooMany) {
		return err
	}
	for _, t := range topics {
		if t == "" {
			continue
		}
		m, e := b.c.encode(header{kind: kindTell, flags: flagKeyed, cmd: protocol.Cmd_TopicPublish},
			withPrefix(nil, key), &protocol.TopicPublish{Topics: []string{t}, Data: data})
		if e == nil {
			e = b.c.post(ctx, b.c.subjects.topic(t), m)
		}
		err = errors.Join(err, e)
	}
	return err
}

// PublishBulk implements [hooks.Bus].
func (b *bus) PublishBulk(ctx context.Context, topics []string, data [][]byte) error {
	err := b.local.PublishBulk(ctx, topics, data)
	if errors.Is(err, hooks.ErrBulkMismatch) {
		return err
	}
	for i, d := range data {
		if len(d) == 0 {
			continue
		}
		t := topics[0]
		if len(topics) > 1 {
			t = topics[i]
		}
		err = errors.Join(err, b.publish(ctx, t, d))
	}
	return err
}

// Subscribe implements [hooks.Bus]. Where the client is elsewhere, it waits until its
// node has heard of the topics, if it may wait.
func (b *bus) Subscribe(ctx context.Context, uniqID string, topics []string, data []byte) error {
	m := (*nodes)(b.c).Home(uniqID)[0]
	if m.dead == 0 || len(topics) == 0 {
		return b.local.Subscribe(ctx, uniqID, topics, data)
	}
	return b.insist(ctx, m, protocol.Cmd_TopicSubscribe, &protocol.TopicSubscribe{UniqId: uniqID, Topics: topics, Data: data})
}

// UpdateConnInfo implements [hooks.Bus], as Subscribe does.
func (b *bus) UpdateConnInfo(ctx context.Context, u hooks.ConnInfoUpdate) error {
	m := (*nodes)(b.c).Home(u.UniqID)[0]
	if m.dead == 0 {
		return b.local.UpdateConnInfo(ctx, u)
	}
	return b.insist(ctx, m, protocol.Cmd_ConnInfoUpdate, &protocol.ConnInfoUpdate{
		UniqId: u.UniqID, NewSession: u.NewSession, NewCustomerId: u.NewCustomerID, NewTopics: u.NewTopics, Data: u.Data,
	})
}

// insist sends a command to another node and waits until it is carried out, if ctx
// allows it.
func (b *bus) insist(ctx context.Context, m *member, cmd protocol.Cmd_Number, body proto.Message) error {
	if !hooks.MayWait(ctx) || m == b.c.members.absent {
		return b.c.tellOne(ctx, m, cmd, body)
	}
	q, err := b.c.pose(ctx, m.alone, false, cmd, body)
	if err != nil {
		return err
	}
	return b.c.gather(ctx, q, func(answer) error { return nil })
}

// CustomerIDCount implements [hooks.Bus]. A customer may be on several nodes.
func (b *bus) CustomerIDCount(ctx context.Context) (int, error) {
	all, err := b.CustomerIDs(ctx)
	return len(all), err
}

// TopicCount implements [hooks.Bus]. A topic may be on several nodes.
func (b *bus) TopicCount(ctx context.Context) (int, error) {
	all, err := b.Topics(ctx)
	return len(all), err
}

// TopicCustomerIDCounts implements [hooks.Bus]. Customers, too, may be on several
// nodes.
func (b *bus) TopicCustomerIDCounts(ctx context.Context, topics []string, all bool) (map[string]int, error) {
	counts, err := b.TopicUniqIDCounts(ctx, topics, all)
	topics = topics[:0:0]
	for t := range counts {
		counts[t] = 0
		topics = append(topics, t)
	}
	if len(topics) == 0 {
		return counts, err
	}
	lists, e := b.TopicCustomerIDs(ctx, topics)
	for t, ids := range lists {
		counts[t] = len(ids)
	}
	return counts, errors.Join(err, e)
}

// TopicCustomerUniqIDs implements [hooks.Bus]. A customer's clients need not be where
// its subscriber is.
func (b *bus) TopicCustomerUniqIDs(ctx context.Context, topics []string) (map[string]map[string][]string, error) {
	lists, err := b.TopicCustomerIDs(ctx, topics)
	var customers []string
	seen := make(map[string]bool)
	for _, ids := range lists {
		for _, id := range ids {
			if !seen[id] {
				seen[id] = true
				customers = append(customers, id)
			}
		}
	}
	var infos map[string][]hooks.ConnInfo
	if len(customers) > 0 {
		var e error
		infos, e = b.ConnInfoByCustomerID(ctx, customers, hooks.ConnInfoFields{UniqID: true})
		err = errors.Join(err, e)
	}
	all := make(map[string]map[string][]string, len(lists))
	for t, ids := range lists {
		all[t] = make(map[string][]string, len(ids))
		for _, id := range ids {
			for _, i := range infos[id] {
				all[t][id] = append(all[t][id], i.UniqID)
			}
		}
	}
	return all, err
}

// Limit implements [hooks.Bus]. What is set holds on all nodes, those too that come
// later.
func (b *bus) Limit(ctx context.Context, l hooks.Limits) (hooks.Limits, error) {
	if l.OnOpen > 0 || l.OnMessage > 0 {
		b.c.limits.set(l)
		if _, err := b.local.Limit(ctx, l); err != nil {
			return hooks.Limits{}, err
		}
		b.c.control(b.c.subjects.all(), b.c.presence(kindAlive))
	}
	return b.Bus.Limit(ctx, hooks.Limits{})
}

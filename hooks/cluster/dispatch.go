package cluster

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/protocol"
)

const (
	// maxAnswers bounds the questions that are answered at the same time.
	maxAnswers = 256
	// receivedAtOnce bounds what is moved on at once.
	receivedAtOnce = 512
	// calm is for how long commands of other nodes wait for no loop after one
	// that did so in vain: each has its own node's mailboxes to wait in.
	calm = time.Second
)

// receive takes what nats.go has read, so that it need not drop anything, until ctx
// ends.
func (c *Cluster) receive(ctx context.Context) {
	batch := make([]*nats.Msg, 0, receivedAtOnce)
	for {
		batch = batch[:0]
		select {
		case <-ctx.Done():
			return
		case m := <-c.inbox.ch:
			batch = append(batch, m)
		}
		for more := true; more && len(batch) < receivedAtOnce; {
			select {
			case m := <-c.inbox.ch:
				batch = append(batch, m)
			default:
				more = false
			}
		}
		if n := c.inbox.put(batch); n > 0 {
			c.doubt()
			if skipped, ok := c.noise.full.Next(); ok {
				c.log.Warn("cluster messages dropped", "messages", n, "limit", c.cfg.IncomingLimit, "suppressed", skipped)
			}
		}
		clear(batch)
	}
}

// dispatch carries out what has arrived, one message after the other, until ctx ends.
func (c *Cluster) dispatch(ctx context.Context) {
	tick := time.NewTicker(forgotten / 4)
	defer tick.Stop()
	for {
		batch := c.inbox.take()
		for _, m := range batch {
			c.handle(m.Data)
			c.inbox.done(m)
		}
		c.inbox.reuse(batch)
		if len(batch) > 0 {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-c.inbox.wake:
		case now := <-tick.C:
			c.forgetStreams(now)
		}
	}
}

// handle is for one message.
func (c *Cluster) handle(data []byte) {
	defer c.rescue("command")
	c.counts.received.Add(1)
	c.counts.receivedBytes.Add(int64(len(data)))
	h, body, err := open(data)
	if err != nil {
		c.malformed(&h, err)
		return
	}
	if h.from.node == c.self.node { // another process with this node is none of ours
		c.present(&h, body)
		return
	}
	s := c.stream(&h)
	if s == nil {
		c.malformed(&h, errors.New("it is from one process too many"))
		return
	}
	if !s.advance(&h) {
		return
	}
	c.present(&h, body)
	c.heard(s, &h)
	if body, ok := s.assemble(&h, body); ok {
		c.carryOut(s, &h, body)
	}
}

// carryOut does what a whole message says.
func (c *Cluster) carryOut(s *stream, h *header, body []byte) {
	switch h.kind {
	case kindTell:
		s.since++
		c.command(h, body)
	case kindAsk:
		s.since++
		c.question(h, body)
	case kindAnswer:
		var err error
		if h.flags&flagError != 0 {
			body, err = cutError(h.from.node, body)
		}
		c.questions.answer(h.question, h.from, body, err)
	case kindAlive:
		c.account(s, h)
	case kindLeave:
		c.left(h)
	case kindRecall:
		c.remember(h, body)
	case kindHello:
	default:
		c.malformed(h, fmt.Errorf("it is of kind %d", h.kind))
	}
}

// read reads the body of a command.
func (c *Cluster) read(h *header, body []byte) (do action, m proto.Message, err error) {
	cmd, ok := c.commands[h.cmd]
	if !ok {
		return nil, nil, fmt.Errorf("there is no command %d", h.cmd)
	}
	do = cmd.Do
	if h.flags&flagKeyed != 0 {
		var key string
		if key, body, err = cutPrefix(body); err != nil {
			return nil, nil, err
		}
		do = latest(key)
	}
	if cmd.New == nil {
		return do, nil, nil
	}
	m = cmd.New()
	return do, m, proto.Unmarshal(body, m)
}

type action = func(context.Context, hooks.Bus, proto.Message) (proto.Message, error)

// latest is PublishLatest, which the protocol does not have.
func latest(key string) action {
	return func(ctx context.Context, bus hooks.Bus, m proto.Message) (proto.Message, error) {
		p, ok := m.(*protocol.TopicPublish)
		if !ok {
			return nil, errors.New("only a publish has a key")
		}
		return nil, bus.PublishLatest(ctx, p.GetTopics(), key, p.GetData())
	}
}

// command carries out what is not answered.
func (c *Cluster) command(h *header, body []byte) {
	do, m, err := c.read(h, body)
	if err != nil {
		c.malformed(h, err)
		return
	}
	ctx := c.working
	if time.Since(c.overloaded) < calm {
		ctx = c.unwilling
	}
	if _, err := do(ctx, c.local, m); err != nil {
		if errors.Is(err, hooks.ErrOverloaded) && hooks.MayWait(ctx) {
			c.overloaded = time.Now()
		}
		if n, ok := c.noise.failed.Next(); ok {
			c.log.Warn("command of another node failed", "node", h.from.node.String(), "command", h.cmd.String(), "error", err, "suppressed", n)
		}
	}
}

// question has a question answered. What was commanded before it is carried out; what
// comes after it does not wait, as an answer may have to wait for NATS.
func (c *Cluster) question(h *header, body []byte) {
	do, m, err := c.read(h, body)
	if err != nil {
		c.malformed(h, err)
		c.reply(h, nil, err)
		return
	}
	select {
	case c.answering <- struct{}{}:
	default:
		c.reply(h, nil, hooks.ErrOverloaded)
		return
	}
	asked := *h
	c.asking.Go(func() {
		defer func() { <-c.answering }()
		c.reply(&asked, func() (proto.Message, error) {
			ctx, cancel := context.WithTimeout(c.working, c.cfg.QueryTimeout)
			defer cancel()
			return do(ctx, c.local, m)
		}, nil)
	})
}

// reply answers a question with what do returns, or with an error.
func (c *Cluster) reply(to *header, do func() (proto.Message, error), err error) {
	defer c.rescue("question")
	var m proto.Message
	if do != nil {
		m, err = do()
	}
	h := header{kind: kindAnswer, cmd: to.cmd, question: to.question}
	var before []byte
	if err != nil {
		h.flags |= flagError
		before = putError(nil, err)
	}
	b, err := c.encode(h, before, m)
	if err != nil {
		h.flags |= flagError
		b, _ = c.encode(h, putError(nil, err), nil) // nothing to encode
	}
	if c.link.up.Load() {
		_ = c.put(c.working, c.cfg.SendWait, c.subjects.node(to.from.node), b, false) // who has asked will see
	}
}

// remember tells another node what this one has sent.
func (c *Cluster) remember(h *header, body []byte) {
	if len(body) != 16 {
		c.malformed(h, errShort)
		return
	}
	sums := c.history.between(nil, binary.BigEndian.Uint64(body), binary.BigEndian.Uint64(body[8:]))
	b, _ := c.encode(header{kind: kindAnswer, question: h.question}, sums, nil) // nothing to encode
	c.control(c.subjects.node(h.from.node), b)
}

// malformed counts a message that cannot be read.
func (c *Cluster) malformed(h *header, err error) {
	c.counts.malformed.Add(1)
	if n, ok := c.noise.malformed.Next(); ok {
		c.log.Warn("cluster message malformed", "node", h.from.node.String(), "error", err, "suppressed", n)
	}
}

// rescue keeps a panic to what has caused it.
func (c *Cluster) rescue(what string) {
	if v := recover(); v != nil {
		if n, ok := c.noise.panics.Next(); ok {
			c.log.Error("cluster panicked", "what", what, "panic", fmt.Sprint(v), "stack", string(debug.Stack()), "suppressed", n)
		}
	}
}

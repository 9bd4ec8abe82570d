package cluster

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/protocol"
)

// encode makes a message of a header and a body, which may be nil. before, if any,
// is written ahead of the body.
func (c *Cluster) encode(h header, before []byte, m proto.Message) ([]byte, error) {
	size := headerSize + len(before)
	opts := proto.MarshalOptions{}
	if m != nil {
		size += opts.Size(m)
		opts.UseCachedSize = true
	}
	b := make([]byte, headerSize, size)
	h.from = c.self
	h.put(b)
	b = append(b, before...)
	if m == nil {
		return b, nil
	}
	return opts.MarshalAppend(b, m)
}

// tell sends a command to a subject.
func (c *Cluster) tell(ctx context.Context, subject string, cmd protocol.Cmd_Number, m proto.Message) error {
	b, err := c.encode(header{kind: kindTell, cmd: cmd}, nil, m)
	if err != nil {
		return err
	}
	return c.post(ctx, subject, b)
}

// tellOne sends a command to a node.
func (c *Cluster) tellOne(ctx context.Context, m *member, cmd protocol.Cmd_Number, body proto.Message) error {
	if m == c.members.absent {
		c.counts.unsent.Add(1)
		return c.away()
	}
	return c.tell(ctx, c.subjects.node(m.node), cmd, body)
}

// away says why nothing can be sent.
func (c *Cluster) away() error {
	if c.stopped.Load() {
		return hooks.ErrStopped
	}
	return ErrAway
}

// post puts a message of which the caller is to know what becomes of it into the
// outbox.
func (c *Cluster) post(ctx context.Context, subject string, b []byte) error {
	err := c.away()
	if c.link.up.Load() {
		err = c.put(ctx, c.cfg.SendWait, subject, b, true)
	}
	if err != nil {
		c.counts.unsent.Add(1)
	}
	return err
}

// control sends what keeps the cluster together, which is no command. If it cannot be
// sent, another one comes.
func (c *Cluster) control(subject string, b []byte) {
	if c.link.up.Load() {
		_ = c.put(c.unwilling, 0, subject, b, false)
	}
}

// put puts a message into the outbox, in parts if it is large.
func (c *Cluster) put(ctx context.Context, patience time.Duration, subject string, b []byte, counted bool) error {
	most := int(c.link.part.Load())
	if len(b) <= most {
		return c.outbox.put(ctx, patience, outgoing{subject, b, counted})
	}
	room := most - headerSize
	var parts []outgoing
	for body := b[headerSize:]; len(body) > 0; {
		n := min(room, len(body))
		part := append(make([]byte, 0, headerSize+n), b[:headerSize]...)
		part = append(part, body[:n]...)
		body = body[n:]
		if len(body) > 0 {
			mark(part, flagMore)
		}
		if len(parts) > 0 {
			mark(part, flagRest)
		}
		parts = append(parts, outgoing{subject, part, counted && len(body) == 0})
	}
	return c.outbox.put(ctx, patience, parts...)
}

// sentAtOnce is how many messages are sent before their room is given back.
const sentAtOnce = 64

// send hands the outbox to NATS until it is closed and empty.
func (c *Cluster) send() {
	for {
		batch, more := c.outbox.take()
		if !more {
			return
		}
		size := 0
		for i := range batch {
			size += batch[i].size()
			c.transmit(&batch[i])
			if i%sentAtOnce == sentAtOnce-1 {
				c.outbox.sent(size, nil)
				size = 0
			}
		}
		c.outbox.sent(size, batch)
	}
}

func (c *Cluster) transmit(m *outgoing) {
	err := ErrAway
	if c.link.up.Load() {
		if kind(m.data[1]) == kindAlive {
			c.epoch = uint16(c.link.breaks())
		}
		n := c.stamp(m)
		if err = c.link.conn.Publish(m.subject, m.data); err != nil {
			c.unstamp(m, n)
		}
	}
	switch {
	case err == nil:
		c.counts.sent.Add(1)
		c.counts.sentBytes.Add(int64(len(m.data)))
	case m.counted:
		c.counts.unsent.Add(1)
		if !errors.Is(err, ErrAway) {
			c.logTrouble("a message was not sent", err)
		}
	}
}

// stamp writes to a message what is known when it is sent, and returns its number.
func (c *Cluster) stamp(m *outgoing) uint64 {
	sum := uint32(0)
	if m.counted {
		sum = sumOf(m.subject)
	}
	if m.subject == c.subjects.all() {
		mark(m.data, flagAll)
		c.toAll++
	}
	n := c.history.next(sum)
	number(m.data, c.epoch, n, c.toAll)
	return n
}

// unstamp notes that the message of that number was not sent after all.
func (c *Cluster) unstamp(m *outgoing, n uint64) {
	c.history.undo(n)
	if m.subject == c.subjects.all() {
		c.toAll--
	}
}

package cluster

import (
	"context"
	"encoding/binary"
	"time"
)

const (
	// forgotten is after what time a process that is not heard of is a stranger.
	forgotten = 10 * time.Minute
	// maxStreams bounds the processes that are remembered.
	maxStreams = 4096
	// maxBody bounds a message that comes in parts.
	maxBody = 256 << 20
)

// A stream is what has come from one process of another node. Only the dispatcher
// touches it.
type stream struct {
	member *member // nil while it is not one
	heard  time.Time
	last   uint64 // the number of the last message

	// A message in parts: what is there, and the number of the next part.
	parts []byte
	first header
	next  uint64

	// What is known to have come: all up to the message of that number, and so
	// many since. While nothing has happened, a sign of life moves it on;
	// otherwise the sender is asked what there was in between.
	sure     uint64
	since    int64
	epoch    uint16
	interest uint64

	// How many messages the sender has sent to all, by what it said last and what has
	// come since. If it says that there are more, some were lost on a way between
	// servers of NATS, which breaks neither its connection nor this node's.
	toAll   uint64
	counted bool      // toAll is known
	doubt   time.Time // until when it is asked, as the link's doubt is for all
}

// stream returns what is known of the process that a message comes from.
func (c *Cluster) stream(h *header) *stream {
	s := c.streams[h.from]
	if s == nil {
		if len(c.streams) >= maxStreams {
			return nil
		}
		s = &stream{sure: h.sequence - 1, epoch: h.epoch, interest: c.interest.version.Load()}
		c.streams[h.from] = s
	}
	return s
}

// advance reports whether a message is to be carried out: it is not if a later one was
// before. When this node or the sender comes to another server of NATS, what is still
// under way from the last one may come a second time, or too late. That which has not
// come before is counted as lost.
func (s *stream) advance(h *header) bool {
	if h.sequence <= s.last {
		return false
	}
	s.last = h.sequence
	if h.flags&flagAll != 0 {
		s.toAll++
	}
	return true
}

// heard notes that a process was heard of.
func (c *Cluster) heard(s *stream, h *header) {
	s.heard = time.Now()
	if s.member == nil || s.member.identity != h.from || c.members.of(h.from.node) != s.member {
		s.member = nil
		if m := c.members.of(h.from.node); m != nil && m.identity == h.from {
			s.member = m
		}
	}
	if s.member != nil {
		s.member.heard.Store(s.heard.UnixNano())
	}
}

// assemble returns a message's whole body, or false if parts of it are still to come,
// or are lost.
func (s *stream) assemble(h *header, body []byte) ([]byte, bool) {
	more, rest := h.flags&flagMore != 0, h.flags&flagRest != 0
	switch {
	case !more && !rest:
		return body, true
	case !rest:
		s.parts, s.first = append([]byte(nil), body...), *h
	case s.parts == nil || h.sequence != s.next || len(s.parts)+len(body) > maxBody:
		s.parts = nil
		return nil, false
	default:
		s.parts = append(s.parts, body...)
	}
	if s.next = h.sequence + 1; more {
		return nil, false
	}
	body, s.parts = s.parts, nil
	return body, true
}

// account looks, at a sign of life, whether something was lost since the last one.
func (c *Cluster) account(s *stream, h *header) {
	if !c.link.up.Load() {
		return // more may be lost until it is
	}
	if n := c.link.breaks(); n != c.breaks {
		c.breaks = n
		c.doubt()
	}
	if s.counted && s.toAll != h.question {
		s.doubt = s.heard.Add(c.doubtTime())
	}
	interest := c.interest.version.Load()
	if s.epoch != h.epoch || s.heard.UnixNano() < c.link.doubt.Load() || s.heard.Before(s.doubt) {
		d := doubt{stream: h.from, member: s.member, from: s.sure, to: h.sequence, came: s.since, atMost: s.interest != interest}
		if d.member != nil && d.most() > 0 {
			c.asking.Go(func() { c.inquire(d) })
		}
	}
	s.sure, s.since, s.interest = h.sequence, 0, interest
	s.epoch, s.toAll, s.counted = h.epoch, h.question, true
}

// A doubt is about the messages of a process behind one number and up to another.
type doubt struct {
	stream   identity
	member   *member
	from, to uint64
	came     int64 // how many of them did
	atMost   bool
}

// most is how many may be lost: the sign of life itself is not one of them.
func (d *doubt) most() int64 { return int64(d.to-d.from) - d.came - 1 }

// recalls is how often the sender is asked of a doubt.
const recalls = 5

// inquire asks the sender which of its messages were for this node, again if the
// connection breaks over it, or the sender is not heard of for a while.
func (c *Cluster) inquire(d doubt) {
	lost, exact, answered := int64(0), false, false
	for asked := 0; asked < recalls && !answered; {
		if m := c.members.of(d.stream.node); m != nil && m.identity != d.stream {
			break // another process has taken its place
		}
		if c.link.up.Load() {
			asked++
		}
		ctx, cancel := context.WithTimeout(c.working, c.cfg.QueryTimeout)
		lost, exact, answered = c.recall(ctx, d)
		cancel()
		if c.working.Err() != nil {
			break
		}
	}
	if !answered {
		lost = d.most()
	}
	if lost <= 0 {
		return
	}
	c.counts.missed.Add(lost)
	g := Gap{From: d.stream.node, Messages: lost, AtMost: d.atMost || !exact}
	c.log.Warn("messages missed", "node", g.From.String(), "messages", g.Messages, "atMost", g.AtMost)
	c.tellGap(g)
}

// recall returns how many messages of a doubt are lost, and whether that is exact, if
// it is answered before ctx ends.
func (c *Cluster) recall(ctx context.Context, d doubt) (lost int64, exact, answered bool) {
	q := c.questions.ask(d.member.alone)
	defer c.questions.forget(q)
	h := header{kind: kindRecall, question: q.number}
	span := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, d.from), d.to)
	b, _ := c.encode(h, span, nil) // nothing to encode
	c.control(c.subjects.node(d.member.node), b)
	select {
	case a := <-q.answers:
		first, sums, err := recalled(a.body)
		if !a.there || a.err != nil || err != nil {
			return 0, false, false
		}
		mine := c.interest.sums(c.subjects)
		mine[sumOf(c.subjects.all())], mine[sumOf(c.subjects.node(c.self.node))] = true, true
		for _, sum := range sums {
			if mine[sum] {
				lost++
			}
		}
		unknown := int64(0)
		if first > d.from+1 {
			unknown = int64(first - d.from - 1)
		}
		return lost + unknown - d.came, unknown == 0, true
	case <-ctx.Done():
		return 0, false, false
	}
}

// reportUnsent tells of what could not be sent since it was told last.
func (c *Cluster) reportUnsent() {
	n := c.counts.unsent.Load()
	if was := c.counts.unsentTold.Swap(n); n > was {
		c.log.Warn("messages not sent", "messages", n-was)
		c.tellGap(Gap{From: c.self.node, Messages: n - was})
	}
}

func (c *Cluster) tellGap(g Gap) {
	if c.cfg.OnGap == nil {
		return
	}
	c.telling.Lock()
	defer c.telling.Unlock()
	defer c.rescue("OnGap")
	c.cfg.OnGap(g)
}

// forgetStreams lets go of processes that were not heard of for long, but for nodes:
// who was cut off for longer asks what was said meanwhile.
func (c *Cluster) forgetStreams(now time.Time) {
	for id, s := range c.streams {
		if m := c.members.of(id.node); now.Sub(s.heard) > forgotten && (m == nil || m.identity != id) {
			delete(c.streams, id)
		}
	}
}

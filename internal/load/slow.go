package load

import (
	"context"
	"math"
	"time"

	"github.com/sluicegate/sluice/internal/load/message"
)

// slow is a broadcast to a schedule, during whose second half a share of the
// clients does not read.
type slow struct {
	*broadcast             // to those that read
	stalled    []*staller  // those that will not
	kept       *audience   // theirs
	calm       []*listener // those that read
	stalling   bool
	half       time.Duration
}

// A staller is the player of a client that stops reading. What reaches it late
// says nothing about the server, so it only counts.
type staller struct {
	*listener
	got int64
}

// What the system keeps for a staller, the server does not know to be unread. When
// it reads again it is to catch up soon.
const (
	smallBuffer = 4 << 10
	largeBuffer = 1 << 20
)

func newSlow(r *run) *slow {
	return &slow{broadcast: newBroadcast(r), kept: newAudience(newWindow(), 1)}
}

func (s *slow) prepare(ctx context.Context) error {
	if err := s.present(ctx); err != nil {
		return err
	}
	n := max(1, int(math.Round(s.r.cfg.Stalled*float64(len(s.r.clients)))))
	for i, c := range s.r.clients {
		if i < n {
			p := &staller{listener: s.kept.join(c, 0)}
			s.stalled = append(s.stalled, p)
			c.group = "stalled "
			c.play(p)
			continue
		}
		l := s.audience.join(c, 0)
		l.later, l.early = math.MaxUint32, 1
		s.calm = append(s.calm, l)
		c.play(l)
	}
	return nil
}

func (p *staller) received(h message.Head, _ []byte, _ time.Duration) {
	t := &p.from[0]
	before := t.next
	if h.From != 0 || t.arrived(h.Seq) == doubled {
		return
	}
	p.got++
	p.settled += int64(t.next - before)
}

func (s *slow) play(ctx context.Context) error {
	s.half = s.r.meter.now() + s.r.cfg.For/2
	out := stream{r: s.r, push: s.pushToAll, flush: s.r.task.flush}
	err := out.play(ctx)
	if err == nil {
		s.r.drain(ctx)
	}
	// Reading again, they come upon the close frame, if the server has sent one.
	for _, p := range s.stalled {
		p.c.buffer(largeBuffer)
		p.c.resume()
	}
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.r.cfg.Drain)
	defer cancel()
	_ = s.kept.window.wait(late, 0) // what is still under way then is counted as lost
	return err
}

func (s *slow) pushToAll(due time.Duration) error {
	if !s.stalling && due >= s.half {
		s.stall()
	}
	s.kept.say(0)
	return s.push(due)
}

// stall begins the second half.
func (s *slow) stall() {
	s.stalling = true
	for _, p := range s.stalled {
		p.c.buffer(smallBuffer)
		p.c.pause()
	}
	for _, l := range s.calm {
		l.c.shard.mu.Lock()
		l.later = uint32(s.sent)
		l.c.shard.mu.Unlock()
	}
}

func (s *slow) counts() []Count {
	counts := s.broadcast.counts()
	var got int64
	for _, p := range s.stalled {
		got += p.got
	}
	return append(counts, Count{"stalled", int64(len(s.stalled))},
		Count{"stalled sent", s.kept.due}, Count{"stalled delivered", got}, Count{"stalled lost", s.kept.due - got})
}

package cluster

import (
	"encoding/binary"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicegate/sluice/protocol"
)

// A doubt is asked about until the sender has answered, or is no node any more: also
// while NATS is away, and if an answer is lost.
func TestInquire(t *testing.T) {
	other := protocol.Node{2}
	for name, tc := range map[string]struct {
		lostAnswers int
		away        time.Duration
		leaves      bool
		want        Gap
	}{
		"answered":                   {want: Gap{From: other, Messages: 2}},
		"answered at last":           {lostAnswers: recalls - 1, want: Gap{From: other, Messages: 2}},
		"after a while without NATS": {away: time.Minute, want: Gap{From: other, Messages: 2}},
		"never answered":             {lostAnswers: recalls, want: Gap{From: other, Messages: 6, AtMost: true}},
		"the sender is gone":         {lostAnswers: 1, leaves: true, want: Gap{From: other, Messages: 6, AtMost: true}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newLoose(t)
				c.link.part.Store(partSize)
				var got []Gap
				c.cfg.OnGap = func(g Gap) { got = append(got, g) }
				m := memberOf(2, 1)
				m.dead = time.Hour
				c.members.change(m, nil)
				c.link.up.Store(tc.away == 0)
				go func() {
					time.Sleep(tc.away)
					c.link.up.Store(true)
					for n := 0; ; n++ {
						batch, more := c.outbox.take()
						if !more {
							return
						}
						c.outbox.sent(batch[0].size(), nil)
						h, body, err := open(batch[0].data)
						if err != nil || h.kind != kindRecall || batch[0].subject != c.subjects.node(other) ||
							binary.BigEndian.Uint64(body) != 10 || binary.BigEndian.Uint64(body[8:]) != 20 {
							t.Errorf("%+v to %s: %x, %v", h, batch[0].subject, body, err)
						}
						switch {
						case n >= tc.lostAnswers:
							// Of those ten, five were for this node, which has three.
							var past history
							for range 10 {
								past.next(0)
							}
							for _, subject := range []string{c.subjects.all(), "x", c.subjects.all(), c.subjects.all(), "x", c.subjects.node(c.self.node), c.subjects.all()} {
								past.next(sumOf(subject))
							}
							for range 3 {
								past.next(0) // what keeps the cluster together
							}
							c.questions.answer(h.question, m.identity, past.between(nil, 10, 20), nil)
						case tc.leaves:
							c.members.change(nil, m)
							c.questions.gone(m, true)
						}
					}
				}()
				c.inquire(doubt{stream: m.identity, member: m, from: 10, to: 20, came: 3})
				c.outbox.close()
				if len(got) != 1 || got[0] != tc.want || c.counts.missed.Load() != tc.want.Messages {
					t.Errorf("told of %+v, want %+v", got, tc.want)
				}
			})
		})
	}
}

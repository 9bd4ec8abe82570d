package cluster

import (
	"encoding/binary"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicegate/sluice/protocol"
)

// What is lost on a way that neither end sees break is asked about, if it shows in how
// many messages went to all. While nothing is lost, nobody is asked.
func TestUnseenLoss(t *testing.T) {
	for name, tc := range map[string]struct {
		lost  int // which message, from 1
		asked bool
	}{
		"nothing":             {},
		"a broadcast":         {lost: 2, asked: true},
		"a part of one":       {lost: 4, asked: true},
		"a sign of life":      {lost: 6, asked: true},
		"a message to a node": {lost: 7}, // shows in nothing
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, sender := newLoose(t), newLoose(t)
				sender.self.node = protocol.Node{2}
				sender.established.Store(true)
				sender.link.part.Store(partSize)
				c.link.part.Store(partSize)
				c.link.up.Store(true)
				said := 0
				say := func(subject string, b []byte) {
					if err := sender.put(t.Context(), 0, subject, b, true); err != nil {
						t.Fatal(err)
					}
					batch, _ := sender.outbox.take()
					for i := range batch {
						sender.stamp(&batch[i])
						if said++; said != tc.lost {
							c.handle(batch[i].data)
						}
						sender.outbox.sent(batch[i].size(), nil)
					}
				}
				command := func(size int) []byte {
					b, err := sender.encode(header{kind: kindTell, cmd: protocol.Cmd_Broadcast}, nil, &protocol.Broadcast{Data: make([]byte, size)})
					if err != nil {
						t.Fatal(err)
					}
					return b
				}
				all, one := c.subjects.all(), c.subjects.node(c.self.node)
				say(all, sender.presence(kindAlive)) // 1
				say(all, command(1))                 // 2
				say(all, command(2*partSize))        // 3, 4, 5
				say(all, sender.presence(kindAlive)) // 6
				say(one, command(1))                 // 7
				say(all, sender.presence(kindHello)) // 8
				say(one, sender.presence(kindAlive)) // 9
				say(all, sender.presence(kindAlive)) // 10
				synctest.Wait()
				if said != 10 {
					t.Fatalf("there were %d messages", said)
				}
				asked := false
				batch, _ := c.outbox.take() // an answer to the hello is among them
				for _, m := range batch {
					asked = asked || kind(m.data[1]) == kindRecall
				}
				if asked != tc.asked {
					t.Errorf("the sender was asked: %v, want %v", asked, tc.asked)
				}
				c.cancel()
				c.asking.Wait()
			})
		})
	}
}

// A doubt is asked about until the sender has answered, or another process has its
// place: also while NATS is away, if an answer is lost, and if the sender is missed.
func TestInquire(t *testing.T) {
	other := protocol.Node{2}
	for name, tc := range map[string]struct {
		lostAnswers int
		away        time.Duration
		then        string // what becomes of the sender instead of the first answer
		want        Gap
	}{
		"answered":                   {want: Gap{From: other, Messages: 2}},
		"answered at last":           {lostAnswers: recalls - 1, want: Gap{From: other, Messages: 2}},
		"after a while without NATS": {away: time.Minute, want: Gap{From: other, Messages: 2}},
		"never answered":             {lostAnswers: recalls, want: Gap{From: other, Messages: 6, AtMost: true}},
		"missed meanwhile":           {lostAnswers: 1, then: "missed", want: Gap{From: other, Messages: 2}},
		"another in its place":       {lostAnswers: 1, then: "replaced", want: Gap{From: other, Messages: 6, AtMost: true}},
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
						case tc.then != "":
							c.remove(m, MemberLost)
							if tc.then == "replaced" {
								c.members.change(memberOf(2, 9), nil)
							}
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

// A process that was not heard of for long is forgotten, but a node's own is not: what
// was said while it was cut off is still asked for.
func TestForgetStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLoose(t)
		member, replaced, stranger := memberOf(2, 1), identity{protocol.Node{2}, 9}, identity{protocol.Node{3}, 1}
		c.members.change(member, nil)
		for _, id := range []identity{member.identity, replaced, stranger} {
			c.stream(&header{from: id})
		}
		c.forgetStreams(time.Now().Add(forgotten))
		if len(c.streams) != 3 {
			t.Errorf("%d streams are left, want 3", len(c.streams))
		}
		c.forgetStreams(time.Now().Add(forgotten + time.Second))
		if len(c.streams) != 1 || c.streams[member.identity] == nil {
			t.Errorf("%d streams are left, want the node's own", len(c.streams))
		}
	})
}

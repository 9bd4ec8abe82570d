package cluster

import (
	"context"
	"encoding/binary"
	"slices"
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
			h := header{from: id}
			c.heard(c.stream(&h), &h)
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

// broadcasts is a Bus that notes what is broadcast.
type broadcasts struct {
	deaf
	got []string
}

func (b *broadcasts) Broadcast(_ context.Context, data []byte) error {
	b.got = append(b.got, string(data))
	return nil
}

// What comes a second time, or behind what was sent after it, is not carried out, and
// does not count as having come: two ways through NATS may be of different lengths.
func TestTwoWays(t *testing.T) {
	local := new(broadcasts)
	c, sender := newLoose(t), newLoose(t)
	c.local, sender.self.node = local, protocol.Node{2}
	c.link.up.Store(true)
	c.link.part.Store(partSize)
	sender.established.Store(true)
	sent := make(map[string][]byte)
	send := func(name string, b []byte, err error) {
		if err != nil {
			t.Fatal(err)
		}
		sender.stamp(&outgoing{subject: c.subjects.all(), data: b, counted: true})
		sent[name] = b
	}
	for _, name := range []string{"a", "b", "alive", "c", "d", "e"} {
		if name == "alive" {
			send(name, sender.presence(kindAlive), nil)
			continue
		}
		b, err := sender.encode(header{kind: kindTell, cmd: protocol.Cmd_Broadcast}, nil, &protocol.Broadcast{Data: []byte(name)})
		send(name, b, err)
	}
	b, err := sender.encode(header{kind: kindLeave}, nil, nil)
	send("leave", b, err)
	for _, name := range []string{"a", "b", "alive", "b", "alive", "d", "c", "d", "e", "a"} {
		c.handle(sent[name])
	}
	if want := []string{"a", "b", "d", "e"}; !slices.Equal(local.got, want) {
		t.Errorf("carried out %q, want %q", local.got, want)
	}
	if s := c.streams[sender.self]; s.since != 2 || s.toAll != 5 {
		t.Errorf("%d messages came since the sign of life, of %d to all; want 2 and 5", s.since, s.toAll)
	}
	c.handle(sent["leave"])
	c.handle(sent["alive"])
	if n := len(c.Nodes()); n != 1 {
		t.Errorf("%d nodes: who has left is back by what it said before", n)
	}
}

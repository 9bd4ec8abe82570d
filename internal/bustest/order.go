package bustest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/sluicegate/sluice/hooks"
)

// Order tests that commands issued one after the other by one caller reach a
// client in that order, across all kinds of command, while other callers do the same.
func Order(t *testing.T, w World) {
	const clients, callers, rounds = 8, 4, 60
	ctx := t.Context()
	var all []*client
	var ids []string
	for i := range clients {
		c := w.join(t)
		all, ids = append(all, c), append(ids, c.id)
		must(t, w.Bus.UpdateConnInfo(ctx, hooks.ConnInfoUpdate{
			UniqID: c.id, NewCustomerID: "customer" + strconv.Itoa(i), NewTopics: []string{"all"},
		}))
	}
	customers, err := w.Bus.CustomerIDs(ctx)
	must(t, err)

	var calling, reading sync.WaitGroup
	perRound := 0
	for number := range callers {
		c := &caller{bus: w.Bus, number: number, ids: ids, customers: customers}
		commands := c.commands(ctx)
		perRound = len(commands) + 2 // PublishBulk sends three
		calling.Go(func() {
			for range rounds {
				for _, command := range commands {
					if err := command(); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	for _, c := range all {
		reading.Go(func() {
			next := make([]int, callers)
			for range callers * rounds * perRound {
				_, data, err := c.ReadMessage()
				if err != nil {
					t.Errorf("client %s: %v", c.id, err)
					return
				}
				var number, seq int
				if _, err := fmt.Sscanf(string(data), "%d %d", &number, &seq); err != nil {
					t.Errorf("client %s got %q", c.id, data)
					return
				}
				if next[number]++; seq != next[number] {
					t.Errorf("client %s: caller %d's message %d came when %d was due", c.id, number, seq, next[number])
					return
				}
			}
		})
	}
	calling.Wait()
	reading.Wait()
}

// A caller numbers what it sends.
type caller struct {
	bus            hooks.Bus
	number, seq    int
	ids, customers []string
}

func (c *caller) data() []byte {
	c.seq++
	return fmt.Appendf(nil, "%d %d", c.number, c.seq)
}

// commands are all kinds of command that carry a message. Each reaches every
// client once.
func (c *caller) commands(ctx context.Context) []func() error {
	bus, ids, customers := c.bus, c.ids, c.customers
	each := func(ids []string, send func(id string, data []byte) error) func() error {
		return func() error {
			var err error
			data := c.data()
			for _, id := range ids {
				err = errors.Join(err, send(id, data))
			}
			return err
		}
	}
	return []func() error{
		func() error { return bus.Broadcast(ctx, c.data()) },
		func() error { return bus.Publish(ctx, []string{"all"}, c.data()) },
		func() error { return bus.Multicast(ctx, ids, c.data()) },
		func() error { return bus.MulticastByCustomerID(ctx, customers, c.data()) },
		func() error { return bus.PublishBulk(ctx, []string{"all"}, [][]byte{c.data(), c.data(), c.data()}) },
		func() error { return bus.SingleCastBulk(ctx, ids, slices.Repeat([][]byte{c.data()}, len(ids))) },
		each(ids, func(id string, data []byte) error { return bus.SingleCast(ctx, id, data) }),
		each(customers, func(id string, data []byte) error { return bus.SingleCastByCustomerID(ctx, id, data) }),
		each(ids, func(id string, data []byte) error { return bus.Subscribe(ctx, id, []string{"other"}, data) }),
		each(ids, func(id string, data []byte) error {
			return bus.UpdateConnInfo(ctx, hooks.ConnInfoUpdate{UniqID: id, NewSession: "s", Data: data})
		}),
	}
}

// OwnWrites tests that a query after a change by the same caller sees it; whoever subscribed
// before a publish gets it, even if it unsubscribes right after; whoever unsubscribed
// before it does not.
func OwnWrites(t *testing.T, w World) {
	const rounds = 200
	ctx := t.Context()
	a, b := w.join(t), w.join(t)
	for i := range rounds {
		topic := []string{"topic" + strconv.Itoa(i)}
		must(t, w.Bus.Subscribe(ctx, a.id, topic, nil))
		if subs, err := w.Bus.TopicUniqIDs(ctx, topic); err != nil || !slices.Equal(subs[topic[0]], []string{a.id}) {
			t.Fatalf("after Subscribe: %v, %v", subs, err)
		}
		must(t, w.Bus.Publish(ctx, topic, []byte("before "+strconv.Itoa(i))))
		must(t, w.Bus.Unsubscribe(ctx, a.id, topic, nil))
		must(t, w.Bus.Publish(ctx, topic, []byte("after")))
		if n, err := w.Bus.TopicUniqIDCounts(ctx, topic, false); err != nil || len(n) != 0 {
			t.Fatalf("after Unsubscribe: %v, %v", n, err)
		}
		must(t, w.Bus.SingleCast(ctx, b.id, []byte(strconv.Itoa(i))))
	}
	for i := range rounds {
		a.expect("before " + strconv.Itoa(i))
		b.expect(strconv.Itoa(i))
	}
	must(t, w.Bus.ForceOffline(ctx, []string{a.id}, []byte("bye")))
	if on, err := w.Bus.CheckOnline(ctx, []string{a.id, b.id}); err != nil || !slices.Equal(on, []string{b.id}) {
		t.Fatalf("after ForceOffline: online %v, %v", on, err)
	}
	must(t, w.Bus.SingleCast(ctx, a.id, []byte("too late")))
	if got := a.expectClose(1008, "forceOffline"); !slices.Equal(got, []string{"bye"}) {
		t.Fatalf("before the close frame: %q", got)
	}
}

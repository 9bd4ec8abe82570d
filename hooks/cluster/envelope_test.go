package cluster

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/protocol"
)

// A message that is larger than a part is the same at the other end, at every edge; a
// lost part costs that message only.
func TestParts(t *testing.T) {
	c := newLoose(t)
	const part = 1 << 10
	c.link.part.Store(part)
	for _, size := range []int{0, 1, part - headerSize, part - headerSize + 1, 2 * (part - headerSize), 10*part + 7} {
		body := []byte(strings.Repeat("x", size))
		b, err := c.encode(header{kind: kindTell}, body, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.put(context.Background(), 0, "s", b, true); err != nil {
			t.Fatal(err)
		}
		batch, _ := c.outbox.take()
		for lost := -1; lost < len(batch); lost++ {
			var s stream
			whole := 0
			for i, m := range batch {
				if len(m.data) > part {
					t.Fatalf("a part has %d bytes", len(m.data))
				}
				if m.counted != (i == len(batch)-1) {
					t.Errorf("part %d of %d is counted: %v", i, len(batch), m.counted)
				}
				number(m.data, 0, uint64(i+1), 0)
				if i == lost {
					continue
				}
				h, some, err := open(m.data)
				if err != nil {
					t.Fatal(err)
				}
				if got, ok := s.assemble(&h, some); ok {
					if whole++; string(got) != string(body) {
						t.Errorf("%d bytes came as %d", size, len(got))
					}
				}
			}
			if want := map[bool]int{true: 1}[lost < 0]; whole != want {
				t.Errorf("%d bytes in %d parts, of which %d was lost, came %d times", size, len(batch), lost, whole)
			}
		}
		sent := 0
		for i := range batch {
			sent += batch[i].size()
		}
		c.outbox.sent(sent, batch)
	}
}

// Errors of a Bus stay what they are from one node to the next.
func TestErrorsTravel(t *testing.T) {
	for _, err := range []error{hooks.ErrTooMany, hooks.ErrOverloaded, hooks.ErrStopped, hooks.ErrBulkMismatch} {
		rest, got := cutError(protocol.Node{1}, append(putError(nil, errors.Join(errors.New("first"), err)), "rest"...))
		if !errors.Is(got, err) || string(rest) != "rest" {
			t.Errorf("%v came as %v, %q", err, got, rest)
		}
	}
	if _, got := cutError(protocol.Node{1}, putError(nil, errors.New("its own"))); !strings.Contains(got.Error(), "its own") {
		t.Errorf("came as %v", got)
	}
	for _, b := range [][]byte{nil, {9}, {0, 200}} {
		if _, got := cutError(protocol.Node{1}, b); got == nil {
			t.Errorf("%v is no error", b)
		}
	}
}

// A history knows its last messages, and says from where on.
func TestHistory(t *testing.T) {
	var h history
	for range historySize + 10 {
		h.next(sumOf("s"))
	}
	h.undo(historySize + 9)
	first, sums, err := recalled(h.between(nil, 3, historySize+20))
	if err != nil || first != 11 || len(sums) != historySize || sums[0] != sumOf("s") || sums[historySize-2] != 0 {
		t.Errorf("from %d: %d sums, %v", first, len(sums), err)
	}
	if first, sums, err := recalled(h.between(nil, historySize, historySize+2)); err != nil || first != historySize+1 || len(sums) != 2 {
		t.Errorf("from %d: %v, %v", first, sums, err)
	}
	if _, _, err := recalled([]byte{1, 2, 3}); err == nil {
		t.Error("three bytes are no recall")
	}
}

// Of limits that nodes have set, the latest holds, each for itself.
func TestLimitsLearn(t *testing.T) {
	var a, b limits
	a.set(hooks.Limits{OnOpen: 5})
	b.set(hooks.Limits{OnMessage: 7})
	if got := b.learn(a.put(nil)); got != (hooks.Limits{OnOpen: 5}) {
		t.Errorf("b learnt %+v", got)
	}
	if got := b.learn(a.put(nil)); got != (hooks.Limits{}) {
		t.Errorf("b learnt %+v again", got)
	}
	b.set(hooks.Limits{OnOpen: 6})
	if got := a.learn(b.put(nil)); got != (hooks.Limits{OnOpen: 6, OnMessage: 7}) {
		t.Errorf("a learnt %+v", got)
	}
	if got := b.learn(a.put(nil)); got != (hooks.Limits{}) {
		t.Errorf("b learnt what it knows: %+v", got)
	}
	if got := a.learn([]byte{255}); got != (hooks.Limits{}) {
		t.Errorf("a learnt %+v of nonsense", got)
	}
}

// latestOnly is a Bus that notes what comes by PublishLatest.
type latestOnly struct {
	deaf
	got []string
}

func (b *latestOnly) PublishLatest(_ context.Context, topics []string, key string, data []byte) error {
	b.got = append(b.got, topics[0]+" "+key+" "+string(data))
	return nil
}

// A key goes with its message from node to node.
func TestKeyTravels(t *testing.T) {
	local := new(latestOnly)
	c, sender := newLoose(t), newLoose(t)
	c.local, sender.local, sender.self.node = local, new(latestOnly), protocol.Node{2}
	sender.link.part.Store(partSize)
	sender.link.up.Store(true)
	for _, key := range []string{"", "price", "\xff"} {
		if err := newBus(sender).PublishLatest(t.Context(), []string{"t"}, key, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	batch, _ := sender.outbox.take()
	for i := range batch {
		sender.stamp(&batch[i])
		c.handle(batch[i].data)
	}
	if want := []string{"t  x", "t price x", "t \xff x"}; !slices.Equal(local.got, want) {
		t.Errorf("got %q, want %q", local.got, want)
	}
}

package cluster

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/protocol"
)

// Whatever a topic is called, its subject is one token of its own cluster.
func FuzzSubject(f *testing.F) {
	for _, name := range []string{
		"", "news", "a.b", "*", ">", "all", "n.0a", "~x", "=2E", " ", "\x00", "\xff", "ä", strings.Repeat("x", longest), strings.Repeat("x", longest+1), strings.Repeat(".", 50),
	} {
		f.Add(name, "news")
	}
	one, other := subjectsOf("one"), subjectsOf("other")
	f.Fuzz(func(t *testing.T, name, another string) {
		subject := one.topic(name)
		token, ok := strings.CutPrefix(subject, "sluice.one.t.")
		if !ok || strings.ContainsAny(token, ".*> \t\r\n\x00") || len(token) > longest {
			t.Fatalf("%q has the subject %q", name, subject)
		}
		if token != "" && !server.IsValidLiteralSubject(subject) {
			t.Fatalf("%q has the subject %q, which NATS does not take", name, subject)
		}
		if another != name && one.topic(another) == subject {
			t.Fatalf("%q and %q share the subject %q", name, another, subject)
		}
		for _, taken := range []string{one.all(), one.node(protocol.Node{1}), other.topic(name), other.all()} {
			if subject == taken {
				t.Fatalf("%q has the subject %q", name, subject)
			}
		}
	})
}

// deaf is a Bus that does nothing.
type deaf struct{ hooks.Bus }

// newLoose returns a Cluster without a connection.
func newLoose(tb testing.TB) *Cluster {
	tb.Helper()
	c, err := New(Config{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(c.cancel)
	if _, err := c.Join(hooks.Member{Node: protocol.Node{1}, Local: deaf{}, Logger: slog.New(slog.DiscardHandler)}); err != nil {
		tb.Fatal(err)
	}
	return c
}

// What arrives may be anything, one behind the other: it is understood, or counted as
// malformed, and does no more. A command that is understood panics in a Bus that does nothing, which must not
// reach the dispatcher either.
func FuzzHandle(f *testing.F) {
	c := newLoose(f)
	for k := kindTell; k <= kindRecall+1; k++ {
		for _, fl := range []flags{0, flagMore, flagRest, flagKeyed, flagError, flagEstablished} {
			b, err := c.encode(header{kind: k, flags: fl, cmd: protocol.Cmd_TopicPublish}, []byte{1, 'k'}, &protocol.TopicPublish{Topics: []string{"t"}, Data: []byte("x")})
			if err != nil {
				f.Fatal(err)
			}
			b[8] = 2 // another node's
			number(b, 0, 1, 0)
			f.Add(b, b)
			f.Add(b[:headerSize], b)
		}
	}
	f.Add([]byte{}, []byte{version})
	f.Fuzz(func(t *testing.T, first, second []byte) {
		c := newLoose(t)
		own, short := false, int64(0)
		for _, data := range [][]byte{first, second} {
			if len(data) < headerSize {
				short++
			} else {
				own = own || [6]byte(data[8:14]) == [6]byte{1}
			}
			c.handle(data)
		}
		c.asking.Wait()
		if n := c.counts.received.Load(); n != 2 {
			t.Errorf("%d messages were counted", n)
		}
		if c.counts.malformed.Load() < short {
			t.Error("a message without a header was understood")
		}
		if len(c.failed) > 0 && !own {
			t.Error("a message of another node has ended this one")
		}
	})
}

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

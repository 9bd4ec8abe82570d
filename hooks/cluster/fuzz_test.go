package cluster

import (
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

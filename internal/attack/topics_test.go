//go:build unix

package attack

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/hooks/remote"
	"github.com/sluicegate/sluice/internal/await"
	"github.com/sluicegate/sluice/internal/wsclient"
	"github.com/sluicegate/sluice/protocol"
)

// taskBatch is how many topics one command names.
const taskBatch = 1000

// subscriptionCost is what one client's subscription to a topic of its own may
// take, in bytes: the topic, its list of one, and its place in the maps.
const subscriptionCost = 640

// One client subscribes to 100,000 topics, where that is allowed, is published to
// in all of them and leaves: nobody waits for any of it.
func TestTopicsOfOne(t *testing.T) {
	n := scaled(100_000, 4)
	s := serve(t, withRoom(gateway.Config{WriteLimit: 64 << 20}, n), &remote.Config{})
	a := s.attack("topics of one", n)
	ctx := t.Context()
	memory := bound{heap: int64(n) * subscriptionCost, goroutines: 8}
	s.during("subscribing", memory, func() {
		a.word()
		if got := a.count("topics"); got != n {
			t.Errorf("%d topics, want %d", got, n)
		}
	})
	// The messages for the client wait for it, encoded.
	memory.heap += int64(n) * 256
	s.during("publishing", memory, func() {
		a.word()
		if got := a.count("received"); got != n {
			t.Errorf("%d messages arrived, want %d", got, n)
		}
	})
	s.during("leaving", memory, func() {
		a.word()
		await.Until(t, func() string {
			if left, _ := s.TopicCount(ctx); left != 0 {
				return fmt.Sprintf("%d topics are left", left)
			}
			return ""
		})
		s.watch.settle() // with what was held up meanwhile
	})
	s.over(a)
}

// client opens a client and returns its id.
func (a *assault) client() (c *wsclient.Conn, id string, err error) {
	if c, err = a.open(wsclient.Request{}); err != nil {
		return nil, "", err
	}
	id, err = ask(c, "id")
	return c, id, err
}

// task is a connection to the task listener.
type task struct {
	net.Conn
	r *protocol.Reader
}

func (a *assault) task() (*task, error) {
	_, addr, _ := strings.Cut(a.more, " ")
	c, err := a.dialTo(addr)
	if err != nil {
		return nil, err
	}
	return &task{Conn: c, r: protocol.NewReader(c, 64<<20, nil)}, nil
}

// do sends a command.
func (t *task) do(cmd protocol.Cmd_Number, m proto.Message) error {
	p, err := protocol.AppendPacket(nil, cmd, m)
	if err != nil {
		return err
	}
	_, err = t.Write(p)
	return err
}

// topicCount asks how many topics there are. What was commanded before is done
// then.
func (t *task) topicCount() (int, error) {
	if err := t.do(protocol.Cmd_TopicCount, nil); err != nil {
		return 0, err
	}
	p, err := t.r.Next()
	if err != nil {
		return 0, err
	}
	var m protocol.TopicCountResp
	err = p.Unmarshal(&m)
	return int(m.GetCount()), err
}

// inBatches calls f with the names of n topics.
func inBatches(n int, f func(topics []string) error) error {
	for from := 0; from < n; from += taskBatch {
		topics := make([]string, 0, taskBatch)
		for i := from; i < min(n, from+taskBatch); i++ {
			topics = append(topics, fmt.Sprintf("topic/number/%06d", i))
		}
		if err := f(topics); err != nil {
			return err
		}
	}
	return nil
}

func (t *task) subscribe(id string, n int) error {
	return inBatches(n, func(topics []string) error {
		return t.do(protocol.Cmd_TopicSubscribe, &protocol.TopicSubscribe{UniqId: id, Topics: topics})
	})
}

func topicsOfOne(a *assault) error {
	c, id, err := a.client()
	if err != nil {
		return err
	}
	t, err := a.task()
	if err != nil {
		return err
	}
	if err := t.subscribe(id, a.n); err != nil {
		return err
	}
	count, err := t.topicCount()
	if err != nil {
		return err
	}
	a.say("topics", count)

	if err := a.await(); err != nil {
		return err
	}
	published := make(chan error, 1)
	go func() {
		published <- inBatches(a.n, func(topics []string) error {
			return t.do(protocol.Cmd_TopicPublish, &protocol.TopicPublish{Topics: topics, Data: []byte("news")})
		})
	}()
	received := 0
	for ; received < a.n; received++ {
		if _, data, err := c.ReadMessage(); err != nil || !bytes.Equal(data, []byte("news")) {
			return fmt.Errorf("got %q, %w", data, err)
		}
	}
	a.say("received", received)

	if err := a.await(); err != nil {
		return err
	}
	drop(c)
	return errors.Join(a.await(), <-published)
}

// A hundred thousand topics are made and deleted, again and again: what remains of
// them is the registry's table, once.
func TestTopicsMadeAndDeleted(t *testing.T) {
	n := scaled(100_000, 4)
	const rounds = 4
	s := serve(t, withRoom(gateway.Config{}, n), &remote.Config{})
	a := s.attack("topics made and deleted", n)
	var left []int64
	s.during("made and deleted", bound{heap: int64(n) * subscriptionCost, goroutines: 8}, func() {
		a.word()
		for range rounds {
			if got := a.count("made"); got != n {
				t.Errorf("%d topics, want %d", got, n)
			}
			a.word()
			if got := a.count("deleted"); got != 0 {
				t.Errorf("%d topics are left of %d that were deleted", got, n)
			}
			left = append(left, (weigh().heap-s.rest.heap)>>10)
			a.word()
		}
	})
	t.Logf("the heap after each round: +%d KiB", left)
	if grown := left[rounds-1] - left[0]; grown > 1<<10 {
		t.Errorf("the heap has grown by %d KiB from the first round to the last", grown)
	}
	s.over(a)
}

func topicsMadeAndDeleted(a *assault) error {
	c, id, err := a.client()
	if err != nil {
		return err
	}
	t, err := a.task()
	if err != nil {
		return err
	}
	for a.ctx.Err() == nil {
		if err := t.subscribe(id, a.n); err != nil {
			return err
		}
		count, err := t.topicCount()
		if err != nil {
			return err
		}
		a.say("made", count)
		if err := a.await(); err != nil {
			return err
		}
		if err := inBatches(a.n, func(topics []string) error {
			return t.do(protocol.Cmd_TopicDelete, &protocol.TopicDelete{Topics: topics})
		}); err != nil {
			return err
		}
		if count, err = t.topicCount(); err != nil {
			return err
		}
		a.say("deleted", count)
		if err := a.await(); err != nil {
			return err
		}
	}
	return c.Close()
}

// stuffed is how large a session a business process makes, in bytes.
const stuffed = 1 << 20

// A business process gives its clients sessions as large as it can, over and over:
// each client has one, and when it leaves has none.
func TestSessionStuffing(t *testing.T) {
	const n = 40
	s := serve(t, withRoom(gateway.Config{}, stuffed), &remote.Config{})
	a := s.attack("sessions", n)
	// Ten times as much is made in all. What is made while the garbage is weighed
	// counts as well, and the collector lets that be as much as there is.
	s.during("stuffing", bound{heap: 3 * n * stuffed, goroutines: 8}, func() {
		a.word()
		a.count("stuffed")
	})
	if grown := weigh().heap - s.rest.heap; grown > n*stuffed+spareHeap {
		t.Errorf("%d KiB are held for %d sessions of %d KiB", grown>>10, n, stuffed>>10)
	}
	if got := largestSession(t, s); got != stuffed {
		t.Errorf("the largest session has %d bytes, want %d", got, stuffed)
	}
	s.over(a)
}

func largestSession(t *testing.T, s *server) (largest int) {
	t.Helper()
	ids, err := s.UniqIDs(t.Context())
	must(t, err)
	infos, err := s.ConnInfo(t.Context(), ids, hooks.ConnInfoFields{Session: true})
	must(t, err)
	for _, i := range infos {
		largest = max(largest, len(i.Session))
	}
	return largest
}

func sessions(a *assault) error {
	t, err := a.task()
	if err != nil {
		return err
	}
	ids := make([]string, a.n)
	if err := a.each(a.n, 10, func(i int) (err error) {
		_, ids[i], err = a.client()
		return err
	}); err != nil {
		return err
	}
	for round := range scaled(10, 3) {
		for i, id := range ids {
			if err := t.do(protocol.Cmd_ConnInfoUpdate, &protocol.ConnInfoUpdate{
				UniqId: id, NewSession: strings.Repeat("s", stuffed), NewCustomerId: fmt.Sprintf("customer %d %d", round, i),
			}); err != nil {
				return err
			}
		}
	}
	if _, err := t.topicCount(); err != nil {
		return err
	}
	a.say("stuffed", a.n)
	return a.await()
}

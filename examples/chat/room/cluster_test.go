package room

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicegate/sluice/hooks"
)

// part is the Bus of a node that reaches itself only, while away.
type part struct {
	*fakeBus
	away atomic.Bool
	wide atomic.Int64 // publishes to all nodes
}

// Local is what hooks.Local finds.
func (p *part) Local() hooks.Bus { return p.fakeBus }

var errAway = errors.New("some do not answer")

func (p *part) err(err error) error {
	if p.away.Load() {
		return errors.Join(err, errAway)
	}
	return err
}

func (p *part) Publish(ctx context.Context, topics []string, data []byte) error {
	p.wide.Add(1)
	return p.err(p.fakeBus.Publish(ctx, topics, data))
}

func (p *part) ConnInfoByCustomerID(ctx context.Context, ids []string, f hooks.ConnInfoFields) (map[string][]hooks.ConnInfo, error) {
	found, err := p.fakeBus.ConnInfoByCustomerID(ctx, ids, f)
	return found, p.err(err)
}

func (p *part) TopicCustomerIDs(ctx context.Context, topics []string) (map[string][]string, error) {
	found, err := p.fakeBus.TopicCustomerIDs(ctx, topics)
	return found, p.err(err)
}

func (p *part) TopicCustomerIDCounts(ctx context.Context, topics []string, all bool) (map[string]int, error) {
	counts, err := p.fakeBus.TopicCustomerIDCounts(ctx, topics, all)
	return counts, p.err(err)
}

// message hands over a request as the gateway of p does.
func (w *world) message(p *part, uniqID, raw string) {
	p.mu.Lock()
	i := p.conns[uniqID].info
	p.mu.Unlock()
	w.h.Message(w.t.Context(), p, hooks.MessageEvent{
		UniqID: uniqID, CustomerID: i.CustomerID, Session: i.Session, Topics: i.Topics, Data: []byte(raw),
	})
}

// The chat goes on with a part of its cluster, and says what it cannot know.
func TestPartOfACluster(t *testing.T) {
	w := newWorld(t)
	w.h = NewInCluster(nil)
	p := &part{fakeBus: w.bus}
	w.enter("ann", "bay")
	w.open("bob")
	w.takeAll()
	p.away.Store(true)
	w.message(p, "bob", `{"type":"nick","nick":"bob"}`)
	w.message(p, "bob", `{"type":"join","room":"bay"}`)
	if got := w.take("bob"); len(pick(got, "error")) > 0 || len(view(got, "bay")) != 2 {
		t.Errorf("bob is told %v", got)
	}
	if got := pick(w.take("ann"), "presence"); len(got) == 0 || got[len(got)-1]["nick"] != "bob" {
		t.Errorf("ann is told %v of bob", got)
	}
	w.message(p, "bob", `{"type":"say","room":"bay","text":"ahoy"}`)
	if got := w.take("bob"); len(pick(got, "said")) != 1 || len(pick(got, "error")) != 1 || pick(got, "error")[0]["code"] != CodePartly {
		t.Errorf("bob is told %v, want his words and that some may lack them", got)
	}
	w.message(p, "bob", `{"type":"whisper","nick":"cid","text":"psst"}`)
	if got := w.code("bob"); got != CodeFailed {
		t.Errorf("to whisper to somebody who may be on a silent node: %q", got)
	}
	w.message(p, "bob", `{"type":"whisper","nick":"ann","text":"psst"}`)
	if got := pick(w.take("ann"), "whisper"); len(got) != 1 {
		t.Errorf("ann got whispers %v", got)
	}
}

// A handler on its own takes no part for the whole.
func TestPartIsAFailure(t *testing.T) {
	w := newWorld(t)
	p := &part{fakeBus: w.bus}
	w.open("bob")
	p.away.Store(true)
	w.message(p, "bob", `{"type":"nick","nick":"bob"}`)
	if got := w.code("bob"); got != CodeFailed {
		t.Errorf("got %q", got)
	}
}

// What could not be told is told when all can be reached, and nothing before.
func TestToldAnew(t *testing.T) {
	w := newWorld(t)
	w.h = NewInCluster(nil)
	p := &part{fakeBus: w.bus}
	w.enter("ann", "bay")
	w.enter("bob", "bay")
	w.takeAll()
	p.away.Store(true)
	if err := w.h.refresh(t.Context(), p); !errors.Is(err, errAway) {
		t.Errorf("with a part: %v", err)
	}
	if got := w.take("ann"); len(got) > 0 {
		t.Errorf("ann was told of a part: %v", got)
	}

	// A node is lost, and with it the host.
	w.bus.mu.Lock()
	delete(w.bus.conns, "ann")
	w.bus.mu.Unlock()
	p.away.Store(false)
	told := make(chan struct{})
	w.bus.step = func() {
		w.bus.mu.Lock()
		defer w.bus.mu.Unlock()
		c := w.bus.conns["bob"]
		if told != nil && c != nil && len(pick(c.inbox, "rooms")) > 0 {
			close(told)
			told = nil
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	wait := told
	go func() { ended <- w.h.Run(ctx, p) }()
	w.h.Stale()
	select {
	case <-wait:
	case <-time.After(10 * time.Second):
		t.Error("nothing was told")
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if got := view(w.take("bob"), "bay"); len(got) != 1 || !got["bob"] {
		t.Errorf("bob sees %v, want himself as host", got)
	}
}

// A node tells its own clients what others may have told in vain, and all clients what
// it has told in vain itself.
func TestWhoIsToldAnew(t *testing.T) {
	w := newWorld(t)
	w.h = NewInCluster(nil)
	p := &part{fakeBus: w.bus}
	w.enter("ann", "bay")
	for _, away := range []bool{false, true, false} {
		p.away.Store(away)
		w.message(p, "ann", `{"type":"join","room":"reef"}`)
		p.away.Store(false)
		p.wide.Store(0)
		if err := w.h.refresh(t.Context(), p); err != nil {
			t.Error(err)
		}
		if got := p.wide.Load() > 0; got != away {
			t.Errorf("clients of all nodes are told: %v, want %v", got, away)
		}
	}
}

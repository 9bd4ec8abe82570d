package limit

import (
	"hash/maphash"
	"sync"
	"time"
)

// windows count what each client has sent in its present window. Clients are
// spread over shards, so that event loops seldom meet.
type windows struct {
	seed   maphash.Seed
	start  time.Time
	shards [64]shard
}

type shard struct {
	mu      sync.Mutex
	clients map[string]*window
}

// window is one client's. It has what was sent, not what is left, so that it goes
// on when the limits change.
type window struct {
	began time.Duration // since the start of all windows
	sent  int
	first bool
}

func (w *windows) init(start time.Time) {
	w.seed, w.start = maphash.MakeSeed(), start
	for i := range w.shards {
		w.shards[i].clients = make(map[string]*window)
	}
}

func (w *windows) of(uniqID string) *shard {
	return &w.shards[maphash.String(w.seed, uniqID)%uint64(len(w.shards))]
}

// allow counts one message. A window begins with the first message after the
// one before has ended.
func (w *windows) allow(uniqID string, cfg *Config, now time.Time) bool {
	s, at := w.of(uniqID), now.Sub(w.start)
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clients[uniqID]
	switch {
	case c == nil:
		c = &window{began: at, first: true}
		s.clients[uniqID] = c
	case at-c.began >= cfg.ClientWindow:
		*c = window{began: at}
	}
	most := cfg.ClientMessages
	if c.first {
		most = cfg.ClientFirst
	}
	if c.sent >= most {
		return false
	}
	c.sent++
	return true
}

func (w *windows) forget(uniqID string) {
	s := w.of(uniqID)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.clients, uniqID)
}

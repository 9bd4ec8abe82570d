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
	shards [64]shard
}

type shard struct {
	mu      sync.Mutex
	clients map[string]*window
}

// window is one client's.
type window struct {
	start time.Time
	left  int
}

func (w *windows) init() {
	w.seed = maphash.MakeSeed()
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
	s := w.of(uniqID)
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clients[uniqID]
	switch {
	case c == nil:
		c = &window{start: now, left: cfg.ClientFirst}
		s.clients[uniqID] = c
	case now.Sub(c.start) >= cfg.ClientWindow:
		c.start, c.left = now, cfg.ClientMessages
	}
	if c.left == 0 {
		return false
	}
	c.left--
	return true
}

func (w *windows) forget(uniqID string) {
	s := w.of(uniqID)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.clients, uniqID)
}

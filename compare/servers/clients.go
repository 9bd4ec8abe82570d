package servers

import "sync"

// clients are those of a library that leaves it to its user to know them.
type clients[C comparable] struct {
	mu  sync.RWMutex
	all map[C]struct{}
}

func newClients[C comparable]() clients[C] { return clients[C]{all: make(map[C]struct{})} }

func (s *clients[C]) add(c C) {
	s.mu.Lock()
	s.all[c] = struct{}{}
	s.mu.Unlock()
}

func (s *clients[C]) remove(c C) {
	s.mu.Lock()
	delete(s.all, c)
	s.mu.Unlock()
}

// each calls f for every client; f must not add or remove one.
func (s *clients[C]) each(f func(C)) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for c := range s.all {
		f(c)
	}
}

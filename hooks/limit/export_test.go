package limit

// Kept returns how many entries for addresses l keeps.
func Kept(l *Limiter) (n int) {
	for i := range l.addresses.shards {
		s := &l.addresses.shards[i]
		s.mu.Lock()
		n += len(s.clients) + len(s.fresh) + len(s.aged)
		s.mu.Unlock()
	}
	return n
}

// Windows returns how many clients l keeps a window for.
func Windows(l *Limiter) (n int) {
	for i := range l.windows.shards {
		s := &l.windows.shards[i]
		s.mu.Lock()
		n += len(s.clients)
		s.mu.Unlock()
	}
	return n
}

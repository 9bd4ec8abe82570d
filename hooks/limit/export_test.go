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

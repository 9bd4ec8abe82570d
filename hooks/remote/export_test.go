package remote

// Known returns how many clients r remembers.
func Known(r *Router) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.clients)
}

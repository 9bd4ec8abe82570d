package remote

import (
	"net/netip"
	"time"
)

// LobbySize is how many may wait to show who they are.
const LobbySize = lobbySize

// ListenAbroad is Listen with other ideas of which addresses are this
// computer's own, and of patience, if they are not zero.
func ListenAbroad(cfg Config, home func(netip.Addr) bool, patient time.Duration) (*Router, error) {
	if patient == 0 {
		patient = patience
	}
	return listen(cfg, home, patient)
}

// Known returns how many clients r remembers.
func Known(r *Router) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.clients)
}

// LowerDescriptors has r turn connections away whose descriptors have this number
// or a higher one.
func LowerDescriptors(r *Router, n int) { r.worker.descriptors, r.task.descriptors = n, n }

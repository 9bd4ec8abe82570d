package limit

import (
	"sync/atomic"

	"github.com/sluicegate/sluice/hooks"
)

// Stats is what a Limiter has counted. See [Limiter.Stats].
type Stats struct {
	// Clients is how many there are, handshakes included. One that is being
	// refused may be among them for a moment.
	Clients int
	// Limits are the rates in force, per second. Zero means no limit.
	Limits hooks.Limits
	// Refused is what was refused since New.
	Refused Refused
}

// Refused is what each limit has refused, named as in [Config]. Whatever is
// refused is counted by one of them: that whose error the Limiter has returned.
type Refused struct {
	// Handshakes.
	MaxClients, OnOpen, IPClients, IPOpens int64
	// Messages.
	ClientMessages, OnMessage int64
}

// Stats returns what l has counted. Each number is exact, and read for itself:
// between two of them others may have changed. It may be called on any goroutine.
func (l *Limiter) Stats() Stats {
	r, set := &l.refused, l.inForce.Load()
	return Stats{
		Clients: int(l.clients.Load()),
		Limits:  hooks.Limits{OnOpen: set.OnOpen, OnMessage: set.OnMessage},
		Refused: Refused{
			MaxClients: r.maxClients.Load(), OnOpen: r.onOpen.Load(), IPClients: r.ipClients.Load(), IPOpens: r.ipOpens.Load(),
			ClientMessages: r.clientMessages.Load(), OnMessage: r.onMessage.Load(),
		},
	}
}

// refused counts. None of it is touched for what is admitted.
type refused struct {
	maxClients, onOpen, ipClients, ipOpens, clientMessages, onMessage atomic.Int64
}

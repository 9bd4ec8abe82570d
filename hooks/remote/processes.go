package remote

import (
	"slices"
	"strings"
	"time"

	"github.com/sluicegate/sluice/protocol"
)

// ProcessInfo is what a Router knows of one business process.
type ProcessInfo struct {
	// ConnID names the registration, in the process and in the log.
	ConnID string
	// RemoteAddr is the process's end of its worker connection.
	RemoteAddr string
	// Events are the kinds of event that it has registered for: "open",
	// "message" and "close".
	Events []string
	// Clients is how many clients' events go to it, of those that have come while
	// a process was registered. With RoundRobin no client's always do.
	Clients int
	// QueuedEvents are the events that wait to be sent to it, and QueuedBytes
	// what they hold, answers to its own commands included.
	QueuedEvents, QueuedBytes int
	// Sent counts the events that its socket has taken whole.
	Sent int64
	// Since is when it has registered.
	Since time.Time
	// Leaving says that it has unregistered and may not have finished.
	Leaving bool
}

// Processes returns the business processes that are registered, or that leave and
// are connected still, in the order in which they came. The slice is the caller's.
func (r *Router) Processes() []ProcessInfo {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []ProcessInfo
	for w := range r.workers {
		p := w.proc
		if p == nil {
			continue
		}
		all = append(all, ProcessInfo{
			ConnID: p.connID, RemoteAddr: w.conn.RemoteAddr().String(), Events: p.kinds(),
			Clients:      p.clients,
			QueuedEvents: w.events, QueuedBytes: w.unsent, Sent: int64(p.sent), Since: p.since, Leaving: p.state != active,
		})
	}
	slices.SortFunc(all, func(a, b ProcessInfo) int {
		if c := a.Since.Compare(b.Since); c != 0 {
			return c
		}
		return strings.Compare(a.ConnID, b.ConnID)
	})
	return all
}

// kinds returns the names of the events that p has registered for.
func (p *process) kinds() (names []string) {
	for _, e := range []struct {
		bit  protocol.Event_Bit
		name string
	}{{protocol.Event_OnOpen, "open"}, {protocol.Event_OnMessage, "message"}, {protocol.Event_OnClose, "close"}} {
		if p.events&int32(e.bit) != 0 {
			names = append(names, e.name)
		}
	}
	return names
}

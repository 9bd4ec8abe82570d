package remote

import (
	"net"

	"github.com/sluicegate/sluice/internal/sampled"
)

// noise bounds how much business processes and clients can have logged.
type noise struct {
	cut, registered, unregistered, died, left,
	expired, notUnderstood, notSent, failed, panics sampled.Event
}

// processBurst is how many records there may be at once of what comes and goes with
// a business process: a gateway has few of them, and who operates it wants to hear
// of each.
const processBurst = 100

// expect has room for so many processes that come or go at once.
func (n *noise) expect(processes int) {
	for _, e := range []*sampled.Event{&n.cut, &n.registered, &n.unregistered, &n.died, &n.left} {
		e.Burst = processes
	}
}

// logOpened logs that a connection was let in.
func (r *Router) logOpened(listener string, conn net.Conn) {
	r.log.Debug("business connection opened", "listener", listener, "remoteAddr", conn.RemoteAddr().String())
}

func (r *Router) logRegistered(conn net.Conn, p *process) {
	if n, ok := r.noise.registered.Next(); ok {
		r.log.Info("business process registered", "connId", p.connID, "remoteAddr", conn.RemoteAddr().String(),
			"wants", p.events&knownEvents, "suppressed", n)
	}
}

func (r *Router) logUnregistered(conn net.Conn, p *process) {
	if n, ok := r.noise.unregistered.Next(); ok {
		r.log.Info("business process unregistered", "connId", p.connID, "remoteAddr", conn.RemoteAddr().String(), "suppressed", n)
	}
}

// logGone logs that the connection of a process has ended: that the process has
// died if it was registered still, and that it has left if not, or if it is the
// gateway that ends.
func (r *Router) logGone(conn net.Conn, p *process, registered bool, unsent int, doubt uint64, cause error) {
	if registered {
		if n, ok := r.noise.died.Next(); ok {
			r.log.Warn("business process died", "connId", p.connID, "remoteAddr", conn.RemoteAddr().String(), "error", cause,
				"sent", p.sent, "unsent", unsent, "inDoubt", doubt, "suppressed", n)
		}
		return
	}
	if n, ok := r.noise.left.Next(); ok {
		r.log.Info("business process left", "connId", p.connID, "remoteAddr", conn.RemoteAddr().String(), "error", cause,
			"sent", p.sent, "unsent", unsent, "inDoubt", doubt, "suppressed", n)
	}
}

package remote

import (
	"net"
	"time"
)

// settleTick is how often settle looks.
const settleTick = 5 * time.Millisecond

// settleAfter settles a process that has unregistered and does not end its
// connection, unless it registers again.
func (r *Router) settleAfter(p *process, birth uint64) {
	t := time.NewTimer(r.cfg.Handover)
	defer t.Stop()
	select {
	case <-t.C:
	case <-p.conn.ended:
		return // settle has it in hand
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if p.state == leaving && p.birth == birth {
		r.settled(p)
	}
}

// settle waits until what a process that is gone has commanded is carried out,
// as far as it has arrived: until those of its task connections, or whoever's
// from its address, have nothing more to read. They have twice in a row, as one
// may be just between reading and carrying out, or be made but not yet accepted.
func (r *Router) settle(p *process) {
	deadline := time.Now().Add(r.cfg.Handover)
	t := time.NewTicker(settleTick)
	defer t.Stop()
	for quiet := 0; quiet < 2 && time.Now().Before(deadline); {
		<-t.C
		quiet++
		for _, task := range r.tasksFrom(p.conn.conn.RemoteAddr()) {
			if !task.drained() {
				quiet = 0
			}
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.settled(p)
}

// settled lets p's clients go to another process.
func (r *Router) settled(p *process) {
	p.state = gone
	r.release()
}

// tasksFrom returns the task connections that there are from an address. A
// connection does not say which process it belongs to.
func (r *Router) tasksFrom(remote net.Addr) (tasks []*taskConn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	from := hostOf(remote)
	for t := range r.tasks {
		if hostOf(t.conn.RemoteAddr()) == from {
			tasks = append(tasks, t)
		}
	}
	return tasks
}

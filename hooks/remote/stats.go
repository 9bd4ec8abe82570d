package remote

// Stats is what a Router has counted since it was made, and what is now. Every
// event that it was given, and does not wait for room with, is in Sent, Queued,
// Waiting or one of the drops.
type Stats struct {
	// Processes is how many registrations there are, Tasks how many task
	// connections.
	Processes, Tasks int
	// Sent counts events that a process's socket has taken whole.
	Sent int64
	// Waiting counts events in the buffer, WaitingBytes what they hold.
	Waiting, WaitingBytes int
	// Queued counts events that are in the queues of processes.
	Queued int
	// DroppedUnclaimed counts events for which no process was registered, or
	// came within the time that the buffer allows.
	DroppedUnclaimed int64
	// DroppedFull counts events for which neither the process's queue nor
	// the buffer had room.
	DroppedFull int64
	// DroppedStopped counts events that the gateway's end left over.
	DroppedStopped int64
	// InDoubt counts events that a process which died was sent and did not
	// report as handled: at least those that it has not handled, and some
	// that it has. Only processes that report, as those of package business
	// do, are known so well.
	InDoubt int64
	// Commands counts commands that were carried out.
	Commands int64
	// Malformed counts packets that were not understood.
	Malformed int64
	// Strangers is how many connections there are whose peers have yet to
	// show who they are, by TLS or the secret.
	Strangers int
	// Refused counts connections that were closed as their peers did not
	// show it, or not in time, or showed something else.
	Refused int64
}

type dropReason uint8

const (
	dropUnclaimed dropReason = iota
	dropFull
	dropStopped
	dropReasons
)

type counts struct {
	sent, inDoubt, commands, malformed, refused int64
	dropped                                     [dropReasons]int64
	queued                                      int
}

// Stats returns the counts so far.
func (r *Router) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := Stats{
		Processes: len(r.active), Tasks: len(r.tasks), Sent: r.counts.sent,
		Waiting: len(r.held), WaitingBytes: r.heldSize, Queued: r.counts.queued,
		DroppedUnclaimed: r.counts.dropped[dropUnclaimed], DroppedFull: r.counts.dropped[dropFull],
		DroppedStopped: r.counts.dropped[dropStopped], InDoubt: r.counts.inDoubt,
		Commands: r.counts.commands, Malformed: r.counts.malformed, Refused: r.counts.refused,
	}
	for _, d := range r.doors() {
		s.Strangers += d.strangers.size() + d.guests.size()
	}
	for t := range r.tasks {
		s.Commands += t.commands.Load()
		s.Malformed += t.malformed.Load()
	}
	return s
}

// FailedSends returns how many events have not reached a process, or are in
// doubt: item 10 of the metrics. It implements hooks.Forwarder.
func (r *Router) FailedSends() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.counts.inDoubt
	for _, d := range r.counts.dropped {
		n += d
	}
	return n
}

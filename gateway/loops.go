package gateway

import (
	"cmp"
	"slices"
	"sync"

	"github.com/sluicegate/sluice/transport"
)

// LoopStats is what one loop of a transport does.
type LoopStats struct {
	// Transport is the transport's place in Config.Transports.
	Transport int
	// LoopStats is what the transport tells of it.
	transport.LoopStats
}

// loopMeters knows how to ask the loops.
type loopMeters struct {
	mu  sync.Mutex
	all []loopMeter
}

type loopMeter struct {
	transport int
	loop      transport.Loop
	read      func() transport.LoopStats
}

// of returns what the loops of a transport are made known by.
func (l *loopMeters) of(transportIndex int) func(transport.Loop, func() transport.LoopStats) {
	return func(loop transport.Loop, read func() transport.LoopStats) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.all = append(l.all, loopMeter{transportIndex, loop, read})
	}
}

// inUse returns the loops that have connections.
func (l *loopMeters) inUse() (loops []transport.Loop) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.all {
		if m.read().Connections > 0 {
			loops = append(loops, m.loop)
		}
	}
	return loops
}

func (l *loopMeters) stats() []LoopStats {
	l.mu.Lock()
	all := slices.Clone(l.all)
	l.mu.Unlock()
	s := make([]LoopStats, len(all))
	for i, m := range all {
		s[i] = LoopStats{Transport: m.transport, LoopStats: m.read()}
	}
	slices.SortFunc(s, func(a, b LoopStats) int { return cmp.Or(a.Transport-b.Transport, a.Index-b.Index) })
	return s
}

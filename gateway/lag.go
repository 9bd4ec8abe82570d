package gateway

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/internal/histogram"
	"github.com/sluicegate/sluice/transport"
)

// lagEvery is how often each loop that has clients is asked how late it is.
const lagEvery = time.Second

// lag is how long loops take to get to a task that is posted to them: what a client
// waits besides the network's time, and a business process for its commands.
type lag struct {
	times *histogram.Histogram

	mu  sync.Mutex
	out map[transport.Loop]*lagProbe // not run yet
}

func newLag() lag {
	return lag{
		out: make(map[transport.Loop]*lagProbe),
		times: histogram.Durations(
			50*time.Microsecond, 100*time.Microsecond, 250*time.Microsecond, 500*time.Microsecond,
			time.Millisecond, 2500*time.Microsecond, 5*time.Millisecond, 10*time.Millisecond, 25*time.Millisecond,
			50*time.Millisecond, 100*time.Millisecond, 250*time.Millisecond, 500*time.Millisecond,
			time.Second, 2500*time.Millisecond, 5*time.Second, 10*time.Second),
	}
}

// A lagProbe is a task that notes how long it has waited.
type lagProbe struct {
	lag    *lag
	posted time.Time
	over   atomic.Bool
}

// Run implements transport.Task.
func (p *lagProbe) Run(int) (steps int, done bool) {
	p.lag.times.Observe(int64(time.Since(p.posted)))
	p.over.Store(true)
	return 1, true
}

// Weight implements transport.Task.
func (p *lagProbe) Weight() (recipients, bytes int) { return 1, 0 }

// Drop implements transport.Task.
func (p *lagProbe) Drop() { p.over.Store(true) }

// watchLag asks the loops again and again until stop is called.
func (g *Gateway) watchLag() (stop func()) {
	ended := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		tick := time.NewTicker(lagEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				g.lag.ask(g.loops.inUse())
			case <-ended:
				return
			}
		}
	})
	return func() {
		close(ended)
		watching.Wait()
	}
}

// ask posts a probe to each of the loops that has answered its last one.
func (l *lag) ask(loops []transport.Loop) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for loop, p := range l.out {
		if p.over.Load() {
			delete(l.out, loop)
		}
	}
	for _, loop := range loops {
		if l.out[loop] != nil {
			continue
		}
		p := &lagProbe{lag: l, posted: time.Now()}
		l.out[loop] = p
		if loop.PostAlways(p) != nil { // it has ended
			delete(l.out, loop)
		}
	}
}

// late returns how long the slowest loop has not got to its probe, if a probe is out.
func (l *lag) late() (longest time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.out {
		if !p.over.Load() {
			longest = max(longest, time.Since(p.posted))
		}
	}
	return longest
}

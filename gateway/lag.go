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
	out map[transport.Loop]*knock // not answered yet
}

func newLag() lag {
	return lag{
		out: make(map[transport.Loop]*knock),
		times: histogram.Durations(
			50*time.Microsecond, 100*time.Microsecond, 250*time.Microsecond, 500*time.Microsecond,
			time.Millisecond, 2500*time.Microsecond, 5*time.Millisecond, 10*time.Millisecond, 25*time.Millisecond,
			50*time.Millisecond, 100*time.Millisecond, 250*time.Millisecond, 500*time.Millisecond,
			time.Second, 2500*time.Millisecond, 5*time.Second, 10*time.Second),
	}
}

// A knock is a task that shows that its loop does its work, and after how long.
type knock struct {
	since    time.Time
	times    *histogram.Histogram // if it is to be noted
	answered atomic.Bool
	reported bool // by the watch, whose own it is
}

// knockAt posts a knock to l. A loop that has ended has answered.
func knockAt(l transport.Loop, times *histogram.Histogram) *knock {
	k := &knock{since: time.Now(), times: times}
	if l.PostAlways(k) != nil {
		k.Drop()
	}
	return k
}

// Run implements transport.Task.
func (k *knock) Run(int) (steps int, done bool) {
	if k.times != nil {
		k.times.Observe(int64(time.Since(k.since)))
	}
	k.answered.Store(true)
	return 1, true
}

// Weight implements transport.Task.
func (k *knock) Weight() (recipients, bytes int) { return 1, 0 }

// Drop implements transport.Task.
func (k *knock) Drop() { k.answered.Store(true) }

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

// ask knocks at each of the loops that has answered the last time.
func (l *lag) ask(loops []transport.Loop) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for loop, k := range l.out {
		if k.answered.Load() {
			delete(l.out, loop)
		}
	}
	for _, loop := range loops {
		if l.out[loop] == nil {
			l.out[loop] = knockAt(loop, l.times)
		}
	}
}

// late returns how long the slowest loop has not answered, 0 if all have.
func (l *lag) late() (longest time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range l.out {
		if !k.answered.Load() {
			longest = max(longest, time.Since(k.since))
		}
	}
	return longest
}

package gateway

import (
	"context"
	"sync"
	"time"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/clock"
)

// every calls f each time d has passed, until stop is called, which waits for a
// call that is under way.
func every(c hooks.Clock, d time.Duration, f func()) (stop func()) {
	var (
		mu      sync.Mutex
		stopped bool
		cancel  func() bool
		tick    func()
	)
	tick = func() {
		mu.Lock()
		defer mu.Unlock()
		if !stopped {
			f()
			cancel = c.AfterFunc(d, tick)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	cancel = c.AfterFunc(d, tick)
	return func() {
		mu.Lock()
		defer mu.Unlock()
		stopped = true
		cancel()
	}
}

// withTimeout is context.WithTimeout by the gateway's clock, for a call that
// runs aside.
func (g *Gateway) withTimeout(parent context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if _, ok := g.cfg.Clock.(clock.System); ok {
		return context.WithTimeout(parent, timeout)
	}
	ctx := &timeoutContext{Context: parent, done: make(chan struct{})}
	due := g.workers.excuse()
	stop := g.cfg.Clock.AfterFunc(timeout, func() {
		due()
		ctx.end(context.DeadlineExceeded)
	})
	unlink := context.AfterFunc(parent, func() { ctx.end(parent.Err()) })
	return ctx, func() {
		stop()
		unlink()
		due()
		ctx.end(context.Canceled)
	}
}

// timeoutContext is a context whose time is up when its clock says so. It states
// no deadline, as whoever asks for one compares it with the system's clock.
type timeoutContext struct {
	context.Context // the parent
	done            chan struct{}

	mu  sync.Mutex
	err error
}

func (c *timeoutContext) Done() <-chan struct{}       { return c.done }
func (c *timeoutContext) Deadline() (time.Time, bool) { return time.Time{}, false }

func (c *timeoutContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

func (c *timeoutContext) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
		close(c.done)
	}
}

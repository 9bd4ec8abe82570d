package pipe

import (
	"context"
	"time"
)

// Rest waits until the loops have done all that there is to do: everything that
// clients wrote is read, and everything that was posted is run and written, as
// far as clients read. Loops that are frozen are passed over. It returns how
// often the loops have had something to do so far: if two calls return the same,
// they had nothing to do in between. Its error is that of ctx.
func (t *Transport) Rest(ctx context.Context) (passes uint64, err error) {
	for _, l := range t.serving() {
		n, err := l.rest(ctx)
		if err != nil {
			return 0, err
		}
		passes += n
	}
	return passes, nil
}

// Next returns how far Advance must move the clock for the next time-out of a
// connection to come, as things stand, or false if none will. Loops that are
// frozen are passed over. It waits for loops that are busy.
func (t *Transport) Next() (d time.Duration, ok bool) {
	t.mu.Lock()
	now, loops := t.now, t.loops
	t.mu.Unlock()
	for _, l := range loops {
		at, some := l.next()
		if left := max(0, at.Sub(now)); some && (!ok || left < d) {
			d, ok = left, true
		}
	}
	return d, ok
}

// Freeze has the loops stand still, as if a handler that must not block did, and
// returns when they do. Meanwhile they read nothing, write nothing, and what is
// posted to them waits. They go on when thaw is called, or when Serve's context
// ends.
func (t *Transport) Freeze() (thaw func()) {
	loops := t.serving()
	for _, l := range loops {
		l.freeze()
	}
	return func() {
		for _, l := range loops {
			l.signal(func() { l.frozen = false })
		}
	}
}

func (t *Transport) serving() []*eventLoop {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.loops
}

func (l *eventLoop) rest(ctx context.Context) (passes uint64, err error) {
	stop := context.AfterFunc(ctx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.stills.Broadcast()
	})
	defer stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.still || l.due() && !l.frozen && !l.stopped {
		if err := ctx.Err(); err != nil {
			return l.passes, err
		}
		l.stills.Wait()
	}
	return l.passes, nil
}

// next returns the time of the loop's next time-out.
func (l *eventLoop) next() (at time.Time, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.still {
		l.stills.Wait()
	}
	if l.frozen || l.stopped {
		return at, false
	}
	elapsed, ok := l.core.Next()
	return l.began.Add(elapsed), ok
}

func (l *eventLoop) freeze() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.frozen = true
	for !l.still {
		l.stills.Wait()
	}
}

package load

import (
	"context"
	"time"
)

// A pace is the schedule of an open loop: what is due when, whether or not the
// server keeps up.
type pace struct {
	now        func() time.Duration
	start, end time.Duration
	rate       float64 // per second
}

// pace is the schedule of the phase that begins now.
func (r *run) pace() pace {
	start := r.meter.now()
	return pace{r.meter.now, start, start + r.cfg.For, r.cfg.Rate}
}

// await waits until number i is due. It is false if that is after the end, or ctx
// has ended.
func (p pace) await(ctx context.Context, i int64) bool {
	due := p.at(i)
	return due < p.end && sleepUntil(ctx, p.now, due) == nil
}

// at is when number i is due, from 0.
func (p pace) at(i int64) time.Duration {
	return p.start + time.Duration(float64(i)/p.rate*float64(time.Second))
}

// sleepStep bounds how long a sleeper does not look whether it is to go on.
const sleepStep = 100 * time.Millisecond

// sleepUntil sleeps until a time by now. Its error is ctx's.
func sleepUntil(ctx context.Context, now func() time.Duration, until time.Duration) error {
	for ctx.Err() == nil {
		rest := until - now()
		if rest <= 0 {
			return nil
		}
		time.Sleep(min(rest, sleepStep))
	}
	return ctx.Err()
}

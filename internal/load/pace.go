package load

import (
	"context"
	"time"
)

// A pace is the schedule of an open loop: what is due when, whether or not the
// server keeps up.
type pace struct {
	start time.Duration
	rate  float64 // per second
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

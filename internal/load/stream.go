package load

import (
	"context"
	"time"
)

// A stream is one sender's messages, by way of the task connection.
type stream struct {
	r     *run
	limit int64                         // deliveries under way at which a closed loop still sends
	push  func(due time.Duration) error // adds a message
	flush func() error                  // sends what was added
}

// play sends until ctx ends.
func (s *stream) play(ctx context.Context) error {
	if s.r.cfg.Rate > 0 {
		return s.open(ctx)
	}
	return s.closed(ctx)
}

// closed keeps so many messages under way. All that there is room for goes in one
// write.
func (s *stream) closed(ctx context.Context) error {
	for s.r.window.wait(ctx, s.limit) == nil {
		for s.r.window.under.Load() <= s.limit {
			if err := s.push(s.r.meter.now()); err != nil {
				return err
			}
		}
		if err := s.flush(); err != nil {
			return err
		}
	}
	return nil
}

// open sends to a schedule. All that is due goes in one write.
func (s *stream) open(ctx context.Context) error {
	all := s.r.pace()
	for i := int64(0); all.await(ctx, i); {
		for now := min(s.r.meter.now(), all.end-1); all.at(i) <= now; i++ {
			if err := s.push(all.at(i)); err != nil {
				return err
			}
		}
		if err := s.flush(); err != nil {
			return err
		}
	}
	return nil
}

package load

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// storm is clients that connect and leave at once.
type storm struct {
	r              *run
	opened, failed atomic.Int64
	mu             sync.Mutex
	failure        error // one of those
}

func (s *storm) prepare(context.Context) error { return nil }

func (s *storm) play(ctx context.Context) error {
	var begun atomic.Int64
	all := s.r.pace()
	var workers sync.WaitGroup
	for i := range s.r.cfg.Parallel {
		shard := s.r.meter.shard(i)
		workers.Go(func() {
			for ctx.Err() == nil {
				due := s.r.meter.now()
				if s.r.cfg.Rate > 0 {
					i := begun.Add(1) - 1
					if !all.await(ctx, i) {
						return
					}
					due = all.at(i)
				}
				s.one(ctx, shard, due)
			}
		})
	}
	workers.Wait()
	if s.opened.Load() == 0 {
		return s.failure
	}
	if s.failure != nil {
		s.r.note("handshakes failed, one of them so: %v", s.failure)
	}
	return nil
}

// pauseAfterFailure keeps a storm on a server that is gone from being a spin.
const pauseAfterFailure = 10 * time.Millisecond

func (s *storm) one(ctx context.Context, shard *shard, due time.Duration) {
	// One that is under way at the end is done, as it has cost something.
	conn, _, err := s.r.target.dial.open(context.WithoutCancel(ctx))
	now := s.r.meter.now()
	if err != nil {
		s.failed.Add(1)
		s.mu.Lock()
		s.failure = err
		s.mu.Unlock()
		_ = sleepUntil(ctx, s.r.meter.now, now+pauseAfterFailure)
		return
	}
	_ = conn.Close()
	s.opened.Add(1)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	shard.record(0, due, now)
}

func (s *storm) counts() []Count {
	return []Count{
		{"begun", s.opened.Load() + s.failed.Load()}, {"opened", s.opened.Load()}, {"failed", s.failed.Load()},
	}
}

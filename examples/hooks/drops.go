package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/sluicegate/sluice/hooks"
)

// drops adds up what was not delivered and logs it once a second, if there was
// anything: when messages are dropped, there are often many of them.
type drops struct {
	log *slog.Logger

	mu  sync.Mutex
	sum map[hooks.DropReason]hooks.DropEvent // since the last time
}

// Dropped implements hooks.DropObserver. It comes in the middle of whatever the
// gateway does, and so it only counts.
func (d *drops) Dropped(e hooks.DropEvent) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sum == nil {
		d.sum = make(map[hooks.DropReason]hooks.DropEvent)
	}
	s := d.sum[e.Reason]
	s.Messages += e.Messages
	s.Bytes += e.Bytes
	d.sum[e.Reason] = s
}

// Run implements hooks.Runner. What is dropped last is logged when it ends.
func (d *drops) Run(ctx context.Context, _ hooks.Bus) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			d.report()
		case <-ctx.Done():
			d.report()
			return nil
		}
	}
}

// report logs one line for all reasons.
func (d *drops) report() {
	d.mu.Lock()
	sum := d.sum
	d.sum = nil
	d.mu.Unlock()
	if len(sum) == 0 {
		return
	}
	var attrs []any
	for reason, s := range sum {
		attrs = append(attrs, slog.Group(string(reason), "messages", s.Messages, "bytes", s.Bytes))
	}
	d.log.Warn("dropped", attrs...)
}

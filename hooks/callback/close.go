package callback

import (
	"context"
	"sync"
	"time"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/wire"
)

// Closed has the CloseURL told of a client that left. It never waits. It
// implements hooks.CloseObserver.
func (h *Hook) Closed(e hooks.CloseEvent) {
	if h.cfg.CloseURL == "" {
		return
	}
	h.mu.Lock()
	full := len(h.closes) >= h.cfg.CloseQueue || h.ended
	if !full {
		h.closes = append(h.closes, e)
	}
	h.mu.Unlock()
	if full {
		h.stats.closesDropped.Add(1)
		h.nag.Do(func() {
			h.cfg.Logger.Warn("close callback dropped: too many wait, or the gateway has ended", "uniqId", e.UniqID, "url", h.cfg.CloseURL)
		})
		return
	}
	h.signal()
}

func (h *Hook) signal() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// Run posts closes until ctx ends, and then those that wait, as far as the
// Timeout allows. The gateway calls it; it implements hooks.Runner.
func (h *Hook) Run(ctx context.Context, _ hooks.Bus) error {
	posting, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	var workers sync.WaitGroup
	for range max(1, h.cfg.InFlight/4) {
		workers.Go(func() { h.work(ctx, posting) })
	}
	<-ctx.Done()
	late := time.AfterFunc(h.cfg.Timeout, giveUp)
	defer late.Stop()
	workers.Wait()

	h.mu.Lock()
	h.ended = true
	left := len(h.closes)
	h.closes = nil
	h.mu.Unlock()
	if left > 0 {
		h.stats.closesDropped.Add(int64(left))
		h.cfg.Logger.Warn("close callbacks dropped: the gateway has ended", "closes", left, "url", h.cfg.CloseURL)
	}
	if h.own != nil {
		h.own.CloseIdleConnections()
	}
	return nil
}

// work posts closes. When ctx has ended it goes on until none waits.
func (h *Hook) work(ctx, posting context.Context) {
	for posting.Err() == nil {
		e, ok := h.take()
		if ok {
			h.tell(posting, e)
			continue
		}
		select {
		case <-h.wake:
		case <-ctx.Done():
			return
		}
	}
}

// take returns the close that waits longest. If more wait, another worker is
// woken for them.
func (h *Hook) take() (e hooks.CloseEvent, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.closes) == 0 {
		return e, false
	}
	e = h.closes[0]
	h.closes[0] = hooks.CloseEvent{}
	if h.closes = h.closes[1:]; len(h.closes) > 0 {
		h.signal()
	} else {
		h.closes = nil
	}
	return e, true
}

// tell posts one close. Whatever is answered is ignored.
func (h *Hook) tell(ctx context.Context, e hooks.CloseEvent) {
	if _, _, err := h.post(ctx, h.cfg.CloseURL, wire.Close(e)); err != nil {
		h.stats.closesFailed.Add(1)
		h.nag.Do(func() { h.cfg.Logger.Warn("close callback failed", "uniqId", e.UniqID, "error", err) })
		return
	}
	h.stats.closes.Add(1)
}

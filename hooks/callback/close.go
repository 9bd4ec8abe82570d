package callback

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/wire"
)

// Closed has the CloseURL told of a client that left. It never waits, and keeps
// e.Topics until the endpoint is told. It implements hooks.CloseObserver.
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
	if !full {
		h.signal()
		return
	}
	h.stats.closesDropped.Add(1)
	// A log may block: Run writes it.
	select {
	case h.dropped <- e.UniqID:
	default:
	}
}

func (h *Hook) signal() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// Run posts closes until ctx ends, and then those that wait, as far as the
// Timeout allows; the rest is dropped and counted. The gateway calls it, once;
// it implements hooks.Runner. The error is that of a second call.
func (h *Hook) Run(ctx context.Context, _ hooks.Bus) error {
	if h.started.Swap(true) {
		return errors.New("callback: Run was called before; make another Hook with New for each gateway")
	}
	posting, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	var workers sync.WaitGroup
	if h.cfg.CloseURL != "" {
		for range max(1, h.cfg.InFlight/4) {
			workers.Go(func() { h.work(ctx, posting) })
		}
	}
	h.logDrops(ctx)
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
		h.cfg.Logger.Warn("close callbacks dropped: the gateway has ended", "closes", left, "url", redacted(h.cfg.CloseURL))
	}
	if h.own != nil {
		h.own.CloseIdleConnections()
	}
	return nil
}

// logDrops logs, at a bounded rate, closes that found the queue full, until ctx
// ends.
func (h *Hook) logDrops(ctx context.Context) {
	for {
		select {
		case id := <-h.dropped:
			h.nagDropped.Do(func() {
				h.cfg.Logger.Warn("close callback dropped: too many wait", "uniqId", id, "url", redacted(h.cfg.CloseURL),
					"droppedSoFar", h.stats.closesDropped.Load())
			})
		case <-ctx.Done():
			return
		}
	}
}

// work posts closes. When ctx has ended it goes on until none waits.
func (h *Hook) work(ctx, posting context.Context) {
	for posting.Err() == nil {
		// Asked before looking, so that no close from before the end is missed.
		ended := ctx.Err() != nil
		if e, ok := h.take(); ok {
			h.tell(posting, e)
			continue
		}
		if ended {
			return
		}
		select {
		case <-h.wake:
		case <-ctx.Done():
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

// tell posts one close. Whatever is answered is ignored. It waits for its place
// as long as it takes: the queue is bounded, and opens are bounded in time.
func (h *Hook) tell(ctx context.Context, e hooks.CloseEvent) {
	err := h.place(ctx)
	if err == nil {
		defer h.leave()
		ctx, cancel := context.WithTimeout(ctx, h.cfg.Timeout)
		defer cancel()
		err = h.post(ctx, h.cfg.CloseURL, wire.Close(e), func(resp *http.Response) error {
			drain(resp)
			return nil
		})
	}
	if err != nil {
		h.stats.closesFailed.Add(1)
		h.nagFailed.Do(func() {
			h.cfg.Logger.Warn("close callback failed", "uniqId", e.UniqID, "error", err, "failedSoFar", h.stats.closesFailed.Load())
		})
		return
	}
	h.stats.closes.Add(1)
}

package callback

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/sampled"
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
	h.report(&h.sayDropped, e.UniqID, nil)
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
	last, logged := make(chan int, 1), make(chan struct{})
	go func() {
		h.writeLog(last)
		close(logged)
	}()
	<-ctx.Done()
	late := time.AfterFunc(h.cfg.Timeout, giveUp)
	defer late.Stop()
	workers.Wait()

	h.mu.Lock()
	h.ended = true
	left := len(h.closes)
	h.closes = nil
	h.mu.Unlock()
	h.stats.closesDropped.Add(int64(left))
	if h.own != nil {
		h.own.CloseIdleConnections()
	}
	last <- left
	patience := time.NewTimer(h.cfg.Timeout)
	defer patience.Stop()
	select {
	case <-logged:
	case <-patience.C: // the log blocks, and its goroutine is left behind
	}
	return nil
}

// failure is a close that was not posted, on its way to the log.
type failure struct {
	uniqID     string
	err        error // nil if it was not tried
	suppressed int64
}

// logWaits is how many failures may wait to be logged.
const logWaits = 16

// report has a failure logged, now and then. A log may block: a goroutine of Run's
// writes it.
func (h *Hook) report(say *sampled.Event, uniqID string, err error) {
	n, ok := say.Next()
	if !ok {
		return
	}
	select {
	case h.log <- failure{uniqID, err, n}:
	default:
		say.Unwritten(n)
	}
}

// writeLog writes the log until it is told how many closes were left at the end. It
// does so alone: if the Logger blocks, nothing else does.
func (h *Hook) writeLog(last <-chan int) {
	for {
		select {
		case f := <-h.log:
			h.logFailure(f)
		case left := <-last:
			h.logLast(left)
			return
		}
	}
}

func (h *Hook) logLast(left int) {
	for {
		select {
		case f := <-h.log:
			h.logFailure(f)
			continue
		default:
		}
		if left > 0 {
			h.cfg.Logger.Warn("close callbacks given up", "closes", left, "url", redacted(h.cfg.CloseURL))
		}
		return
	}
}

func (h *Hook) logFailure(f failure) {
	if f.err == nil {
		h.cfg.Logger.Warn("close callback dropped", "uniqId", f.uniqID, "url", redacted(h.cfg.CloseURL), "suppressed", f.suppressed)
		return
	}
	h.cfg.Logger.Warn("close callback failed", "uniqId", f.uniqID, "error", f.err, "suppressed", f.suppressed)
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
		h.report(&h.sayFailed, e.UniqID, err)
		return
	}
	h.stats.closes.Add(1)
}

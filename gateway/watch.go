package gateway

import (
	"bytes"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/transport"
)

// A shift is a goroutine that makes calls of the host's code, one after the other.
// The watch sees in it whether a call goes on and on, at the cost of two counts a
// call and no look at a clock.
type shift struct {
	goroutine string
	calls     atomic.Uint64 // begun and ended together: odd while one is under way
	client    atomic.Pointer[peer]

	// The watch's own: what calls was when it last looked, since when, and
	// whether it has said so.
	seen     uint64
	since    time.Time
	reported bool
}

func newShift() *shift { return &shift{goroutine: goroutineID()} }

// begin notes that a call begins; p may be nil.
func (s *shift) begin(p *peer) {
	s.client.Store(p)
	s.calls.Add(1)
}

func (s *shift) end() { s.calls.Add(1) }

// goroutineID returns how a dump of stacks names the calling goroutine.
func goroutineID() string {
	var buf [64]byte
	id, _, _ := bytes.Cut(buf[:runtime.Stack(buf[:], false)], []byte(" ["))
	return string(id)
}

// A watch reports calls of the host's code that do not return: those on workers
// and of Authenticators and Admitters one by one, and event loops that do not get
// to their tasks, be it for an inline Router's or a hook's sake.
type watch struct {
	g     *Gateway
	after time.Duration
	loops map[transport.Loop]*knock
	stuck atomic.Int64 // calls and loops that are late now
}

const (
	// watchLooks is how often the watch looks within the time that a call has.
	watchLooks = 4
	// reportsAtOnce bounds what one look logs, and dumpLimit the stacks that it
	// has the runtime write, in bytes.
	reportsAtOnce = 8
	dumpLimit     = 4 << 20
)

// watchHandlers looks after calls until stop is called.
func (g *Gateway) watchHandlers() (stop func()) {
	if g.cfg.StuckAfter < 0 {
		return func() {}
	}
	w := &g.watch
	w.g, w.after, w.loops = g, g.cfg.StuckAfter, make(map[transport.Loop]*knock)
	ended := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		tick := time.NewTicker(max(time.Millisecond, w.after/watchLooks))
		defer tick.Stop()
		for {
			select {
			case now := <-tick.C:
				w.look(now)
			case <-ended:
				return
			}
		}
	})
	return func() {
		close(ended)
		watching.Wait()
	}
}

// look reports what is late and has not been reported.
func (w *watch) look(now time.Time) {
	var late []func(stacks []byte)
	stuck := w.lateCalls(now, &late) + w.lateLoops(now, &late)
	w.stuck.Store(int64(stuck))
	if len(late) == 0 {
		return
	}
	stacks := make([]byte, dumpLimit)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for i, report := range late {
		if i == reportsAtOnce {
			w.g.log.Error("more handlers late", "handlers", len(late)-i, "timeout", w.after)
			break
		}
		report(stacks)
	}
}

func (w *watch) lateCalls(now time.Time, late *[]func([]byte)) (stuck int) {
	for _, s := range w.g.workers.onShift() {
		calls := s.calls.Load()
		if calls != s.seen || calls%2 == 0 {
			s.seen, s.since, s.reported = calls, now, false
			continue
		}
		if now.Sub(s.since) < w.after {
			continue
		}
		stuck++
		if s.reported {
			continue
		}
		s.reported = true
		*late = append(*late, func(stacks []byte) {
			uniqID := ""
			if p := s.client.Load(); p != nil {
				uniqID = p.UniqID()
			}
			w.g.log.Error("handler late", "uniqId", uniqID, "for", now.Sub(s.since).Round(time.Millisecond), "stack", stackWith(stacks, s.goroutine+" ["))
		})
	}
	return stuck
}

func (w *watch) lateLoops(now time.Time, late *[]func([]byte)) (stuck int) {
	inUse := w.g.loops.inUse()
	for l := range w.loops {
		if !slices.Contains(inUse, l) {
			delete(w.loops, l)
		}
	}
	for _, l := range inUse {
		k := w.loops[l]
		if k == nil || k.answered.Load() {
			w.loops[l] = knockAt(l, nil)
			continue
		}
		if now.Sub(k.since) < w.after {
			continue
		}
		stuck++
		if k.reported {
			continue
		}
		k.reported = true
		*late = append(*late, func(stacks []byte) {
			w.g.log.Error("loop held up", "loop", l.Index(), "for", now.Sub(k.since).Round(time.Millisecond),
				"stack", stackWith(stacks, "sluice/gateway.handler."), "hint", "a hook, or the Router if it is Inline, blocks on it")
		})
	}
	return stuck
}

// stackWith returns the first of the stacks that contains text.
func stackWith(stacks []byte, text string) string {
	for s := range bytes.SplitSeq(stacks, []byte("\n\n")) {
		if bytes.Contains(s, []byte(text)) {
			return string(s)
		}
	}
	return "not found among those of all goroutines"
}

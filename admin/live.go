package admin

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/hooks/limit"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/nethttp"
)

const (
	// interval is the time between samples, and window how many are kept: five
	// minutes, so that a page shows what was before it was opened.
	interval = time.Second
	window   = 300
	// maxPages bounds the pages that are open, and maxRequests what one of them
	// may ask in a second.
	maxPages    = 32
	maxRequests = 20
	// feed is the topic of samples and tables.
	feed = "live"
)

// live is the gateway within the Admin, with the page's WebSocket, and what it tells.
type live struct {
	cfg     Config
	log     *slog.Logger
	mounted http.Handler
	gw      *gateway.Gateway
	target  target // set before gw runs
	wake    chan struct{}
	now     func() time.Time

	mu           sync.Mutex
	before, last figures  // of the last two samples
	ring         []sample // at most window
	pages        map[string]page
	table        *tables // the last that were taken
}

// A page is an open one.
type page struct {
	remote string
	until  time.Time // zero if it may stay
}

func newLive(cfg Config) (*live, error) {
	l := &live{
		cfg: cfg, log: cfg.Logger, wake: make(chan struct{}, 1), now: time.Now,
		pages: make(map[string]page),
	}
	limiter, err := limit.New(limit.Config{
		MaxClients: maxPages, ClientMessages: maxRequests,
		ClientExceeded: &hooks.Disconnect{Code: 1013, Reason: "too many requests"},
	})
	if err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	mounted := nethttp.New(nethttp.Loops(1))
	l.mounted = mounted
	l.gw, err = gateway.New(gateway.Config{
		Transports: []transport.Transport{mounted},
		Router:     l, Hooks: []any{visitors{}}, Limiter: limiter,
		Compression: 1, MaxMessage: 16 << 10, InboxLimit: 256 << 10,
		WriteLimit: 4 << 20, // several of the largest messages
		Workers:    8, MemoryBudget: 64 << 20, DrainTime: -1,
		Logger: slog.New(warnings{cfg.Logger.Handler().WithAttrs([]slog.Attr{slog.String("within", "admin")})}),
	})
	if err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	return l, nil
}

// visitors is a hook of the gateway within: it keeps, as the session of a page, until
// when it may stay.
type visitors struct{}

func (visitors) Authenticate(ctx context.Context, _ *http.Request) (hooks.Identity, error) {
	if v := visitOf(ctx); !v.until.IsZero() {
		return hooks.Identity{Session: strconv.FormatInt(v.until.Unix(), 10)}, nil
	}
	return hooks.Identity{}, nil
}

// warnings passes on what is a warning or worse: that pages come and go, and that
// their gateway drains, would look as if it were of the one that is watched.
type warnings struct{ slog.Handler }

// Enabled implements slog.Handler.
func (w warnings) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && w.Handler.Enabled(ctx, level)
}

// WithAttrs implements slog.Handler.
func (w warnings) WithAttrs(attrs []slog.Attr) slog.Handler {
	return warnings{w.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (w warnings) WithGroup(name string) slog.Handler { return warnings{w.Handler.WithGroup(name)} }

// run serves pages until ctx ends.
func (l *live) run(ctx context.Context, t target) error {
	l.target = t
	l.last = l.read()
	ctx, stop := context.WithCancel(ctx)
	var reading sync.WaitGroup
	reading.Go(func() { l.sampling(ctx) })
	reading.Go(func() { l.tabling(ctx) })
	err := l.gw.Run(ctx)
	stop()
	reading.Wait()
	return err
}

// read reads the gateway.
func (l *live) read() figures {
	f := figures{at: l.now(), status: l.target.Status(), Stats: l.target.Stats()}
	if l.cfg.Metrics != nil {
		for _, h := range l.cfg.Metrics.HandlerTimes() {
			f.handlers = f.handlers.Plus(h)
		}
	}
	return f
}

// sampling takes samples until ctx ends, also while nobody looks: it costs
// some ten microseconds.
func (l *live) sampling(ctx context.Context) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			l.sample(ctx)
			l.expire(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// sample takes one.
func (l *live) sample(ctx context.Context) {
	now := l.read()
	l.mu.Lock()
	defer l.mu.Unlock()
	s := sampleOf(l.last, now)
	l.before, l.last = l.last, now
	if len(l.ring) == window {
		l.ring = append(l.ring[:0], l.ring[1:]...)
	}
	l.ring = append(l.ring, s)
	if len(l.pages) > 0 {
		s.Type = "sample"
		l.publish(ctx, s)
	}
}

// publish sends v to all pages. That it may fail as pages are slow, or leave, is no
// matter: they get the next one.
func (l *live) publish(ctx context.Context, v any) {
	_ = l.gw.Publish(ctx, []string{feed}, encode(v))
}

// expire closes pages whose cookie has come to its end.
func (l *live) expire(ctx context.Context) {
	now := l.now()
	var over []string
	l.mu.Lock()
	for id, p := range l.pages {
		if !p.until.IsZero() && !now.Before(p.until) {
			over = append(over, id)
		}
	}
	l.mu.Unlock()
	if len(over) > 0 {
		_ = l.gw.ForceOffline(ctx, over, nil) // who is gone is gone
	}
}

// Open implements hooks.Router for the gateway within: it welcomes a page.
func (l *live) Open(ctx context.Context, bus hooks.Bus, e hooks.OpenEvent) {
	p := page{remote: e.RemoteAddr}
	if info, err := bus.ConnInfo(ctx, []string{e.UniqID}, hooks.ConnInfoFields{Session: true}); err == nil {
		if s, err := strconv.ParseInt(info[e.UniqID].Session, 10, 64); err == nil {
			p.until = time.Unix(s, 0)
		}
	}
	h := hello{
		Type: "hello", Version: version, Name: l.cfg.Name, Actions: l.cfg.Actions, Token: l.cfg.Token != "",
		Handlers: l.cfg.Metrics != nil, Processes: l.cfg.Remote != nil,
		Interval: int(interval / time.Millisecond), Window: window,
	}
	l.mu.Lock()
	defer l.mu.Unlock() // until it is subscribed: no sample is missed or seen twice
	h.History, h.Tables = l.ring, l.table
	if len(l.pages) == 0 {
		h.Tables = nil // who knows how old
	}
	l.pages[e.UniqID] = p
	if err := bus.Subscribe(ctx, e.UniqID, []string{feed}, encode(h)); err != nil {
		l.log.Warn("admin page not served", "error", err)
	}
	select {
	case l.wake <- struct{}{}:
	default: // it is awake
	}
}

// Message implements hooks.Router for the gateway within: it answers a request.
func (l *live) Message(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
	l.mu.Lock()
	p := l.pages[e.UniqID]
	l.mu.Unlock()
	_ = bus.SingleCast(ctx, e.UniqID, encode(l.answer(ctx, p, e.Data))) // a page that left needs no answer
}

// Close implements hooks.Router for the gateway within.
func (l *live) Close(_ context.Context, _ hooks.Bus, e hooks.CloseEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.pages, e.UniqID)
}

// watched reports whether a page is open.
func (l *live) watched() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.pages) > 0
}

// Package callback tells an HTTP endpoint of clients that come and go, and lets
// it decide who may stay. It is for hosts that push to clients and need no
// business process; one that is registered gets its events besides.
//
//	hook, err := callback.New(callback.Config{OpenURL: "http://127.0.0.1:8000/open"})
//	if err != nil {
//		return err
//	}
//	gw, err := gateway.New(gateway.Config{Hooks: []any{hook}, …})
//
// On open the endpoint is sent a protocol.ConnOpen and answers with a
// protocol.ConnOpenResp; on close it is sent a protocol.ConnClose. Both are
// posted as application/x-protobuf.
package callback

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/sampled"
)

// Config says where and how to call. At least one URL must be set; the zero
// value of every other field is a safe default, and negative values are errors.
type Config struct {
	// OpenURL is asked whether a client may stay. Empty admits everybody.
	OpenURL string
	// CloseURL is told of clients that left. Empty tells nobody.
	CloseURL string
	// Timeout bounds one call with all attempts to connect, up to the end of
	// the answer, and for an open also the wait for its turn. At the end it
	// bounds how long Run goes on with closes, and then with a Logger that
	// blocks. Zero means 3 seconds.
	Timeout time.Duration
	// InFlight bounds the calls that are under way at the same time. Closes
	// take up a quarter of them at most. Zero means 256.
	InFlight int
	// CloseQueue bounds the closes that wait for their turn; those above it
	// are dropped, counted and, now and then, logged. Zero means 65,536.
	CloseQueue int
	// MaxBody bounds the answer of the OpenURL, in bytes. Zero means 1 MiB.
	MaxBody int
	// Client makes the calls; it is copied. Nil means one of the Hook's own,
	// which keeps up to InFlight connections open and follows redirects as
	// net/http does: 307 and 308 post again, 301, 302 and 303 get.
	Client *http.Client
	// Logger gets the log. Nil means slog.Default().
	Logger *slog.Logger
}

// A Hook implements [hooks.Admitter], [hooks.CloseObserver] and [hooks.Runner]. It
// is made by [New] and belongs into gateway.Config.Hooks, of one gateway, which
// calls it. All its methods may be called on any goroutine.
type Hook struct {
	cfg    Config
	client *http.Client
	own    *http.Transport // nil if the client is the host's
	places chan struct{}   // one token for each call under way
	stats  counters

	started               atomic.Bool
	sayDropped, sayFailed sampled.Event
	log                   chan failure  // for the log, sent without blocking
	wake                  chan struct{} // to the workers, sent without blocking

	mu     sync.Mutex
	closes []hooks.CloseEvent
	ended  bool
}

var (
	_ hooks.Admitter      = (*Hook)(nil)
	_ hooks.CloseObserver = (*Hook)(nil)
	_ hooks.Runner        = (*Hook)(nil)
)

// New makes a Hook. The error says which field of cfg is wrong.
func New(cfg Config) (*Hook, error) {
	if cfg.OpenURL == "" && cfg.CloseURL == "" {
		return nil, errors.New("callback: Config has neither OpenURL nor CloseURL; set at least one, or leave the hook out")
	}
	for name, u := range map[string]string{"OpenURL": cfg.OpenURL, "CloseURL": cfg.CloseURL} {
		if u == "" {
			continue
		}
		if p, err := url.Parse(u); err != nil || p.Scheme != "http" && p.Scheme != "https" || p.Hostname() == "" {
			return nil, fmt.Errorf("callback: Config.%s is %q; write it whole, as in http://127.0.0.1:8000/path", name, redacted(u))
		}
	}
	for name, v := range map[string]int64{
		"Timeout": int64(cfg.Timeout), "InFlight": int64(cfg.InFlight), "CloseQueue": int64(cfg.CloseQueue), "MaxBody": int64(cfg.MaxBody),
	} {
		if v < 0 {
			return nil, fmt.Errorf("callback: Config.%s is negative; use 0 for the default or a positive value", name)
		}
	}
	or(&cfg.Timeout, 3*time.Second)
	or(&cfg.InFlight, 256)
	or(&cfg.CloseQueue, 1<<16)
	or(&cfg.MaxBody, 1<<20)
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	h := &Hook{
		cfg: cfg, places: make(chan struct{}, cfg.InFlight), wake: make(chan struct{}, 1),
		log: make(chan failure, logWaits),
	}
	if cfg.Client != nil {
		c := *cfg.Client
		h.client = &c
	} else {
		h.own = ownTransport(cfg.InFlight)
		h.client = &http.Client{Transport: h.own}
	}
	if h.client.Transport == nil {
		h.client.Transport = http.DefaultTransport
	}
	h.client.Transport = watcher{h.client.Transport}
	return h, nil
}

// ownTransport returns a transport with room for inFlight connections. It is
// not made of net/http's default one, which is anybody's to change.
func ownTransport(inFlight int) *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:    10 * time.Second,
		ForceAttemptHTTP2:      true,
		MaxIdleConnsPerHost:    inFlight, // and no other bound
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true, // a small answer must not unpack to a large one
	}
}

// or gives v a default.
func or[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// Stats is what a Hook has counted since it was made.
type Stats struct {
	// Admitted and Refused count the answers of the OpenURL, Failed opens
	// that got none or a bad one.
	Admitted, Refused, Failed int64
	// Closes counts closes that were posted and answered, ClosesFailed those
	// that were not, for instance as the end cut them off, and ClosesDropped
	// those not tried: the queue had no room, or the end came too soon.
	Closes, ClosesFailed, ClosesDropped int64
	// ClosesWaiting is how many closes wait now to be posted.
	ClosesWaiting int
}

type counters struct{ admitted, refused, failed, closes, closesFailed, closesDropped atomic.Int64 }

// Stats returns the counts so far.
func (h *Hook) Stats() Stats {
	s := &h.stats
	h.mu.Lock()
	waiting := len(h.closes)
	h.mu.Unlock()
	return Stats{
		ClosesWaiting: waiting,
		Admitted:      s.admitted.Load(), Refused: s.refused.Load(), Failed: s.failed.Load(),
		Closes: s.closes.Load(), ClosesFailed: s.closesFailed.Load(), ClosesDropped: s.closesDropped.Load(),
	}
}

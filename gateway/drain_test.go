package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	ws "github.com/gorilla/websocket"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/await"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/pipe"
)

// ends reads a client's messages up to its close frame, and tells when that came.
func (c *client) ends() (messages int, at time.Time, err error) {
	for {
		if _, _, err = c.ReadMessage(); err != nil {
			return messages, time.Now(), err
		}
		messages++
	}
}

// In a drain the closes are spread, every client sees the code and when to come
// back, nobody is let in, and what ends last is the host's code.
func TestDrain(t *testing.T) {
	const clients, over = 120, 100 * time.Millisecond
	onEach(t, func(t *testing.T, h harness) {
		var order []string
		var mu sync.Mutex
		note := func(what string) {
			mu.Lock()
			defer mu.Unlock()
			order = append(order, what)
		}
		r := greeter()
		r.OnClose = func(context.Context, hooks.Bus, hooks.CloseEvent) { note("close") }
		g := h.start(t, gateway.Config{
			DrainTime: over, Router: r,
			Hooks: []any{runUntil(func(ctx context.Context) { <-ctx.Done(); note("runner") })},
		})
		if s := g.Status(); s != gateway.StatusServing {
			t.Errorf("status %v", s)
		}
		var all []*client
		for range clients {
			all = append(all, g.join())
		}
		must(t, g.Broadcast(t.Context(), []byte("queued")))
		begin := time.Now()
		var first, last time.Time
		var reading sync.WaitGroup
		for _, c := range all {
			reading.Go(func() {
				n, at, err := c.ends()
				ce := (*ws.CloseError)(nil)
				if n != 1 || !errors.As(err, &ce) || ce.Code != 1012 || !strings.HasPrefix(ce.Text, "restart; retry-after=") {
					t.Errorf("%d messages, then %v", n, err)
				}
				mu.Lock()
				defer mu.Unlock()
				if first.IsZero() || at.Before(first) {
					first = at
				}
				if at.After(last) {
					last = at
				}
			})
		}
		drained := make(chan error, 1)
		go func() { drained <- g.Drain(t.Context()) }()
		await.Until(t, func() string {
			if s := g.Status(); s != gateway.StatusDraining {
				return fmt.Sprint("status ", s)
			}
			return ""
		})
		if _, resp, err := g.dialer().Dial("ws://gateway.test/ws", nil); err == nil {
			t.Error("a newcomer was let in")
		} else if resp != nil && (resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "") {
			t.Errorf("a newcomer got %s, %v", resp.Status, resp.Header)
		}
		reading.Wait()
		must(t, <-drained)
		if s := g.Status(); s != gateway.StatusStopped {
			t.Errorf("status %v", s)
		}
		if spread := last.Sub(first); spread < over/2 {
			t.Errorf("the closes came within %v, from %v on, want them spread over %v", spread, first.Sub(begin), over)
		}
		must(t, g.stop())
		if n := len(order); n != clients+1 || order[n-1] != "runner" {
			t.Errorf("%d calls, the last is %v", n, order[max(0, n-1):])
		}
	})
}

// Those who are sent away at the same moment are told different times, so that they
// do not come back at the same moment.
func TestDrainTellsDifferentTimes(t *testing.T) {
	onEach(t, func(t *testing.T, h harness) {
		g := h.start(t, gateway.Config{DrainTime: -1, RetryAfter: time.Minute, Router: greeter()})
		var all []*client
		for range 40 {
			all = append(all, g.join())
		}
		drained := make(chan error, 1)
		go func() { drained <- g.Drain(t.Context()) }()
		times := make(map[string]bool)
		for _, c := range all {
			_, _, err := c.ends()
			ce := (*ws.CloseError)(nil)
			if !errors.As(err, &ce) || ce.Code != 1012 {
				t.Fatalf("a client was ended by %v", err)
			}
			times[ce.Text] = true
		}
		must(t, <-drained)
		if len(times) < 10 { // of 61
			t.Errorf("40 clients were told %d different times: %v", len(times), times)
		}
	})
}

type admitFunc func() (hooks.Admission, error)

func (f admitFunc) Admit(context.Context, hooks.OpenEvent) (hooks.Admission, error) { return f() }

type runUntil func(context.Context)

func (f runUntil) Run(ctx context.Context, _ hooks.Bus) error {
	f(ctx)
	return nil
}

// A client that has not read everything yet gets what waits for it, and then the
// code; one that reads nothing holds up the end for the time given.
func TestDrainLetsQueuedDataOut(t *testing.T) {
	const messages = 64
	onEach(t, func(t *testing.T, h harness) {
		g := h.start(t, gateway.Config{DrainTime: 600 * time.Millisecond, WriteLimit: 64 << 20, MailboxLimit: 64 << 20, Router: greeter()})
		slow, deaf := g.join(), g.join()
		for range messages {
			must(t, g.Broadcast(t.Context(), bytes.Repeat([]byte{'x'}, 64<<10)))
		}
		drained := make(chan error, 1)
		begin := time.Now()
		go func() { drained <- g.Drain(t.Context()) }()
		await.Until(t, func() string {
			if g.Status() != gateway.StatusDraining {
				return "it does not drain"
			}
			return ""
		})
		time.Sleep(200 * time.Millisecond) // a reader that takes its time
		n, _, err := slow.ends()
		if ce := (*ws.CloseError)(nil); n != messages || !errors.As(err, &ce) || ce.Code != 1012 {
			t.Errorf("%d of %d messages, then %v", n, messages, err)
		}
		must(t, <-drained)
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("it took %v", took)
		}
		_ = deaf.Close()
		must(t, g.stop())
		s := g.Stats()
		if got := s.MessagesOut + s.Drops[hooks.DropClosed].Messages + s.Drops[hooks.DropFailed].Messages; got != 2*messages+2 {
			t.Errorf("%d written or dropped, want %d: %+v", got, 2*messages+2, s)
		}
	})
}

// Whoever drains need not wait to the end.
func TestDrainHurried(t *testing.T) {
	onEach(t, func(t *testing.T, h harness) {
		g := h.start(t, gateway.Config{DrainTime: time.Hour, Router: greeter(), WriteLimit: 64 << 20, MailboxLimit: 64 << 20})
		c := g.join()
		for range 64 {
			must(t, g.Broadcast(t.Context(), bytes.Repeat([]byte{'x'}, 64<<10)))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if err := g.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Drain: %v", err)
		}
		must(t, g.Drain(t.Context())) // joins it
		_ = c.Close()
		must(t, g.stop())
	})
}

// A drain that begins while clients come leaves nobody out.
func TestDrainAmongNewcomers(t *testing.T) {
	onEach(t, func(t *testing.T, h harness) {
		deciding, decide := make(chan struct{}, 1), make(chan struct{})
		g := h.start(t, gateway.Config{Hooks: []any{admitFunc(func() (hooks.Admission, error) {
			deciding <- struct{}{}
			<-decide
			return hooks.Admission{}, nil
		})}})
		c := g.connect()
		<-deciding
		drained := make(chan error, 1)
		go func() { drained <- g.Drain(t.Context()) }()
		await.Until(t, func() string {
			if g.Status() < gateway.StatusDraining {
				return "it does not drain"
			}
			return ""
		})
		close(decide)
		_, _, err := c.ends()
		if ce := (*ws.CloseError)(nil); !errors.As(err, &ce) || ce.Code != 1012 {
			t.Errorf("it ended with %v", err)
		}
		must(t, <-drained)
		if s := g.Stats(); s.Opened != 0 || s.Events != 0 {
			t.Errorf("the Router was told of a client that came too late: %+v", s)
		}
	})
}

func TestDrainNeedsRun(t *testing.T) {
	gw, err := gateway.New(gateway.Config{Transports: []transport.Transport{pipe.New()}})
	must(t, err)
	if err := gw.Drain(t.Context()); err == nil || !strings.Contains(err.Error(), "Run was not called") {
		t.Errorf("Drain: %v", err)
	}
	if s := gw.Status(); s.String() != "new" {
		t.Errorf("status %v", s)
	}
}

package load_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/sluicegate/sluice/internal/load"
)

// fake serves clients in a way that is not a gateway's, and returns its URL.
func fake(t *testing.T, serve func(ctx context.Context, c *websocket.Conn)) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return // it has gone already
		}
		defer c.CloseNow()
		serve(r.Context(), c)
	}))
	t.Cleanup(s.Close)
	return "ws" + strings.TrimPrefix(s.URL, "http")
}

// eachMessage calls answer with the number of each message, from 1.
func eachMessage(ctx context.Context, c *websocket.Conn, answer func(n int, data []byte)) {
	for n := 1; ; n++ {
		_, data, err := c.Read(ctx)
		if err != nil {
			return
		}
		answer(n, data)
	}
}

func TestWhatServersDoWrongIsCounted(t *testing.T) {
	t.Parallel()
	url := fake(t, func(ctx context.Context, c *websocket.Conn) {
		say := func(data []byte) { _ = c.Write(ctx, websocket.MessageText, data) }
		say([]byte("welcome to a server that says something else first"))
		var kept []byte
		eachMessage(ctx, c, func(n int, data []byte) {
			switch n {
			case 5: // lost
			case 10:
				say(data)
				say(data)
			case 20:
				kept = data
			case 21:
				say(data)
				say(kept)
			default:
				say(data)
			}
		})
	})
	const clients, drain = 3, time.Minute
	begun := time.Now()
	r := run(t, load.Config{Scenario: "echo", Clients: clients, Rate: 600, URL: url, For: 2 * short, Drain: drain})
	if took := time.Since(begun); took > drain/2 {
		t.Errorf("the run waited %v for what was lost, though later messages came", took)
	}
	for name, want := range map[string]int64{
		"lost": clients, "doubled": clients, "out of order": clients, "other messages": clients, "delivered": r.Count("sent") - clients,
	} {
		if got := r.Count(name); got != want {
			t.Errorf("%d %s, want %d", got, name, want)
		}
	}
	if r.Operations != r.Count("delivered") {
		t.Errorf("%d operations of %d deliveries", r.Operations, r.Count("delivered"))
	}
}

func TestClosesAreCountedByCode(t *testing.T) {
	t.Parallel()
	var clients atomic.Int64
	url := fake(t, func(ctx context.Context, c *websocket.Conn) {
		first := clients.Add(1) == 1
		eachMessage(ctx, c, func(n int, data []byte) {
			switch {
			case n == 10 && first:
				_ = c.Close(websocket.StatusTryAgainLater, "enough")
			case n == 10:
				_ = c.CloseNow()
			default:
				_ = c.Write(ctx, websocket.MessageText, data)
			}
		})
	})
	const drain = time.Minute
	begun := time.Now()
	r := run(t, load.Config{Scenario: "echo", Clients: 3, URL: url, Drain: drain})
	if took := time.Since(begun); took > drain/2 {
		t.Errorf("the run waited %v for clients that are gone", took)
	}
	if r.Count("closed 1013") != 1 || r.Count("closed 1006") != 2 {
		t.Errorf("counts are %+v", r.Counts)
	}
	if r.Count("sent") != 30 || r.Count("delivered") != 27 || r.Count("lost") != 3 {
		t.Errorf("counts are %+v", r.Counts)
	}
}

// A server that stalls is slow for all that was due meanwhile, not only for the
// one that waited.
func TestOpenLoopCountsFromWhenItWasDue(t *testing.T) {
	t.Parallel()
	const stall = 200 * time.Millisecond
	for _, scenario := range []string{"storm", "echo"} {
		t.Run(scenario, func(t *testing.T) {
			t.Parallel()
			var seen atomic.Int64
			stallOnce := func() {
				if seen.Add(1) == 20 {
					time.Sleep(stall)
				}
			}
			inner := fake(t, func(ctx context.Context, c *websocket.Conn) {
				eachMessage(ctx, c, func(_ int, data []byte) {
					stallOnce()
					_ = c.Write(ctx, websocket.MessageText, data)
				})
			})
			if scenario == "storm" {
				s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					stallOnce()
					if c, err := websocket.Accept(w, r, nil); err == nil {
						_ = c.CloseNow()
					}
				}))
				t.Cleanup(s.Close)
				inner = "ws" + strings.TrimPrefix(s.URL, "http")
			}
			r := run(t, load.Config{Scenario: scenario, Clients: 1, Parallel: 1, Rate: 200, URL: inner, For: 2 * stall})
			if l := r.Latencies[0]; l.P99 < stall*3/4 || l.P90 < stall/4 {
				t.Errorf("of %d operations, with one stall of %v, p90 is %v and p99 %v", l.Count, stall, l.P90, l.P99)
			}
		})
	}
}

func TestRefusedHandshakesAreAnError(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	for _, scenario := range []string{"hold", "storm", "echo"} {
		_, err := load.Run(t.Context(), load.Config{Scenario: scenario, URL: "ws" + strings.TrimPrefix(s.URL, "http"), For: 50 * time.Millisecond})
		if err == nil || !strings.Contains(err.Error(), "404 Not Found") {
			t.Errorf("%s: the error is %v", scenario, err)
		}
	}
}

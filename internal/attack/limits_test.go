//go:build unix

package attack

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/hooks/remote"
)

// withRoom has cfg allow n topics for a client, and sessions of n bytes.
func withRoom(cfg gateway.Config, n int) gateway.Config {
	cfg.MaxTopics, cfg.MaxSession = n, n
	return cfg
}

// By default a client has a bounded number of topics and a session of bounded
// size, whoever asks for more: nothing changes then.
func TestTopicsAndSessionsAreBounded(t *testing.T) {
	const maxTopics, maxName, maxSession = 4096, 1 << 10, 64 << 10
	t.Run("by a process", func(t *testing.T) {
		s := serve(t, gateway.Config{}, &remote.Config{})
		a := s.attack("topics of one", 10*maxTopics)
		s.during("subscribing", bound{heap: maxTopics * subscriptionCost, goroutines: 8}, func() {
			a.word()
			// The command that would pass the limit changes nothing.
			if got, want := a.count("topics"), maxTopics/taskBatch*taskBatch; got != want {
				t.Errorf("%d topics, want %d", got, want)
			}
		})
		s.over(a)
		s = serve(t, gateway.Config{}, &remote.Config{})
		a = s.attack("sessions", 40)
		// What is read of each command is garbage at once, of which there may be
		// as much as the collector lets there be; nothing of it is kept.
		s.during("stuffing", bound{heap: 40 * stuffed, goroutines: 8}, func() {
			a.word()
			a.count("stuffed")
		})
		if grown := weigh().heap - s.rest.heap; grown > spareHeap {
			t.Errorf("%d KiB are held for sessions that were refused", grown>>10)
		}
		if got := largestSession(t, s); got != 0 {
			t.Errorf("a session has %d bytes", got)
		}
		if n, err := s.CustomerIDCount(t.Context()); n != 0 || err != nil {
			t.Errorf("%d customers, %v: half of the command was carried out", n, err)
		}
		s.over(a)
	})
	t.Run("by a handler", func(t *testing.T) {
		s := serve(t, gateway.Config{}, nil)
		ids, err := s.UniqIDs(t.Context())
		must(t, err)
		id := ids[0]
		many := make([]string, maxTopics+1)
		for i := range many {
			many[i] = fmt.Sprint("topic ", i)
		}
		long := strings.Repeat("n", maxName+1)
		for name, do := range map[string]func(context.Context) error{
			"topics":      func(ctx context.Context) error { return s.Subscribe(ctx, id, many, nil) },
			"a long name": func(ctx context.Context) error { return s.Subscribe(ctx, id, []string{long}, nil) },
			"new topics": func(ctx context.Context) error {
				return s.UpdateConnInfo(ctx, hooks.ConnInfoUpdate{UniqID: id, NewTopics: many, NewSession: "s", NewCustomerID: "c"})
			},
			"a long customer": func(ctx context.Context) error {
				return s.UpdateConnInfo(ctx, hooks.ConnInfoUpdate{UniqID: id, NewSession: "s", NewCustomerID: long})
			},
			"a long session": func(ctx context.Context) error {
				return s.UpdateConnInfo(ctx, hooks.ConnInfoUpdate{UniqID: id, NewSession: strings.Repeat("s", maxSession+1), NewCustomerID: "c"})
			},
		} {
			if err := do(t.Context()); !errors.Is(err, hooks.ErrTooMany) {
				t.Errorf("%s: %v, want hooks.ErrTooMany", name, err)
			}
			infos, err := s.ConnInfo(t.Context(), []string{id}, hooks.ConnInfoFields{Session: true, CustomerID: true, Topics: true})
			if i := infos[id]; err != nil || i.Session != "" || i.CustomerID != "" || len(i.Topics) > 0 {
				t.Errorf("%s: the client has session %.10q, customer %.10q and %d topics, %v", name, i.Session, i.CustomerID, len(i.Topics), err)
			}
		}
		must(t, s.Subscribe(t.Context(), id, many[:maxTopics], nil))
		s.over()
	})
}

package bustest

import (
	"slices"
	"testing"
	"time"

	"github.com/sluicegate/sluice/hooks"
)

// An ending is a command that ends clients.
type ending struct {
	name, reason string
	do           func(k *cast) error
	gone         func(k *cast) []*client
}

// The three forms of force offline: data first, then the close frame with its
// reason, nothing behind it, and the socket closes.
func offlines() []ending {
	return []ending{
		{
			"ForceOffline", "forceOffline",
			func(k *cast) error {
				return k.Bus.ForceOffline(k.ctx, []string{k.b.id, "nobody", k.b.id}, msg("bye"))
			},
			func(k *cast) []*client { return []*client{k.b} },
		},
		{
			"ForceOfflineByCustomerID", "forceOfflineByCustomerId",
			func(k *cast) error {
				return k.Bus.ForceOfflineByCustomerID(k.ctx, []string{"customer1", "nobody"}, msg("bye"))
			},
			func(k *cast) []*client { return []*client{k.a, k.b} },
		},
		{
			// a has a customer id, c has topics only: those make no customer.
			"ForceOfflineGuest", "forceOfflineGuest",
			func(k *cast) error {
				return k.Bus.ForceOfflineGuest(k.ctx, []string{k.a.id, k.c.id}, 0, msg("bye"))
			},
			func(k *cast) []*client { return []*client{k.c} },
		},
		{
			"ForceOfflineGuest, delayed", "forceOfflineGuest",
			func(k *cast) error {
				must(k.t, k.Bus.DeleteConnInfo(k.ctx, hooks.ConnInfoDelete{UniqID: k.a.id, CustomerID: true, Session: true}))
				must(k.t, k.Bus.ForceOfflineGuest(k.ctx, []string{k.a.id, k.c.id}, 20*time.Millisecond, msg("bye")))
				// A session in time saves a.
				must(k.t, k.Bus.UpdateConnInfo(k.ctx, hooks.ConnInfoUpdate{UniqID: k.a.id, NewSession: "s"}))
				if on, _ := k.Bus.CheckOnline(k.ctx, []string{k.c.id}); len(on) != 1 {
					k.t.Error("the delayed command acted at once")
				}
				k.awaitClients(2)
				return nil
			},
			func(k *cast) []*client { return []*client{k.c} },
		},
	}
}

func (tc ending) run(t *testing.T, k *cast) {
	must(t, tc.do(k))
	must(t, k.Bus.Broadcast(k.ctx, msg("only for those who stay")))
	gone := tc.gone(k)
	for _, c := range gone {
		if got := c.expectClose(1008, tc.reason); !slices.Equal(got, []string{"bye"}) {
			t.Errorf("before the close frame: %q", got)
		}
	}
	for _, c := range []*client{k.a, k.b, k.c} {
		if !slices.Contains(gone, c) {
			c.expect("only for those who stay")
		}
	}
	k.awaitClients(3 - len(gone))
}

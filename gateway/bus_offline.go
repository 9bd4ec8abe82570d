package gateway

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/registry"
)

// ForceOffline implements [hooks.Bus].
func (g local) ForceOffline(ctx context.Context, uniqIDs []string, data []byte) error {
	return g.forceOffline(ctx, g.reg.Find(nil, uniqIDs...), everyone, data, "forceOffline")
}

// ForceOfflineByCustomerID implements [hooks.Bus].
func (g local) ForceOfflineByCustomerID(ctx context.Context, customerIDs []string, data []byte) error {
	return g.forceOffline(ctx, g.reg.FindByCustomer(nil, customerIDs...), everyone, data, "forceOfflineByCustomerId")
}

func everyone(registry.Info) bool { return true }

// forceOffline takes clients off the registry at once, so that they are
// offline for whatever comes next, and has their loops close them. cond may
// spare some.
func (g *Gateway) forceOffline(ctx context.Context, clients []*registry.Client, cond func(registry.Info) bool,
	data []byte, command string,
) error {
	gone := clients[:0]
	for _, c := range clients {
		if _, ok := g.reg.RemoveIf(c, cond); ok {
			peerOf(c.Conn()).offline.Store(true)
			gone = append(gone, c)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	frame := g.farewell(data)
	var err error
	for _, group := range byLoop(gone) {
		e := g.evict(ctx, &kick{g: g, frame: frame, clients: group, why: offline(command)})
		ctx, err = rest(ctx, e), errors.Join(err, e)
	}
	return err
}

// evict posts k and, if its loop has no room even after waiting, posts it
// without the farewell: clients that are off the registry must be closed.
func (g *Gateway) evict(ctx context.Context, k *kick) error {
	l := k.clients[0].Conn().Loop()
	err := g.post(ctx, l, k)
	if err == nil || errors.Is(err, hooks.ErrStopped) {
		return err
	}
	k.frame = nil
	return errors.Join(err, l.PostAlways(k))
}

// maxGuests bounds the clients for which a delayed ForceOfflineGuest waits, and
// maxGuestBytes the farewells.
const (
	maxGuests     = 1 << 16
	maxGuestBytes = 16 << 20
)

// guestTimers are the ForceOfflineGuest commands that wait for their time.
type guestTimers struct {
	mu      sync.Mutex
	timers  map[*guestTimer]struct{}
	clients int
	bytes   int
	stopped bool
	firing  sync.WaitGroup
}

// guestTimer is one command.
type guestTimer struct{ stop func() bool }

// ForceOfflineGuest implements [hooks.Bus].
func (g local) ForceOfflineGuest(ctx context.Context, uniqIDs []string, delay time.Duration, data []byte) error {
	clients := g.reg.Find(nil, uniqIDs...)
	if delay <= 0 {
		return g.forceOfflineGuests(ctx, clients, data)
	}
	if len(clients) == 0 {
		return nil
	}
	data = append([]byte(nil), data...)
	return g.guests.after(g.cfg.Clock, delay, len(clients), len(data), func() {
		defer g.rescue("registry", "", nil) // it can be the host's
		// The command was taken long ago; nobody is left to be told.
		_ = g.forceOfflineGuests(g.handlers, clients, data)
	})
}

func (g *Gateway) forceOfflineGuests(ctx context.Context, clients []*registry.Client, data []byte) error {
	return g.forceOffline(ctx, clients, func(i registry.Info) bool {
		return i.Session == "" && i.CustomerID == ""
	}, data, "forceOfflineGuest")
}

// after calls f after delay, unless stop comes first.
func (t *guestTimers) after(c hooks.Clock, delay time.Duration, clients, bytes int, f func()) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped {
		return hooks.ErrStopped
	}
	if t.clients+clients > maxGuests || t.bytes+bytes > maxGuestBytes {
		return hooks.ErrOverloaded
	}
	if t.timers == nil {
		t.timers = make(map[*guestTimer]struct{})
	}
	t.clients += clients
	t.bytes += bytes
	timer := new(guestTimer)
	timer.stop = c.AfterFunc(delay, func() {
		t.mu.Lock()
		if t.stopped {
			t.mu.Unlock()
			return
		}
		delete(t.timers, timer)
		t.clients -= clients
		t.bytes -= bytes
		t.firing.Add(1)
		t.mu.Unlock()
		defer t.firing.Done()
		f()
	})
	t.timers[timer] = struct{}{}
	return nil
}

// stop forgets what waits and returns when nothing is under way.
func (t *guestTimers) stop() {
	t.mu.Lock()
	t.stopped = true
	for timer := range t.timers {
		timer.stop()
	}
	t.timers = nil
	t.mu.Unlock()
	t.firing.Wait()
}

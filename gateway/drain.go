package gateway

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/sluicegate/sluice/registry"
	"github.com/sluicegate/sluice/transport"
)

// Status is where a Gateway is in its life.
type Status int32

// A Gateway is in these states one after the other, and may leave some out.
const (
	// StatusNew: it does not accept clients yet.
	StatusNew Status = iota
	// StatusServing: it accepts clients. This is what a readiness check asks
	// for.
	StatusServing
	// StatusDraining: it sends its clients away, and refuses others. It is so too
	// when a transport has failed, or a Runner, until Run returns their error.
	StatusDraining
	// StatusStopped: Run has returned, or is about to.
	StatusStopped
)

// String returns "new", "serving", "draining" or "stopped".
func (s Status) String() string {
	switch s {
	case StatusNew:
		return "new"
	case StatusServing:
		return "serving"
	case StatusDraining:
		return "draining"
	case StatusStopped:
		return "stopped"
	}
	return "Status(" + strconv.Itoa(int(s)) + ")"
}

// Status returns where the gateway is in its life.
func (g *Gateway) Status() Status { return Status(g.status.Load()) }

// advance moves the status on, never back.
func (g *Gateway) advance(to Status) {
	for {
		was := g.status.Load()
		if was >= int32(to) || g.status.CompareAndSwap(was, int32(to)) {
			return
		}
	}
}

// Drain stops a gateway that runs with care for its clients. From now on
// handshakes are answered with 503, and Status is StatusDraining. Over
// Config.DrainTime, clients are closed with code 1012, "restart", and told when to
// come back (see [hooks.Disconnect.CloseReason]); one for whom something waits
// gets that first. Then transports, business code and, last, the Runners end, and
// Run returns.
//
// Drain returns nil when all that is done. When ctx ends before, the clients that
// are left are closed at once, and Drain returns ctx's error without waiting for
// Run. Later calls join the first. It must not be called in a call of the Router
// or of a hook, which it would wait for.
func (g *Gateway) Drain(ctx context.Context) error {
	if !g.started.Load() {
		return errors.New("gateway: Drain is for a gateway that runs; Run was not called")
	}
	g.askDrain()
	select {
	case <-g.stopped:
		return nil
	case <-ctx.Done():
		g.hurryDrain()
		return ctx.Err()
	}
}

const (
	// drainTick is how often clients are closed in a drain.
	drainTick = 10 * time.Millisecond
	// drainPace is the least time from one client's close to the next one's: a
	// few clients need not wait for the end of DrainTime.
	drainPace = time.Millisecond
)

// drain sends the clients away, until none is left, or the time is up, or abandon
// is closed.
func (g *Gateway) drain(abandon <-chan struct{}) {
	g.advance(StatusDraining)
	g.cancelDeciding() // who is not let in yet will not be
	over := max(0, g.cfg.DrainTime)
	deadline := time.NewTimer(over + over/2)
	defer deadline.Stop()
	tick := time.NewTicker(drainTick)
	defer tick.Stop()

	all := g.everyone()
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	spread := min(over, time.Duration(len(all))*drainPace)
	g.log.Info("gateway draining", "clients", len(all), "over", spread)
	begin, asked := time.Now(), make(map[transport.Loop]*kick)
	defer func() {
		g.log.Info("gateway drained", "clients", len(all), "left", g.reg.Len(), "took", time.Since(begin).Round(time.Millisecond))
	}()
	for next := 0; g.reg.Len() > 0 || g.opening.Load() > 0; {
		if next < len(all) {
			due := len(all)
			if passed := time.Since(begin); passed < spread {
				due = int(int64(len(all)) * int64(passed) / int64(spread))
			}
			g.sendAway(all[next:max(next, due)], false)
			next = max(next, due)
		} else {
			// Those for whom something waited, and those who came meanwhile.
			g.sendRest(asked)
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			g.closeRest(tick.C, abandon)
			return
		case <-g.drainHurry:
			g.closeRest(tick.C, abandon)
			return
		case <-abandon:
			return
		}
	}
}

// closeRest has the loops close the clients that are left, and waits a while until
// they have.
func (g *Gateway) closeRest(tick <-chan time.Time, abandon <-chan struct{}) {
	g.sendAway(g.everyone(), true)
	for begin := time.Now(); g.reg.Len() > 0 && time.Since(begin) < closeTimeout; {
		select {
		case <-tick:
		case <-abandon:
			return
		}
	}
}

// everyone returns the clients that there are.
func (g *Gateway) everyone() (all []*registry.Client) {
	for _, a := range g.reg.Everyone(nil) {
		all = append(all, a.Clients()...)
		a.Release()
	}
	return all
}

// sendAway has the loops of clients close them, forced also those for whom
// something waits.
func (g *Gateway) sendAway(clients []*registry.Client, forced bool) {
	for _, group := range byLoop(clients) {
		// A loop that has ended has no clients.
		_ = group[0].Conn().Loop().PostAlways(&kick{g: g, clients: group, patient: !forced})
	}
}

// sendRest has the loops close the clients that are left. asked is what each was
// told last: one that has not come to that, because something holds it up, is told
// nothing more.
func (g *Gateway) sendRest(asked map[transport.Loop]*kick) {
	for _, group := range byLoop(g.everyone()) {
		l := group[0].Conn().Loop()
		if k := asked[l]; k != nil && !k.over.Load() {
			continue
		}
		asked[l] = &kick{g: g, clients: group, patient: true}
		if l.PostAlways(asked[l]) != nil { // it has no clients any more
			delete(asked, l)
		}
	}
}

// retryAfter is when somebody who is turned away may come back, in whole seconds,
// as that is how they are told.
func (g *Gateway) retryAfter() time.Duration {
	least := (g.cfg.RetryAfter + time.Second - 1) / time.Second
	return (least + rand.N(least+1)) * time.Second
}

// unavailable is the header of a handshake's answer that is refused for now.
func (g *Gateway) unavailable() http.Header {
	return http.Header{"Retry-After": {strconv.FormatInt(int64(g.retryAfter()/time.Second), 10)}}
}

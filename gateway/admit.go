package gateway

import (
	"context"
	"errors"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/registry"
	"github.com/sluicegate/sluice/transport"
)

// verdict is what the Admitters decided about a client, on its way back to the
// client's loop.
type verdict struct {
	g      *Gateway
	conn   transport.Conn
	origin *origin
	data   [][]byte
	err    error
	// admitted is how many Admitters said yes. They are asked in turn: it is
	// so many of the first.
	admitted int
}

// ask has the Admitters decide about a client on a goroutine of their own.
func (g *Gateway) ask(c transport.Conn, p *peer) {
	p.pending = true
	o := p.inbox.origin
	select {
	case g.asking <- struct{}{}:
	default:
		o.cancel = func() {}
		disconnect(c, g.tooManyAtOnce())
		return
	}
	ctx, cancel := context.WithCancel(g.deciding)
	o.cancel = cancel
	v := &verdict{g: g, conn: c, origin: o}
	e := o.event
	g.workers.goAside(func() {
		v.data, v.err = g.askAll(ctx, e, v)
		cancel()
		<-g.asking
		if c.Loop().PostAlways(v) != nil {
			v.Drop()
		}
	})
}

// askAll asks the Admitters in turn, until one says no.
func (g *Gateway) askAll(ctx context.Context, e hooks.OpenEvent, v *verdict) (data [][]byte, err error) {
	defer g.rescue("admitter", e.UniqID, func(e error) { err = e })
	for _, a := range g.hooks.admitters {
		answer, err := a.Admit(ctx, e)
		if len(answer.Data) > 0 {
			data = append(data, append([]byte(nil), answer.Data...))
		}
		if err != nil {
			return data, err
		}
		v.origin.learn(answer.Identity)
		v.admitted++
	}
	g.wantFirst(ctx, v.origin)
	return data, nil
}

// Run implements transport.Task.
func (v *verdict) Run(int) (steps int, done bool) {
	p := peerOf(v.conn)
	switch {
	case v.origin.gone:
		v.Drop()
	case v.err == nil:
		v.enter(p)
	default:
		why := internalError()
		switch {
		case errors.As(v.err, &why):
		case v.g.Status() >= StatusDraining:
			why = v.g.restart()
		default:
			if n, ok := v.g.noise.notAdmitted.Next(); ok {
				v.g.log.Warn("client not admitted", "uniqId", v.origin.event.UniqID, "error", v.err, "suppressed", n)
			}
		}
		for _, data := range v.data {
			v.conn.Send(v.g.encode(data))
		}
		disconnect(v.conn, why)
		v.Drop()
	}
	return 1 + len(v.data), true
}

// enter keeps an inline Router's panic to its client.
func (v *verdict) enter(p *peer) {
	defer v.g.rescue("handler", v.origin.event.UniqID, func(error) { disconnect(v.conn, internalError()) })
	v.g.enter(v.conn, p, v.data)
}

// Weight implements transport.Task.
func (v *verdict) Weight() (recipients, bytes int) {
	bytes = taskOverhead
	for _, d := range v.data {
		bytes += len(d)
	}
	return 1, bytes
}

// Drop implements transport.Task: the client is gone, or not let in. Whoever
// admitted it must hear of that.
func (v *verdict) Drop() {
	if v.admitted > 0 {
		v.g.observeClose(v.origin.closeEvent(), v.admitted)
	}
}

// closeEvent tells of a client that was never listed.
func (o *origin) closeEvent() hooks.CloseEvent {
	id := o.identity
	return closeEvent(o.event.UniqID, registry.Info{CustomerID: id.CustomerID, Session: id.Session, Topics: id.Topics}, o.cause)
}

// keep holds what a client sends before it is admitted.
func (g *Gateway) keep(c transport.Conn, p *peer, data []byte) {
	if full := g.charge(p.inbox, len(data)); full != "" {
		g.overflow(c, p.inbox.origin.event.UniqID, full, len(data))
		return
	}
	p.inbox.events = append(p.inbox.events, event{data: append([]byte(nil), data...)})
}

// leave forgets a client that has left before it was admitted, or was refused.
func (g *Gateway) leave(p *peer, cause transport.CloseCause) {
	o := p.inbox.origin
	o.gone, o.cause = true, cause
	g.opening.Add(-1)
	o.cancel()
	for _, e := range p.inbox.events {
		g.uncharge(p.inbox, len(e.data)+eventOverhead)
		g.drop(o.event.UniqID, hooks.DropClosed, 1, int64(len(e.data)))
	}
	p.inbox.events = nil
}

// observeClose tells the CloseObservers of a client that the first of the
// Admitters, so many, have admitted: all but those who did not themselves.
func (g *Gateway) observeClose(e hooks.CloseEvent, admitted int) {
	for _, o := range g.hooks.closes {
		if o.admitter < admitted {
			g.tellClosed(o, e)
		}
	}
}

// tellClosed keeps an observer's panic from the others.
func (g *Gateway) tellClosed(o hooks.CloseObserver, e hooks.CloseEvent) {
	defer g.rescue("close observer", e.UniqID, nil)
	o.Closed(e)
}

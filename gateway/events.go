package gateway

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/registry"
	"github.com/sluicegate/sluice/transport"
)

// handler is the gateway as its transports see it. Its methods run on loops.
type handler struct{ g *Gateway }

var _ transport.Handler = handler{}

// Handshake implements transport.Handler.
func (h handler) Handshake(hs transport.Handshake) {
	g := h.g
	switch {
	case g.Status() >= StatusDraining:
		g.stats.refuse(refusedDraining)
		hs.Refuse(http.StatusServiceUnavailable, g.unavailable(), "the gateway restarts")
		return
	case g.budget.Over():
		g.stats.refuse(refusedMemory)
		hs.Refuse(http.StatusServiceUnavailable, g.unavailable(), "the gateway is short of memory")
		return
	}
	trusted, socket := proxies(g.cfg.TrustedProxies), addrOf(hs.RemoteAddr())
	addr := trusted.client(socket, hs)
	value := newValue(addr, socket)
	p, o := peerIn(value), &origin{addr: addr, value: value}
	o.event.Path, o.event.RawQuery, o.event.RemoteAddr = hs.Path(), hs.RawQuery(), addr.String()
	o.event.XForwardedFor, o.event.XRealIP = trusted.headers(socket, hs)
	o.inbox.origin, p.inbox = o, &o.inbox
	p.gaps = g.gapTeller(hs) // first, as it may panic
	if l := g.cfg.Limiter; l != nil {
		if err := l.Open(addr); err != nil {
			g.stats.refuse(refusedLimited)
			g.refuse(hs, addr, err, http.StatusTooManyRequests)
			return
		}
	}
	if len(g.hooks.authenticators) == 0 {
		g.accept(hs, p)
		return
	}
	select {
	case g.asking <- struct{}{}:
	default:
		g.release(p)
		g.stats.refuse(refusedBusy)
		hs.Refuse(http.StatusServiceUnavailable, g.unavailable(), "too many handshakes at once")
		return
	}
	g.workers.goAside(func() {
		defer func() { <-g.asking }()
		g.authenticate(hs, p)
	})
}

// authenticate asks the Authenticators in turn; what a later one knows goes
// before what an earlier one does.
func (g *Gateway) authenticate(hs transport.Handshake, p *peer) {
	ctx, cancel := g.withTimeout(g.handlers, g.cfg.HandshakeTimeout)
	defer cancel()
	request := hs.Request().Context()
	defer context.AfterFunc(request, cancel)()
	addr := p.inbox.origin.addr
	ctx = hooks.WithClientAddr(valuesOf{ctx, request}, addr)
	defer g.rescue("authenticator", "", func(error) {
		g.release(p)
		g.stats.refuse(refusedFailed)
		hs.Refuse(http.StatusInternalServerError, nil, "internal error")
	})
	for _, a := range g.hooks.authenticators {
		id, err := a.Authenticate(ctx, hs.Request())
		if err != nil {
			g.release(p)
			g.stats.refuse(refusedDenied)
			g.refuse(hs, addr, err, http.StatusForbidden)
			return
		}
		p.inbox.origin.learn(id)
	}
	if len(g.hooks.admitters) == 0 {
		g.wantFirst(ctx, p.inbox.origin)
	}
	g.accept(hs, p)
}

// valuesOf is a context with the values of another one: what a host's HTTP
// middleware knows of a request.
type valuesOf struct {
	context.Context
	request context.Context
}

func (c valuesOf) Value(key any) any {
	if v := c.Context.Value(key); v != nil {
		return v
	}
	return c.request.Value(key)
}

// learn adds what is known of a client; it goes before what was known so far.
func (o *origin) learn(id hooks.Identity) {
	if id.CustomerID != "" {
		o.identity.CustomerID = id.CustomerID
	}
	if id.Session != "" {
		o.identity.Session = id.Session
	}
	o.identity.Topics = append(o.identity.Topics, id.Topics...)
}

func (g *Gateway) accept(hs transport.Handshake, p *peer) {
	shaped := false
	defer func() {
		if !shaped { // a shaper has panicked, and whoever called refuses
			g.release(p)
		}
	}()
	var header http.Header
	for _, s := range g.hooks.shapers {
		if header == nil {
			header = make(http.Header)
		}
		s.ShapeHandshake(hs.Request(), header)
	}
	shaped = true
	g.opening.Add(1)
	hs.Accept(p.inbox.origin.value, header)
}

// refuse answers as a *hooks.Refusal says. Other errors are the host's own
// affair and are logged.
func (g *Gateway) refuse(hs transport.Handshake, addr netip.Addr, err error, status int) {
	if r := (*hooks.Refusal)(nil); errors.As(err, &r) {
		if r.Status != 0 {
			status = r.Status
		}
		hs.Refuse(status, r.Header, r.Reason)
		return
	}
	if n, ok := g.noise.refused.Next(); ok {
		g.log.Info("handshake refused", "remoteAddr", hs.RemoteAddr().String(), "clientAddr", addr.String(), "error", err, "suppressed", n)
	}
	hs.Refuse(status, nil, http.StatusText(status))
}

// release tells the Limiter that a client which it has admitted will not open.
func (g *Gateway) release(p *peer) {
	if o := p.inbox.origin; o != nil && g.cfg.Limiter != nil {
		p.inbox.origin = nil
		g.cfg.Limiter.Close("", o.addr)
	}
}

// Abort implements transport.Handler.
func (h handler) Abort(value any) {
	h.g.opening.Add(-1)
	h.g.release(peerIn(value))
}

// Open implements transport.Handler.
func (h handler) Open(c transport.Conn) {
	g, p := h.g, peerOf(c)
	p.inbox.origin.event.UniqID = g.ids.Next()
	if len(g.hooks.admitters) > 0 {
		g.ask(c, p)
		return
	}
	g.enter(c, p, nil)
}

// enter lists a client, sends it its welcome, if any, and has the Router told,
// also of what it has sent so far.
func (g *Gateway) enter(c transport.Conn, p *peer, welcome [][]byte) {
	box := p.inbox
	begin := box.origin
	p.inbox, p.pending = nil, false
	if why := g.list(c, p, begin); why != nil {
		// It ends as one that is not let in does, whose id is not lost.
		p.inbox, p.pending, begin.cancel = box, true, func() {}
		disconnect(c, why)
		g.observeClose(begin.closeEvent(), len(g.hooks.admitters))
		return
	}
	g.wantStill(begin.identity.Topics)
	g.opening.Add(-1)
	if c.Compressed() {
		g.deflating.Add(1)
	}
	g.stats.opened.Add(1)
	g.stats.events.Add(1)
	if g.debugs() {
		g.logOpened(c, begin)
	}
	for _, data := range welcome {
		c.Send(g.encode(data))
	}
	kept := box.events
	defer func() { // an inline Router may panic
		for _, e := range kept {
			g.uncharge(box, len(e.data)+eventOverhead)
			g.drop(p.UniqID(), hooks.DropClosed, 1, int64(len(e.data)))
		}
	}()
	if g.cfg.Inline {
		g.cfg.Router.Open(g.inline, g, begin.event)
	} else {
		_ = g.push(p, event{open: &begin.event}) // it always has a place
	}
	for len(kept) > 0 {
		data := kept[0].data
		kept = kept[1:]
		g.uncharge(box, len(data)+eventOverhead)
		g.message(c, p, data)
	}
}

// list puts a client into the registry. It returns why it does not, if what hooks
// know of it is too much, or the gateway drains.
func (g *Gateway) list(c transport.Conn, p *peer, o *origin) *hooks.Disconnect {
	if g.Status() >= StatusDraining {
		return g.restart()
	}
	id := o.identity
	err := hooks.ErrTooMany
	if len(id.Topics) <= g.cfg.MaxTopics && len(id.Session) <= g.cfg.MaxSession && !g.tooLong(id.CustomerID) && !g.tooLong(id.Topics...) {
		err = g.reg.Add(&p.Client, registry.Entry{
			UniqID: o.event.UniqID, CustomerID: id.CustomerID, Session: id.Session, Topics: id.Topics, Conn: c,
		})
	}
	if err == nil {
		return nil
	}
	if n, ok := g.noise.notListed.Next(); ok {
		g.log.Error("client not listed", "uniqId", o.event.UniqID, "error", err, "suppressed", n)
	}
	return internalError()
}

// Message implements transport.Handler.
func (h handler) Message(c transport.Conn, data []byte, binary bool) {
	g, p := h.g, peerOf(c)
	if !binary && len(data) == len(g.cfg.HeartbeatMessage) && string(data) == g.cfg.HeartbeatMessage {
		g.stats.heartbeats.Add(1)
		return
	}
	g.stats.messagesIn.Add(1)
	g.stats.bytesIn.Add(int64(len(data)))
	uniqID := uniqIDOf(p)
	if g.debugs() {
		g.logMessage(uniqID, data)
	}
	if l := g.cfg.Limiter; l != nil {
		if err := l.Message(uniqID, len(data)); err != nil {
			why := hooks.DropLimited
			if errors.Is(err, hooks.ErrClientLimited) {
				why = hooks.DropClientLimited
			}
			g.drop(uniqID, why, 1, int64(len(data)))
			if d, ok := errors.AsType[*hooks.Disconnect](err); ok {
				c.Close(d.Code, d.Reason)
			}
			return
		}
	}
	if p.pending {
		g.keep(c, p, data)
		return
	}
	g.message(c, p, data)
}

// message has the Router told of a message, now or in its turn.
func (g *Gateway) message(c transport.Conn, p *peer, data []byte) {
	switch {
	case p.offline.Load():
		g.drop(p.UniqID(), hooks.DropClosed, 1, int64(len(data)))
	case g.cfg.Inline:
		g.stats.forwarded(len(data))
		g.cfg.Router.Message(g.inline, g, messageEvent(g, p, data))
	default:
		if full := g.push(p, event{data: append([]byte(nil), data...)}); full != "" {
			g.overflow(c, p.UniqID(), full, len(data))
			return
		}
		g.stats.forwarded(len(data))
	}
}

// Ping implements transport.Handler.
func (h handler) Ping(transport.Conn) { h.g.stats.heartbeats.Add(1) }

// Close implements transport.Handler.
func (h handler) Close(c transport.Conn, cause transport.CloseCause) {
	g, p := h.g, peerOf(c)
	if l := g.cfg.Limiter; l != nil {
		// Last, so that a panic in it costs nothing but its own work.
		defer l.Close(uniqIDOf(p), clientAddrOf(c))
	}
	if p.pending {
		g.leave(p, cause)
		return
	}
	if p.UniqID() == "" { // the registry panicked
		g.opening.Add(-1)
		return
	}
	info, listed := g.reg.Remove(&p.Client)
	if !listed {
		// A command has ended it before; the registry knows what it held.
		info = g.reg.Info(&p.Client)
	}
	if c.Compressed() {
		g.deflating.Add(-1)
	}
	g.unwant(info.Topics)
	g.stats.closed.Add(1)
	g.stats.closes.add(cause)
	g.stats.events.Add(1)
	e := closeEvent(p.UniqID(), info, cause)
	g.observeClose(e, len(g.hooks.admitters))
	if g.debugs() {
		g.logClosed(p.UniqID(), cause)
	}
	if g.cfg.Inline {
		g.cfg.Router.Close(g.inline, g, e)
		return
	}
	_ = g.push(p, event{closing: &e}) // it always has a place
}

// Written implements transport.Handler.
func (h handler) Written(messages, bytes int64) {
	h.g.stats.messagesOut.Add(messages)
	h.g.stats.bytesOut.Add(bytes)
}

// Dropped implements transport.Handler.
func (h handler) Dropped(c transport.Conn, reason transport.DropReason, messages, bytes int64) {
	why := hooks.DropClosed
	switch reason {
	case transport.DropSlow:
		why = hooks.DropSlow
	case transport.DropFailed:
		why = hooks.DropFailed
	case transport.DropSuperseded:
		why = hooks.DropSuperseded
	case transport.DropBudget:
		why = hooks.DropBudget
	}
	h.g.drop(uniqIDOf(peerOf(c)), why, messages, bytes)
}

// uniqIDOf returns p's id also while it is not listed. It is for p's loop.
func uniqIDOf(p *peer) string {
	if p.pending {
		return p.inbox.origin.event.UniqID
	}
	return p.UniqID()
}

// addrOf returns the IP address of a peer, or the zero Addr for peers that
// have none.
func addrOf(a net.Addr) netip.Addr {
	if t, ok := a.(*net.TCPAddr); ok {
		return t.AddrPort().Addr().Unmap()
	}
	if a != nil {
		if ap, err := netip.ParseAddrPort(a.String()); err == nil {
			return ap.Addr().Unmap()
		}
	}
	return netip.Addr{}
}

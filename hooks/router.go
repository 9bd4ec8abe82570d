package hooks

import "context"

// A Router is business code: it is called for what clients do.
//
// For one client the calls come one after the other: Open, then Message for
// each message in the order of arrival, then Close exactly once. Different
// clients' calls run at the same time. By default they run on the gateway's
// workers and may block; a gateway configured as Inline calls on its event
// loops, where they must not.
//
// ctx ends when the gateway has stopped waiting for handlers. A call that
// panics closes its client with code 1011 and is logged.
type Router interface {
	Open(ctx context.Context, bus Bus, e OpenEvent)
	Message(ctx context.Context, bus Bus, e MessageEvent)
	Close(ctx context.Context, bus Bus, e CloseEvent)
}

// OpenEvent tells of a client that has connected. It is listed already: the
// Bus finds it.
type OpenEvent struct {
	// UniqID names this connection; it is never used again.
	UniqID string
	// Path is the path of the request's URL, decoded. It is empty in another
	// process than the gateway's: the protocol does not carry it.
	Path string
	// RawQuery is the query of the request's URL, without the question
	// mark.
	RawQuery string
	// XForwardedFor and XRealIP are the request's headers of those names,
	// as the client or a proxy before it wrote them: not to be trusted by
	// themselves.
	XForwardedFor string
	XRealIP       string
	// RemoteAddr is the IP address of the peer, without a port.
	RemoteAddr string
}

// MessageEvent carries one message from a client, with what the connection
// held when the event was made. That may be older than a change which a handler
// of the same client's previous message has made, if the Router runs in another
// process: whoever needs the present state asks the Bus.
type MessageEvent struct {
	UniqID     string
	CustomerID string
	Session    string
	// Topics is shared: it must not be changed.
	Topics []string
	// Data is valid until Message returns. Passing it to a Bus is safe,
	// keeping it needs a copy.
	Data []byte
}

// CloseEvent tells that a client is gone, and what the connection held. The Bus
// does not find the client any more.
type CloseEvent struct {
	UniqID     string
	CustomerID string
	Session    string
	// Topics is shared: it must not be changed.
	Topics []string
}

// noWait marks the context of a call on an event loop.
type noWait struct{}

// WithoutWaiting returns a context that tells whoever is called with it not to
// wait for anything. A gateway passes one to the calls that it makes on its
// event loops.
func WithoutWaiting(ctx context.Context) context.Context {
	return context.WithValue(ctx, noWait{}, true)
}

// MayWait reports whether a call with this context may wait: it is false on an
// event loop, see WithoutWaiting.
func MayWait(ctx context.Context) bool { return ctx.Value(noWait{}) == nil }

// Middleware wraps a Router, as net/http's middleware wraps a Handler.
type Middleware func(Router) Router

// Chain wraps r so that the first of ms sees an event first.
func Chain(r Router, ms ...Middleware) Router {
	for i := len(ms) - 1; i >= 0; i-- {
		r = ms[i](r)
	}
	return r
}

// RouterFuncs is a Router made of functions. Events whose function is nil are
// ignored.
type RouterFuncs struct {
	OnOpen    func(ctx context.Context, bus Bus, e OpenEvent)
	OnMessage func(ctx context.Context, bus Bus, e MessageEvent)
	OnClose   func(ctx context.Context, bus Bus, e CloseEvent)
}

// Open implements Router.
func (f RouterFuncs) Open(ctx context.Context, bus Bus, e OpenEvent) {
	if f.OnOpen != nil {
		f.OnOpen(ctx, bus, e)
	}
}

// Message implements Router.
func (f RouterFuncs) Message(ctx context.Context, bus Bus, e MessageEvent) {
	if f.OnMessage != nil {
		f.OnMessage(ctx, bus, e)
	}
}

// Close implements Router.
func (f RouterFuncs) Close(ctx context.Context, bus Bus, e CloseEvent) {
	if f.OnClose != nil {
		f.OnClose(ctx, bus, e)
	}
}

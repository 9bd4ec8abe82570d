package hooks

import "context"

// A Router is business code: it is called for what clients do. [RouterFuncs]
// makes one of functions.
//
// For one client the calls come one after the other: Open, then Message for
// each message in the order of arrival, then Close exactly once. Different
// clients' calls run at the same time. By default they run on the gateway's
// workers and may block; a gateway configured as Inline calls on its event
// loops, where they must not. In another process, which protocol/business
// serves, they run on goroutines of its Client's and may block; a process that
// takes a client over from another, or comes later than it, sees only what the
// client does from then on.
//
// ctx ends when the gateway has stopped waiting for handlers. It is what a
// handler passes to the methods of bus. bus may be kept and used on any
// goroutine, also after the call.
//
// A call that panics is logged. In the gateway's own process it also closes its
// client, with code 1011.
type Router interface {
	// Open tells of a client that has connected.
	Open(ctx context.Context, bus Bus, e OpenEvent)
	// Message tells of a message. e.Data is valid until it returns.
	Message(ctx context.Context, bus Bus, e MessageEvent)
	// Close tells that a client is gone.
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
	// XForwardedFor is the request's header X-Forwarded-For. If the gateway
	// has TrustedProxies it is what one of them sent, all lines of it, and
	// empty if the request came from elsewhere. If not, it is what the
	// client or a proxy before it wrote: not to be trusted by itself.
	XForwardedFor string
	// XRealIP is the header X-Real-Ip, likewise.
	XRealIP string
	// RemoteAddr is the client's IP address, without a port: that of the
	// connection's peer, or what a proxy says that the gateway was told to
	// trust, see TrustedProxies and ProxyProtocol of gateway.Config. It is
	// "invalid IP" if the peer has none.
	RemoteAddr string
}

// MessageEvent carries one message from a client, with what the connection
// held when the event was made. That may be older than a change which a handler
// of the same client's previous message has made, if the Router runs in another
// process: whoever needs the present state asks the Bus.
type MessageEvent struct {
	// UniqID names the client.
	UniqID string
	// CustomerID is the customer that it belongs to, empty if none.
	CustomerID string
	// Session is its session, empty if there is none.
	Session string
	// Topics are those that it subscribes to. The slice is shared: it may be
	// kept and must not be changed.
	Topics []string
	// Data is the message, text or binary, inflated. It is valid until
	// Message returns and must not be changed. Passing it to a Bus is safe,
	// keeping it needs a copy.
	Data []byte
}

// CloseEvent tells that a client is gone, and what the connection held. The Bus
// does not find the client any more.
type CloseEvent struct {
	// UniqID names the client.
	UniqID string
	// CustomerID is the customer that it belonged to, empty if none.
	CustomerID string
	// Session was its session, empty if there was none.
	Session string
	// Topics are those that it subscribed to. The slice is shared: it may be
	// kept and must not be changed.
	Topics []string
	// Code is that of the close frame that began the end, 1005 if that had none,
	// or 1006 if there was no such frame (RFC 6455 section 7.4.1). It is 0 in
	// another process than the gateway's, like the next two: the protocol does
	// not carry them.
	Code int
	// Reason is that frame's reason. If the client has sent it, it may say
	// anything.
	Reason string
	// Remote says that the client ended the connection, or lost it.
	Remote bool
}

// noWait marks the context of a call on an event loop.
type noWait struct{}

// WithoutWaiting returns a context that tells whoever is called with it not to
// wait for anything. A gateway passes one to the calls that it makes on its
// event loops. It may be called on any goroutine.
func WithoutWaiting(ctx context.Context) context.Context {
	return context.WithValue(ctx, noWait{}, true)
}

// MayWait reports whether a call with this context may wait: it is false on an
// event loop, see [WithoutWaiting]. It may be called on any goroutine. Routers
// and Buses that can wait ask it.
func MayWait(ctx context.Context) bool { return ctx.Value(noWait{}) == nil }

// Middleware wraps a Router, as net/http's middleware wraps a Handler. What it
// returns is called as any [Router] is, and passes on what it was called with.
type Middleware func(Router) Router

// Chain wraps r so that the first of ms sees an event first. A Router that is a
// hook besides, like hooks/remote's, must then be among the gateway's hooks, as
// the gateway cannot see it.
func Chain(r Router, ms ...Middleware) Router {
	for i := len(ms) - 1; i >= 0; i-- {
		r = ms[i](r)
	}
	return r
}

// RouterFuncs is a [Router] made of functions. Events whose function is nil are
// ignored.
type RouterFuncs struct {
	// OnOpen is called as Router.Open is.
	OnOpen func(ctx context.Context, bus Bus, e OpenEvent)
	// OnMessage is called as Router.Message is.
	OnMessage func(ctx context.Context, bus Bus, e MessageEvent)
	// OnClose is called as Router.Close is.
	OnClose func(ctx context.Context, bus Bus, e CloseEvent)
}

// Open implements [Router]: it calls OnOpen.
func (f RouterFuncs) Open(ctx context.Context, bus Bus, e OpenEvent) {
	if f.OnOpen != nil {
		f.OnOpen(ctx, bus, e)
	}
}

// Message implements [Router]: it calls OnMessage.
func (f RouterFuncs) Message(ctx context.Context, bus Bus, e MessageEvent) {
	if f.OnMessage != nil {
		f.OnMessage(ctx, bus, e)
	}
}

// Close implements [Router]: it calls OnClose.
func (f RouterFuncs) Close(ctx context.Context, bus Bus, e CloseEvent) {
	if f.OnClose != nil {
		f.OnClose(ctx, bus, e)
	}
}

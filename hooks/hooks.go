// Package hooks is what a host implements to put its own code into a gateway,
// and what it gets to act with.
//
// A [Router] is the business code: it is told of clients that come, what they
// send, and that they left. A [Bus] carries what business code wants done to
// clients, sessions and topics. Both are the same whether the business code is
// linked into the gateway or runs in another process.
//
//	echo := hooks.RouterFuncs{
//		OnMessage: func(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
//			_ = bus.SingleCast(ctx, e.UniqID, e.Data)
//		},
//	}
//	gw, err := gateway.New(gateway.Config{Router: echo, …})
//
// A client is one WebSocket connection, and its uniqId, which the gateway
// makes, names it. A customer is whoever a client belongs to, say a user: any
// text that the host chooses, and one customer may have many clients. A session
// is any text that the host has kept with a client. A topic is any text but the
// empty one; it exists while a client subscribes to it.
//
// Smaller interfaces let a host take part elsewhere: a [Limiter] refuses what
// is too much, an [Authenticator] decides who may come in, an [Admitter] who
// may stay, a [HandshakeShaper] adds response headers, a [DropObserver] sees
// what did not arrive and a [GapTeller] words it, a [CloseObserver] sees who has
// left, a [HandlerObserver] how long the Router takes, a [Runner] lives as long as
// the gateway. A gateway looks once, when it is made, which of them a value
// implements; the Router is looked at too. Where several implement the same one,
// they are called in turn, the Router first, then in the order of
// gateway.Config.Hooks; only Runners run side by side.
//
// [ByClient], [ByMessage] and [Tee] make one Router of several; [Chain] puts
// [Middleware] before one.
package hooks

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/sluicegate/sluice/protocol"
)

// An Authenticator decides, before the upgrade, whether a client may connect
// and who it is. Of several, what a later one knows goes before what an earlier
// one does, topics add up, and the first error ends it.
type Authenticator interface {
	// Authenticate is called on a goroutine of its own and may block until
	// ctx ends, which it does at the gateway's handshake time-out and, where
	// the transport can tell, when the client goes away. At most 1,024 calls
	// of Authenticators and Admitters run at a time; a handshake beyond that
	// is answered with 503.
	//
	// ctx has the values of r's context: what the host's HTTP middleware has
	// put there, if the transport is mounted in an HTTP server; and ClientAddr
	// finds the client's address in it. r has no body and must not be changed. The Identity's Topics are copied.
	//
	// A *Refusal, which may be wrapped, is answered as it says, any other
	// error with 403, its text logged and not sent, and a panic with 500.
	Authenticate(ctx context.Context, r *http.Request) (Identity, error)
}

// Identity is what is known of a client from its handshake on. The zero value
// is a client of which nothing is known.
type Identity struct {
	// CustomerID, when not empty, makes the client one of that customer's.
	CustomerID string
	// Session is an opaque string kept with the client.
	Session string
	// Topics are subscribed to before the client is open.
	Topics []string
}

// An Admitter decides, after the handshake and before the client is listed,
// whether it may stay. Where an Authenticator can turn a client away with an
// HTTP status, an Admitter can send it a message. Of several, the first error
// ends it, and all Data so far are sent.
type Admitter interface {
	// Admit is called on a goroutine of its own and may block until ctx
	// ends, which it does when the client is gone or the gateway drains. At
	// most 1,024 calls of Authenticators and Admitters run at a time; a
	// client beyond that is closed with code 1013.
	//
	// What the client sends meanwhile waits for the answer, up to the
	// gateway's InboxLimit. The Bus does not find the client yet. The
	// Admission's Data and Topics are copied.
	//
	// Without an error the client is listed and the Router told. A
	// *Disconnect, which may be wrapped, closes it as it says; any other
	// error, or a panic, with code 1011, its text logged and not sent.
	Admit(ctx context.Context, e OpenEvent) (Admission, error)
}

// Admission is an Admitter's answer.
type Admission struct {
	// Identity is what is known of the client, which goes before what an
	// Authenticator knew.
	Identity
	// Data, if any, is sent to the client: before anything else if it stays,
	// and before the close frame if not.
	Data []byte
}

// A CloseObserver is told of each client that is gone, like the Router's Close.
type CloseObserver interface {
	// Closed is called once for each client that was admitted: by the
	// observer itself if it is an Admitter, else by any Admitter, if there
	// are any. The Router may never have seen the client, as a later
	// Admitter refused it, it left before it could be listed, or listing it
	// failed. Closed is called on a loop, or on a goroutine of the
	// gateway's, before the Router's Close, and must not block. e.Topics is
	// shared: it may be kept and must not be changed. A panic is logged.
	Closed(e CloseEvent)
}

// A HandshakeShaper adds to the response that accepts a client.
type HandshakeShaper interface {
	// ShapeHandshake may add to h, for instance a cookie. It runs where the
	// client was decided about: on its loop, on its request's goroutine if
	// the transport is mounted in an HTTP server, or on the Authenticators'
	// if there are any. It must not block, change r or keep h, which all
	// shapers of one response share. Headers of the handshake itself cannot
	// be set (RFC 6455 section 4.2.2).
	ShapeHandshake(r *http.Request, h http.Header)
}

// A DropObserver sees what did not reach a client.
type DropObserver interface {
	// Dropped is called on a loop or on the goroutine of whoever issued the
	// command, on several at the same time. It must not block and must not
	// call the Bus. A panic is logged.
	Dropped(e DropEvent)
}

// A GapTeller words what a client is told that has missed messages, as it reads
// more slowly than it is sent to and the gateway drops what has no room, see Slow
// in gateway.Config. A client whose connection is closed instead need not be told.
// Of several, the first that a client has asked for is its own. [TellGaps] makes
// one.
type GapTeller interface {
	// WantsGaps reports whether a client has asked to be told, in whatever way
	// the host has agreed with it. It is called once, where its handshake is,
	// and must not block or change r.
	WantsGaps(r *http.Request) bool
	// Gap returns what the client is sent in the place of so many messages;
	// nothing if it is empty. It is called on the client's loop, when the client
	// has read up to there, and must not block. The gateway keeps what it
	// returns until it is sent. It counts as no message in the gateway's Stats.
	// A panic closes the client.
	Gap(uniqID string, messages int64) []byte
}

// TellGaps returns a [GapTeller] for clients that connect with a query parameter
// of this name, with or without a value, as in "/ws?gaps". They are sent
// {"gap":12} where 12 messages are missing.
func TellGaps(parameter string) GapTeller { return gapTeller(parameter) }

type gapTeller string

// WantsGaps implements [GapTeller].
func (g gapTeller) WantsGaps(r *http.Request) bool { return r.URL.Query().Has(string(g)) }

// Gap implements [GapTeller].
func (gapTeller) Gap(_ string, messages int64) []byte {
	return append(strconv.AppendInt([]byte(`{"gap":`), messages, 10), '}')
}

// DropEvent tells of messages that were not delivered.
type DropEvent struct {
	// UniqID names the client, or is empty if there was none to name.
	UniqID string
	// Reason says why.
	Reason DropReason
	// Messages and Bytes are how much. The bytes of messages to a client
	// include frame headers; those of messages from one do not. The reasons
	// limited, clientLimited and backlog are about messages from a client,
	// closed and budget are about either.
	Messages, Bytes int64
}

// DropReason says why messages were not delivered.
type DropReason string

// The reasons for a drop. Each has a counter in the gateway's Stats.
const (
	// DropClosed: the client was closing when the message came up for it, or
	// when a message came from it.
	DropClosed DropReason = "closed"
	// DropSlow: the client reads too slowly and passed its write limit, or has
	// read nothing for too long.
	DropSlow DropReason = "slow"
	// DropFailed: the connection ended before its socket took the message.
	DropFailed DropReason = "failed"
	// DropUnknown: a command named a client, customer or topic that is not
	// there.
	DropUnknown DropReason = "unknown"
	// DropOverload: a loop's mailbox stayed full for longer than the caller
	// could wait.
	DropOverload DropReason = "overload"
	// DropStopped: the gateway stops.
	DropStopped DropReason = "stopped"
	// DropLimited: the Limiter refused a message from a client, as there are
	// too many from all.
	DropLimited DropReason = "limited"
	// DropClientLimited: the Limiter refused a message from a client that
	// sends too many itself.
	DropClientLimited DropReason = "clientLimited"
	// DropBacklog: a client sent more than its handler could keep up with.
	DropBacklog DropReason = "backlog"
	// DropSuperseded: the client reads too slowly, and a later message with the
	// same key took its place.
	DropSuperseded DropReason = "superseded"
	// DropBudget: all clients together held more than the gateway's memory
	// budget, and this one was closed.
	DropBudget DropReason = "budget"
	// DropMalformed: a bulk command whose lists do not pair up.
	DropMalformed DropReason = "malformed"
)

// A HandlerObserver learns how long the Router's calls take. Without one, the
// gateway does not look.
type HandlerObserver interface {
	// Handled is called after each call of the Router, also one that has
	// panicked, on the goroutine that made it: a worker, or a loop if the
	// gateway is Inline. It must not block and must not call the Bus. A panic
	// is logged.
	Handled(kind EventKind, took time.Duration)
}

// EventKind is which call of the Router an event is for.
type EventKind string

// The calls of a Router.
const (
	EventOpen    EventKind = "open"
	EventMessage EventKind = "message"
	EventClose   EventKind = "close"
)

// A Runner is a hook that lives as long as the gateway.
type Runner interface {
	// Run is called on a goroutine of its own once the gateway accepts
	// clients, and not at all if it never does. ctx ends when the gateway
	// has stopped: the clients are gone, and the Router's calls have returned
	// or were given up. Run must return soon after; the gateway waits for
	// it. An error that comes earlier stops the gateway, nil does not. A
	// panic is an error.
	Run(ctx context.Context, bus Bus) error
}

// A Limiter refuses what is too much. Its methods are called on the loops, and
// on other goroutines of the gateway's, several at the same time. They must not
// block. Package hooks/limit has one.
type Limiter interface {
	// Open is asked before a handshake from ip goes on, and before an
	// Authenticator is. nil admits the client; a *Refusal, which may be
	// wrapped, is answered as it says, any other error with 429. ip is the
	// client's address as the gateway knows it, see OpenEvent.RemoteAddr, and
	// is the zero Addr if it has none. An IPv4 address is never in its IPv6
	// form.
	Open(ip netip.Addr) error
	// Message is asked before a message of size bytes, after inflating, goes
	// to the Router; heartbeats are not asked about. An error drops the
	// message, which is counted: as the client's own fault if it is
	// ErrClientLimited. The client is not told, unless the error is a
	// *Disconnect as well, which may be wrapped or joined with another: that
	// closes the client as it says, and what it has sent behind the message
	// is not looked at (RFC 6455 section 1.4).
	Message(uniqID string, size int) error
	// Close is told that a client which Open admitted is gone. uniqID is
	// empty if the client never got so far as to be open. ip is what Open
	// was given.
	Close(uniqID string, ip netip.Addr)
}

// Errors for a Limiter to return from Message.
var (
	// ErrLimited says that there are too many messages from all clients.
	ErrLimited = errors.New("sluice: too many messages")
	// ErrClientLimited says that there are too many from this client.
	ErrClientLimited = errors.New("sluice: too many messages from this client")
)

// Limits are rates that a Limiter keeps for all clients together; 0 means that
// there is no such limit. To [Bus.Limit] and [LimitSetter], 0 means to leave it.
type Limits struct {
	// OnOpen is how many clients may connect, per second.
	OnOpen int
	// OnMessage is how many messages clients may send, per second.
	OnMessage int
}

// A LimitSetter is a Limiter whose limits can be asked and changed: what the
// Limit command, [Bus.Limit], does.
type LimitSetter interface {
	// SetLimits puts those fields of l that are above 0 in force and returns
	// the limits that then are. It may be called on any goroutine.
	SetLimits(l Limits) Limits
}

// A Forwarder is a hook that hands events to other processes.
type Forwarder interface {
	// FailedSends returns how many events it was given and could not hand
	// over, since it was made: MetricFailedSends. It may be called on any
	// goroutine and must not block.
	FailedSends() int64
}

// A NodeNamer is a hook that knows how uniqIds begin, for instance because it
// listens where other processes send their commands. It is asked once, when
// the gateway is made, if the gateway is not told otherwise.
type NodeNamer interface {
	// Node returns the first six bytes of every uniqId, or the zero Node if
	// it knows none. It is called by gateway.New.
	Node() protocol.Node
}

// A Refusal is an error that answers a handshake with an HTTP status. The
// gateway only reads it, so that one value may serve for many handshakes.
type Refusal struct {
	// Status is the HTTP status (RFC 9110 section 15). Zero means 403 from
	// an Authenticator and 429 from a Limiter.
	Status int
	// Header is added to the response and may be nil. A Retry-After tells a
	// client when to come back.
	Header http.Header
	// Reason is sent as the body, which any client can read.
	Reason string
}

// Error implements error.
func (r *Refusal) Error() string {
	if r.Reason == "" {
		return "hooks: handshake refused"
	}
	return "hooks: handshake refused: " + r.Reason
}

// Package hooks is what a host implements to put its own code into a gateway,
// and what it gets to act with.
//
// A [Router] is the business code: it is told of clients that come, what they
// send, and that they left. A [Bus] carries what business code wants done to
// clients, sessions and topics. Both are the same whether the business code is
// linked into the gateway or runs in another process.
//
// Smaller interfaces let a host take part elsewhere: a [Limiter] refuses what
// is too much, an [Authenticator] decides who may come in, an [Admitter] who
// may stay, a [HandshakeShaper] adds response headers, a [DropObserver] sees
// what did not arrive, a [CloseObserver] who has left, a [Runner] lives as long
// as the gateway. A gateway looks once, when it is made, which of them a value
// implements; the Router is looked at too.
//
// [ByClient], [ByMessage] and [Tee] make one Router of several.
package hooks

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"

	"github.com/sluicegate/sluice/protocol"
)

// An Authenticator decides, before the upgrade, whether a client may connect
// and who it is.
type Authenticator interface {
	// Authenticate is called on a goroutine of its own and may block until
	// ctx ends, which it does at the gateway's handshake time-out and, where
	// the transport can tell, when the client goes away. ctx has the values of
	// r's context: what the host's HTTP middleware has put there, if the
	// transport is mounted in an HTTP server. r must not be changed. A *Refusal is answered as it says, any other error
	// with 403, its text logged and not sent.
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
// HTTP status, an Admitter can send it a message.
type Admitter interface {
	// Admit is called on a goroutine of its own and may block until ctx
	// ends, which it does when the client is gone or the gateway stops.
	// What the client sends meanwhile waits for the answer. Without an
	// error the client is listed and the Router told; a *Disconnect closes
	// it as it says, and any other error with code 1011, its text logged
	// and not sent.
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

// A Disconnect is an error that closes a client.
type Disconnect struct {
	// Code is the close code, RFC 6455 section 7.4.
	Code int
	// Reason is sent with it, at most 123 bytes of UTF-8.
	Reason string
}

// Error implements error.
func (d *Disconnect) Error() string {
	return fmt.Sprintf("hooks: client disconnected: %d %s", d.Code, d.Reason)
}

// A CloseObserver is told of each client that is gone, like the Router's Close.
type CloseObserver interface {
	// Closed is called once for each client that was admitted: by the
	// observer itself if it is an Admitter, else by any Admitter, if there
	// are any. The Router may never have seen the client, as a later
	// Admitter refused it, it left before it could be listed, or listing it
	// failed. Closed is called on a loop, or on a goroutine of the
	// gateway's, and must not block.
	Closed(e CloseEvent)
}

// A HandshakeShaper adds to the response that accepts a client.
type HandshakeShaper interface {
	// ShapeHandshake may add to h, for instance a cookie. It runs on the
	// client's loop, or on the authenticator's goroutine if there is one,
	// and must not block. Headers of the handshake itself cannot be set.
	ShapeHandshake(r *http.Request, h http.Header)
}

// A DropObserver sees what did not reach a client.
type DropObserver interface {
	// Dropped is called on a loop or on the goroutine of whoever issued the
	// command. It must not block and must not call the Bus.
	Dropped(e DropEvent)
}

// DropEvent tells of messages that were not delivered.
type DropEvent struct {
	// UniqID names the client, or is empty if there was none to name.
	UniqID string
	Reason DropReason
	// Messages and Bytes, the latter with frame headers, are how much.
	Messages, Bytes int64
}

// DropReason says why messages were not delivered.
type DropReason string

// The reasons for a drop. Each has a counter in the gateway's Stats.
const (
	// DropClosed: the client was closing when the message came up for it.
	DropClosed DropReason = "closed"
	// DropSlow: the client reads too slowly and passed its write limit.
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
	// DropMalformed: a bulk command whose lists do not pair up.
	DropMalformed DropReason = "malformed"
)

// A Runner is a hook that lives as long as the gateway.
type Runner interface {
	// Run is called on a goroutine of its own once the gateway accepts
	// clients. It must return soon after ctx ends; the gateway waits for
	// it. An error that comes earlier stops the gateway.
	Run(ctx context.Context, bus Bus) error
}

// A Limiter refuses what is too much. Its methods run on the loops and must
// not block.
type Limiter interface {
	// Open is asked before a handshake from ip goes on. nil admits the
	// client; a *Refusal is answered as it says, any other error with 429.
	Open(ip netip.Addr) error
	// Message is asked before a message of size bytes goes to the Router. An
	// error drops the message, which is counted: as the client's own fault
	// if it is ErrClientLimited.
	Message(uniqID string, size int) error
	// Close is told that a client which Open admitted is gone. uniqID is
	// empty if the client never got so far as to be open.
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
// there is no such limit.
type Limits struct {
	// OnOpen is how many clients may connect per second.
	OnOpen int
	// OnMessage is how many messages clients may send per second.
	OnMessage int
}

// A LimitSetter is a Limiter whose limits can be asked and changed: what the
// Limit command does.
type LimitSetter interface {
	// SetLimits puts those fields of l that are above 0 in force and returns
	// the limits that then are. It may be called on any goroutine.
	SetLimits(l Limits) Limits
}

// A Forwarder is a hook that hands events to other processes.
type Forwarder interface {
	// FailedSends returns how many events it was given and could not hand
	// over, since it was made: item 10 of the metrics. It may be called on
	// any goroutine.
	FailedSends() int64
}

// A NodeNamer is a hook that knows how uniqIds begin, for instance because it
// listens where other processes send their commands. It is asked once, when
// the gateway is made, if the gateway is not told otherwise.
type NodeNamer interface {
	Node() protocol.Node
}

// A Refusal is an error that answers a handshake with an HTTP status.
type Refusal struct {
	// Status is the HTTP status. Zero means 403 from an Authenticator and
	// 429 from a Limiter.
	Status int
	// Header is added to the response and may be nil. A Retry-After tells a
	// client when to come back.
	Header http.Header
	// Reason is sent as the body.
	Reason string
}

// Error implements error.
func (r *Refusal) Error() string {
	if r.Reason == "" {
		return "hooks: handshake refused"
	}
	return "hooks: handshake refused: " + r.Reason
}

// Package transport is the seam between a gateway and whatever carries its
// WebSocket connections: an event engine, net/http, or memory.
//
// A [Transport] accepts connections, speaks RFC 6455 on them and reports to a
// [Handler]. Every connection belongs for its whole life to one [Loop], a
// single thread of control; that is what keeps a client's messages in order
// without a lock per client. Work for a loop is posted to its FIFO mailbox as
// a [Task], from any goroutine.
//
// The package holds no behaviour but the arithmetic of a [Budget]. Hosts use it only to name the transports
// they hand to a gateway; authors of transports implement it, and have package
// gateway/conformance test that they do.
//
//	gateway.Config{Transports: []transport.Transport{gnet.Listen("127.0.0.1:6060")}}
//
// Where a comment says on a loop, it means on that loop's thread of control.
package transport

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// A Transport accepts WebSocket connections and serves them on its loops.
type Transport interface {
	// Serve accepts connections until ctx ends, then closes those that are
	// left (RFC 6455 section 7.4.1, code 1001), ends its goroutines and
	// returns nil. It returns an error when it cannot start, or when it stops
	// although ctx has not ended. It blocks and may be called once, on any
	// goroutine. h is not called after it has returned, save for a late
	// Abort.
	Serve(ctx context.Context, o Options, h Handler) error
}

// Options is what a gateway tells its transports. The gateway fills in every
// field; a transport needs to apply no defaults. It must not change the slices, nor
// those that Origins returns.
type Options struct {
	// Path is the only request path that is upgraded; others get a 404.
	// Empty means any path, as suits transports mounted in a host's own mux.
	Path string
	// Subprotocols are those that the server speaks, the preferred first
	// (RFC 6455 section 1.9). Empty means none.
	Subprotocols []string
	// Origins returns the allowed origins, in any case; none means same origin
	// only, "*" allows all. Requests without one are allowed (RFC 6455 section
	// 10.2). It is called for each handshake, on any goroutine, as what it
	// returns may be another slice each time; it does not block. Nil means same
	// origin only.
	Origins func() []string
	// Compression accepts permessage-deflate (RFC 7692) when offered.
	Compression bool
	// ProxyProtocol are the networks of peers that begin each connection with a
	// header of the PROXY protocol, version 2 (HAProxy's proxy-protocol.txt,
	// section 2.2). Its source is then the connection's peer, in Handshake and
	// Conn; a connection from there without one is cut. From others none is
	// read. A transport that cannot read it returns an error from Serve if
	// there are any. Empty means that no peer does.
	ProxyProtocol []netip.Prefix

	// MaxHeader bounds a request's head, in bytes, where the transport reads
	// it itself.
	MaxHeader int
	// MaxMessage bounds one message from a client after inflating, in bytes.
	MaxMessage int
	// WriteLimit bounds what may wait for one client that does not read, in
	// bytes.
	WriteLimit int
	// Slow says what becomes of a client that would pass WriteLimit.
	Slow SlowPolicy
	// Gap, unless it is nil, is called on c's loop where so many messages are
	// missing from what c gets, by a SlowPolicy other than SlowClose. What it
	// returns is sent in their place; nil sends nothing. It is not called for
	// messages that were superseded.
	Gap func(c Conn, messages int64) *Frame
	// Budget bounds what all connections together hold: what of messages has
	// arrived, and what waits for clients that do not read. Nil is no bound.
	Budget *Budget
	// MailboxLimit bounds what may wait for one loop, in bytes as Task.Weight
	// returns them. A task that comes when it is not reached is taken, however
	// large it is.
	MailboxLimit int

	// HandshakeTimeout ends connections that have not completed their
	// handshake.
	HandshakeTimeout time.Duration
	// IdleTimeout ends connections from which nothing was received for so
	// long, with code 1001. Zero means never.
	IdleTimeout time.Duration
	// StallTimeout ends connections that something waits for and that have
	// taken nothing for so long, with code 1013. Zero means never.
	StallTimeout time.Duration
	// CloseTimeout is how long a peer may take to answer a close frame
	// before its connection is cut (RFC 6455 section 7.1.1).
	CloseTimeout time.Duration

	// Meter, unless it is nil, is called for each loop when it is made, on any
	// goroutine, with a function that returns what the loop does and has done. That
	// may be called on any goroutine, at any time, also after Serve has returned,
	// and waits for nothing that the loop does.
	Meter func(l Loop, read func() LoopStats)
	// Logger gets the log. It is never nil.
	Logger *slog.Logger
	// Ready is called by the transport, on any goroutine, once, when it
	// accepts connections at addr. It is never nil and does not block.
	Ready func(addr net.Addr)
}

// A Handler is told what happens on connections. All calls for one connection
// come on its loop, one after the other, save where a comment says otherwise;
// calls for connections of different loops come at the same time. An
// implementation must not block in them. A panic in a call closes that
// connection, with code 1011 or status 500, and is logged.
type Handler interface {
	// Handshake decides about a request that is a valid WebSocket
	// handshake. It must lead to exactly one call of hs.Accept or hs.Refuse,
	// at once or later, from any goroutine. Transports that are mounted in a
	// host's HTTP server call it on the request's goroutine, before the
	// connection has a loop.
	Handshake(hs Handshake)
	// Open reports that an accepted connection is open.
	Open(c Conn)
	// Message reports a whole message, unmasked and inflated; binary tells
	// the two opcodes apart (RFC 6455 section 5.6), and text is UTF-8. data
	// is valid until Message returns.
	Message(c Conn, data []byte, binary bool)
	// Ping reports a ping or pong frame. Pings are answered already.
	Ping(c Conn)
	// Close reports the end of a connection for which Open was called. It
	// comes exactly once, when a close frame is queued or the connection has
	// ended without one, and nothing but Dropped comes after it. It may come
	// inside a call of c's Close or Send.
	Close(c Conn, cause CloseCause)
	// Abort reports the end of a connection that was accepted in Handshake
	// but ended before it was open. value is what Accept was given. It may
	// come on any goroutine, that which called Accept included.
	Abort(value any)
	// Written adds to the count of messages, and their bytes with frame
	// headers, that the peers' sockets have taken. It comes on a loop, for
	// any number of its connections together.
	Written(messages, bytes int64)
	// Dropped reports messages that will not reach c, and their bytes with
	// frame headers. It may come inside a call of c's Send.
	Dropped(c Conn, reason DropReason, messages, bytes int64)
}

// An Adopter is a Transport that serves connections whose opening handshake was
// made elsewhere, for instance by an HTTP server.
type Adopter interface {
	Transport
	// Adopt serves conn on one of the transport's loops. The 101 response must
	// have been sent. It waits until the connection is open, and may be called
	// on any goroutine but a loop's.
	//
	// With an error conn is the caller's still, and untouched: the transport
	// does not serve now, or cannot serve this kind of connection. The error
	// is then ErrNotAdopted, to be tested for with errors.Is. Without one
	// conn is the transport's, which reports to u.Handler what becomes of it:
	// Open, or Abort if it ends before.
	Adopt(conn net.Conn, u Upgrade) error
	// CloseAdopted begins to close all connections that were adopted, with
	// this code and reason (RFC 6455 section 7.4). It does not wait, and may
	// be called on any goroutine.
	CloseAdopted(code int, reason string)
}

// An Upgrade is what an opening handshake has led to.
type Upgrade struct {
	// Handler is whom the handshake was reported to. It must be the one that
	// the transport serves.
	Handler Handler
	// Value is what Handshake.Accept was given.
	Value any
	// RemoteAddr is the peer's address as the handshake had it. Nil means the
	// connection's own.
	RemoteAddr net.Addr
	// Compressed says that permessage-deflate was agreed (RFC 7692).
	Compressed bool
	// Received is what the peer has sent behind its request. It may be
	// overwritten and is not kept.
	Received []byte
}

// ErrNotAdopted is returned by [Adopter.Adopt] for connections that the transport
// cannot serve, now or ever. The caller serves them itself, or closes them.
var ErrNotAdopted = errors.New("transport: the connection cannot be adopted")

// CloseCause says how a connection ended.
type CloseCause struct {
	// Code is that of the close frame that began the end, 1005 if that had
	// none, or 1006 when the connection ended without a close frame (RFC 6455
	// sections 7.1.5 and 7.4.1).
	Code int
	// Reason is that frame's reason, or empty (RFC 6455 section 7.1.6). A
	// client may write anything into its own.
	Reason string
	// Remote is true when the client sent its close frame first or went
	// away without one.
	Remote bool
}

// A DropReason says why a message did not reach a client: one of the constants
// below.
type DropReason uint8

// The reasons for which a transport drops messages.
const (
	// DropClosed: the connection was closed, or closing, when the message
	// came up for it.
	DropClosed DropReason = iota
	// DropSlow: the connection passed its WriteLimit or its StallTimeout.
	DropSlow
	// DropFailed: the connection ended before its socket took the message.
	DropFailed
	// DropSuperseded: a later message with the same key came while it
	// waited, see SlowLatest.
	DropSuperseded
	// DropBudget: the connection was closed as all together held too much,
	// see Options.Budget.
	DropBudget
)

// A SlowPolicy says what becomes of a client that reads more slowly than it is
// sent to, once what waits for it would pass Options.WriteLimit. Whichever it is,
// nothing of it happens while the client keeps up.
type SlowPolicy uint8

// The policies for slow clients.
const (
	// SlowClose closes the client with code 1013 and drops what waits.
	SlowClose SlowPolicy = iota
	// SlowDropNewest drops the message that has no room.
	SlowDropNewest
	// SlowDropOldest drops what has waited longest, until there is room.
	SlowDropOldest
	// SlowLatest keeps, of the messages that wait and have a Frame.Key, only
	// the latest with each key; earlier ones are dropped at once. A client
	// that passes its limit all the same is closed.
	SlowLatest
)

// A Handshake is an upgrade request that waits for a decision. Its methods may be
// called on any goroutine. A request that has waited for Options.HandshakeTimeout
// is refused; a decision after that, or when the client is gone or the transport
// stops, comes too late.
type Handshake interface {
	// Path is the decoded path of the request's URL, see net/url.URL.
	Path() string
	// RawQuery is the query of the request's URL, not decoded and without
	// its question mark.
	RawQuery() string
	// Values returns the values of a field of the request, one for each of
	// its lines, or nil if there is none, as http.Header.Values does. They
	// must not be changed.
	Values(name string) []string
	// Request is the request; its body is empty. It must not be changed. Its
	// context has the values that the host's HTTP middleware has put there,
	// and ends when the client goes away, where the transport can tell. It
	// may be made when it is first asked for, which costs more than what
	// the methods above tell; it is the same each time.
	Request() *http.Request
	// RemoteAddr is the peer's address.
	RemoteAddr() net.Addr
	// Accept completes the handshake with status 101. value becomes the
	// connection's Value; header, which may be nil, is added to the response,
	// less what is the handshake's own (RFC 6455 section 4.2.2), and is not
	// kept. It leads to Handler.Open, or to Handler.Abort if it comes too late
	// or a second time.
	Accept(value any, header http.Header)
	// Refuse answers with an HTTP status (RFC 9110 section 15) and closes the
	// connection. header may be nil and is not kept; reason becomes the body.
	// It does nothing if it comes too late or a second time.
	Refuse(status int, header http.Header, reason string)
}

// A Conn is one client's connection. Its methods may be called on its own
// loop only, save Loop and Value, which any goroutine may call once the
// connection is open.
type Conn interface {
	// Loop returns the loop that the connection belongs to.
	Loop() Loop
	// Value returns what was given to Handshake.Accept.
	Value() any
	// Send queues f for the client and never blocks: it is written when the
	// loop next flushes, together with everything else that waits for the
	// client. What cannot be delivered is reported by Handler.Dropped.
	// Options.Slow says what becomes of a client that would pass
	// Options.WriteLimit.
	Send(f *Frame)
	// Close sends what is queued and a close frame, drops what is sent
	// later, and ends the connection when the peer answers or CloseTimeout
	// has passed (RFC 6455 section 7.1.2). It calls Handler.Close, and does
	// not wait. reason has at most 123 bytes of UTF-8; what is longer is cut.
	// Repeated calls do nothing.
	Close(code int, reason string)
	// RemoteAddr returns the peer's address.
	RemoteAddr() net.Addr
	// Compressed reports whether permessage-deflate is in use (RFC 7692).
	Compressed() bool
	// Waiting returns how many bytes were sent and not yet taken by the
	// socket.
	Waiting() int
}

// A Frame is one or more messages encoded once for all their recipients. Any
// number of connections on any loops may share it, and it must not be changed
// once it was given to Send, nor the bytes that it refers to.
type Frame struct {
	// Plain is the encoding every client understands: whole frames with
	// their headers (RFC 6455 section 5.2), as package websocket makes them.
	Plain []byte
	// Deflated, when not nil, is sent to clients that negotiated
	// permessage-deflate.
	Deflated []byte
	// Messages is the number of messages in the frame, for the counts. Zero
	// is for control frames, which are not counted.
	Messages int
	// Key, unless it is empty, says what the message is about: it takes the
	// place of an earlier one with the same key, see SlowLatest.
	Key string
}

// A Loop runs its connections and their tasks, one thing at a time. Its methods
// may be called on any goroutine, save Wait on a loop. A Loop can be compared with
// another and be the key of a map.
type Loop interface {
	// Index counts the loops of a transport from zero. It is stable.
	Index() int
	// Post appends t to the loop's FIFO mailbox. It never blocks. It returns
	// ErrMailboxFull when MailboxLimit is reached, or ErrStopped, and has
	// then not taken t, of which it calls Weight alone.
	Post(t Task) error
	// PostAlways is Post that takes t even when the mailbox is full. It is
	// for tasks that must not be lost and of which there is at most a small
	// number for each connection. Its only error is ErrStopped.
	PostAlways(t Task) error
	// Wait blocks until the mailbox has room, which others may take before
	// the caller does, or until ctx ends, whose error it returns, or until
	// the loop does. It must not be called on a loop, as that would wait for
	// itself.
	Wait(ctx context.Context) error
}

// A Task is work for a loop, which owns it once Post has taken it.
type Task interface {
	// Run does some of the work, at most about budget steps, a step being
	// one recipient. It returns the steps taken and whether it is done; if
	// not, it is called again before any later task. It is called on the
	// loop and must not block. A panic is logged and ends the task.
	Run(budget int) (steps int, done bool)
	// Weight returns how many recipients the task has, and how many bytes
	// it holds while it waits. It is called by Post, on its caller's
	// goroutine, and on the loop when the task is done. Nothing but Merge
	// may change the bytes between the two.
	Weight() (recipients, bytes int)
	// Drop is called, once, instead of Run or of what is left of it when the
	// loop ends first. It must not block.
	Drop()
}

// A Merger is a Task that can take over the work of the task behind it.
type Merger interface {
	Task
	// Merge takes over next's work, adding its bytes to what Weight returns,
	// and returns true; or it returns false, as it must once it has begun to
	// run. It is called on the loop. next is not used afterwards.
	Merge(next Task) bool
}

// Errors of a [Loop].
var (
	// ErrMailboxFull says that a loop cannot keep up: wait, see Loop.Wait,
	// or drop the task.
	ErrMailboxFull = errors.New("transport: the loop's mailbox is full")
	// ErrStopped says that the loop has ended or is ending, and its
	// connections with it.
	ErrStopped = errors.New("transport: the loop has stopped")
)

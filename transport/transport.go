// Package transport is the seam between a gateway and whatever carries its
// WebSocket connections: an event engine, net/http, or memory.
//
// A [Transport] accepts connections, speaks RFC 6455 on them and reports to a
// [Handler]. Every connection belongs for its whole life to one [Loop], a
// single thread of control; that is what keeps a client's messages in order
// without a lock per client. Work for a loop is posted to its FIFO mailbox as
// a [Task], from any goroutine.
//
// The package holds no behaviour. Hosts use it only to name the transports
// they hand to a gateway; authors of transports implement it.
package transport

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// A Transport accepts WebSocket connections and serves them on its loops.
type Transport interface {
	// Serve accepts connections until ctx ends, then closes those that are
	// left (RFC 6455 code 1001), ends its goroutines and returns nil. It
	// returns an error when it cannot start, or when it stops although ctx
	// has not ended. It blocks and may be called once.
	Serve(ctx context.Context, o Options, h Handler) error
}

// Options is what a gateway tells its transports. The gateway fills in every
// field; a transport needs to apply no defaults.
type Options struct {
	// Path is the only request path that is upgraded; others get a 404.
	// Empty means any path, as suits transports mounted in a host's own mux.
	Path string
	// Subprotocols are offered in order of preference (RFC 6455 1.9).
	Subprotocols []string
	// Origins are the allowed origins; empty means same origin only, "*"
	// allows all.
	Origins []string
	// Compression accepts permessage-deflate (RFC 7692) when offered.
	Compression bool

	// MaxHeader bounds a request's head, in bytes, where the transport reads
	// it itself.
	MaxHeader int
	// MaxMessage bounds one message from a client after inflating, in bytes.
	MaxMessage int
	// WriteLimit bounds what may wait for one client, in bytes. A client
	// that would pass it is closed.
	WriteLimit int
	// MailboxLimit bounds what may wait for one loop, in bytes.
	MailboxLimit int

	// HandshakeTimeout ends connections that have not completed their
	// handshake.
	HandshakeTimeout time.Duration
	// IdleTimeout ends connections from which nothing was received for so
	// long, with code 1001. Zero means never.
	IdleTimeout time.Duration
	// CloseTimeout is how long a peer may take to answer a close frame.
	CloseTimeout time.Duration

	// Logger is never nil.
	Logger *slog.Logger
	// Ready is called once, when the transport accepts connections at addr.
	Ready func(addr net.Addr)
}

// A Handler is told what happens on connections. All calls for one connection
// come from its loop's thread of control, one after the other; an
// implementation must not block in them. A panic in a call closes that
// connection and is logged.
type Handler interface {
	// Handshake decides about a request that is a valid WebSocket
	// handshake. It must lead to exactly one call of hs.Accept or hs.Refuse,
	// at once or later, from any goroutine. Transports that are mounted in a
	// host's HTTP server call it on the request's goroutine, before the
	// connection has a loop.
	Handshake(hs Handshake)
	// Open reports that an accepted connection is open.
	Open(c Conn)
	// Message reports a whole message. data is valid until Message returns.
	Message(c Conn, data []byte, binary bool)
	// Ping reports a ping or pong frame. Pings are answered already.
	Ping(c Conn)
	// Close reports the end of a connection for which Open was called. It
	// comes exactly once, and nothing comes after it.
	Close(c Conn, cause CloseCause)
	// Abort reports the end of a connection that was accepted in Handshake
	// but ended before it was open. value is what Accept was given. It may
	// come on the goroutine that called Accept.
	Abort(value any)
	// Written adds to the count of messages, and their bytes with frame
	// headers, that the peers' sockets have taken.
	Written(messages, bytes int64)
	// Dropped reports messages that will not reach c, and their bytes.
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
	// does not serve now, or cannot serve this kind of connection. Without one
	// it is the transport's, which reports to u.Handler what becomes of it:
	// Open, or Abort if it ends before.
	Adopt(conn net.Conn, u Upgrade) error
	// CloseAdopted begins to close all connections that were adopted, with
	// this code and reason. It does not wait, and may be called on any
	// goroutine.
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
	// Compressed says that permessage-deflate was agreed.
	Compressed bool
	// Received is what the peer has sent behind its request. It is not kept.
	Received []byte
}

// ErrNotAdopted is returned by Adopter.Adopt for connections that the transport
// cannot serve, now or ever.
var ErrNotAdopted = errors.New("transport: the connection cannot be adopted")

// CloseCause says how a connection ended.
type CloseCause struct {
	// Code and Reason are those of the close frame that began the end, or
	// 1006 when the connection ended without one (RFC 6455 7.1.5).
	Code   int
	Reason string
	// Remote is true when the client sent its close frame first or went
	// away without one.
	Remote bool
}

// A DropReason says why a message did not reach a client.
type DropReason uint8

// The reasons for which a transport drops messages.
const (
	// DropClosed: the connection was closed, or closing, when the message
	// came up for it.
	DropClosed DropReason = iota
	// DropSlow: the connection passed its WriteLimit.
	DropSlow
	// DropFailed: the connection ended before its socket took the message.
	DropFailed
)

// A Handshake is an upgrade request that waits for a decision.
type Handshake interface {
	// Request is the request; its body is empty. It must not be changed. Its
	// context has the values that the host's HTTP middleware has put there,
	// and ends when the client goes away, where the transport can tell.
	Request() *http.Request
	// RemoteAddr is the peer's address.
	RemoteAddr() net.Addr
	// Accept completes the handshake. value becomes the connection's Value;
	// header, which may be nil, is added to the response. It may be called
	// on any goroutine.
	Accept(value any, header http.Header)
	// Refuse answers with an HTTP status and closes the connection. header
	// may be nil; reason becomes the body. It may be called on any
	// goroutine.
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
	Send(f *Frame)
	// Close sends what is queued and a close frame, drops what is sent
	// later, and ends the connection when the peer answers or CloseTimeout
	// has passed. Repeated calls do nothing.
	Close(code int, reason string)
	// RemoteAddr returns the peer's address.
	RemoteAddr() net.Addr
	// Compressed reports whether permessage-deflate is in use.
	Compressed() bool
}

// A Frame is one or more messages encoded once for all their recipients. It
// must not be changed once it was given to Send.
type Frame struct {
	// Plain is the encoding every client understands.
	Plain []byte
	// Deflated, when not nil, is sent to clients that negotiated
	// permessage-deflate.
	Deflated []byte
	// Messages is the number of messages in the frame.
	Messages int
}

// A Loop runs its connections and their tasks, one thing at a time.
type Loop interface {
	// Index counts the loops of a transport from zero. It is stable.
	Index() int
	// Post appends t to the loop's FIFO mailbox. It never blocks and may be
	// called on any goroutine. It returns ErrMailboxFull, and has not taken
	// t, when MailboxLimit is reached, or ErrStopped.
	Post(t Task) error
	// PostAlways is Post that takes t even when the mailbox is full. It is
	// for tasks that must not be lost and of which there is at most a small
	// number for each connection.
	PostAlways(t Task) error
	// Wait blocks until the mailbox has room or ctx ends. It must not be
	// called on a loop's own thread of control.
	Wait(ctx context.Context) error
}

// A Task is work for a loop.
type Task interface {
	// Run does some of the work, at most about budget steps, a step being
	// one recipient. It returns the steps taken and whether it is done; if
	// not, it is called again before any later task.
	Run(budget int) (steps int, done bool)
	// Weight returns how many recipients the task has, and how many bytes
	// it holds while it waits.
	Weight() (recipients, bytes int)
	// Drop is called instead of Run when the loop ends first.
	Drop()
}

// A Merger is a Task that can take over the work of the task behind it.
type Merger interface {
	Task
	// Merge takes over next's work, adding its bytes to what Weight returns,
	// and returns true; or it returns false, as it must once it has begun to
	// run. next is not used afterwards.
	Merge(next Task) bool
}

// Errors of Loop.Post.
var (
	// ErrMailboxFull says that a loop cannot keep up; wait or drop.
	ErrMailboxFull = errors.New("transport: the loop's mailbox is full")
	// ErrStopped says that the loop has ended or is ending.
	ErrStopped = errors.New("transport: the loop has stopped")
)

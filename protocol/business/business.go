// Package business is for business processes written in Go: it serves a
// [hooks.Router] over the protocol's wire and implements the same [hooks.Bus],
// so that a handler does not notice whether it is linked into a gateway or runs
// in a process of its own.
//
//	client, err := business.New(business.Config{
//		Gateways: []business.Gateway{{Worker: "127.0.0.1:6061", Task: "127.0.0.1:6062"}},
//		Router:   &chat{},
//	})
//	if err != nil {
//		return err
//	}
//	return client.Run(ctx)
//
// Without a Router, a [Client] is a Bus for programs that only push and ask.
//
// # Order
//
// A client's events are handled one after the other. The Bus that a handler is
// given keeps the order of its commands, also from one event of a client to the
// next, as they all go over one connection to each gateway. The Client itself,
// used as a Bus, keeps the order of all its commands, and [Client.Lane] makes
// more such Buses.
//
// # Several gateways
//
// A uniqId names its gateway, and commands to it go there. All other commands
// go to all gateways, and so do questions, whose answers are merged: lists are
// joined without duplicates, counts and rates are added, maps are merged. A
// customer or topic that is on two gateways therefore counts twice. Of limits, which
// each gateway is given, the lowest that is in force is returned. If some gateways
// do not answer, there is an error, and beside it what the others answered.
//
// The same goes for gateways that are one, as a cluster: list all of them, or list one
// that carries out commands on the whole cluster, see hooks/remote's
// Config.WholeCluster. Several of that kind would each say everything to everybody.
//
// # Trust
//
// A gateway on the same computer takes any process, one elsewhere those that it
// is told to: by Config.Secret, which both know, by a client certificate in
// Config.TLS, or by their network. A process that a gateway does not let in goes
// on trying, and says so in the log; [ErrRefused] tells it from a network that
// fails.
//
// # Failures
//
// Connections are made again when they break, and the process registers again.
// Commands that were not written to a connection that broke are sent over the
// next one, in order. Those that were written, and not followed by an answer,
// may or may not have been carried out; they are not repeated, and counted.
// A command that is cut off three times while it is written, as one that is
// larger than the gateway takes is, is dropped, counted and logged.
//
// A command returns when it waits to be sent; what comes of it at the gateway, it
// does not tell. It waits itself, while the gateway is not connected or does not
// read, within its context and Config.Wait, and then returns an
// [*UnreachableError] or [hooks.ErrOverloaded]: that gateway has not taken it, the
// others have.
//
// When the client stops, whoever waits gets an error that is
// [hooks.ErrStopped], as does every later command.
package business

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/secret"
	"github.com/sluicegate/sluice/protocol"
)

// Config says how a Client works. Only Gateways must be set; the zero value of
// every other field is a safe default, and negative values are errors. New keeps
// the slice, which must not be changed afterwards.
type Config struct {
	// Gateways are the gateways to serve. There must be at least one.
	Gateways []Gateway
	// Router is the business code. It is called on goroutines of the
	// Client's and may block. Nil registers for no events.
	Router hooks.Router
	// Events are the events to register for, a set of bits: protocol's
	// Event_OnOpen, Event_OnMessage and Event_OnClose. Zero means all three.
	Events protocol.Event_Bit

	// Workers bounds the Router's calls that run at the same time. Zero means
	// 1,024.
	Workers int
	// Backlog bounds the events that were received and are not yet handled,
	// in bytes, each counting 64 more. Beyond it the gateways are not
	// listened to, so that events wait there. Zero means 16 MiB.
	Backlog int
	// TaskConns is the number of task connections to each gateway, over which
	// commands of different clients are spread. Zero means 4.
	TaskConns int
	// SendQueue bounds what may wait to be sent over one task connection, in
	// bytes; commands wait for room within their context. Zero means 4 MiB.
	SendQueue int
	// ReceiveLimit bounds one packet from a gateway, in bytes; the answer to
	// a question for everything there is can be large. Zero means 64 MiB.
	ReceiveLimit int

	// Wait bounds how long a command waits for a gateway that is not
	// connected, for room, or for an answer, besides its context. Zero means
	// 5 seconds.
	Wait time.Duration
	// Heartbeat is the text of a heartbeat. Empty means
	// protocol.DefaultHeartbeat.
	Heartbeat string
	// HeartbeatInterval is the time between heartbeats; the gateway's read
	// deadline must be longer. Zero means 30 seconds.
	HeartbeatInterval time.Duration
	// DialTimeout bounds one attempt to connect, TLS and the proof of the
	// Secret included. Zero means 5 seconds.
	DialTimeout time.Duration
	// SendDeadline bounds the time one write may take before the connection
	// is given up. Zero means 10 seconds.
	SendDeadline time.Duration
	// MinBackoff and MaxBackoff bound the pause before another attempt to
	// connect, which doubles each time. Zero means 100 milliseconds and 10
	// seconds.
	MinBackoff, MaxBackoff time.Duration
	// StopTimeout is how long Run waits, when it stops, for the gateways'
	// answers and then for Router calls to return, before it cancels their
	// contexts. Zero means 5 seconds.
	StopTimeout time.Duration

	// Secret is what the gateways' listeners know too; each side proves to
	// the other that it does. It should be random, and must have 16 bytes or
	// more. Gateways that have none do not understand the proof. Without TLS
	// it keeps nobody from reading along. Empty means that none is proven,
	// which does on the gateway's own computer and in networks that it trusts.
	Secret string
	// TLS has all connections speak TLS, with its Certificates to show if the
	// gateways ask for one. An empty ServerName means the host in a gateway's
	// address. It must not be changed afterwards. Nil means plain TCP.
	TLS *tls.Config
	// Dial connects to an address, for instance by way of a proxy; TLS and
	// Secret come on top of it. It is called on several goroutines at the same
	// time, with network "tcp", and must return soon after ctx ends. Nil means
	// TCP.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Logger gets the log. Nil means slog.Default().
	Logger *slog.Logger
}

// Gateway says where a gateway is.
type Gateway struct {
	// Worker is the TCP address of its worker listener, from which events
	// come. Empty means that none are wanted.
	Worker string
	// Task is the TCP address of its task listener, which takes commands. It
	// must be set.
	Task string
	// Node is how the ids of its clients begin, by which commands about one
	// client find its gateway. Zero means the address to which Task leads,
	// or what its events show. Commands about ids of a gateway that is not
	// known go to all.
	Node protocol.Node
}

func (c Config) withDefaults() (Config, error) {
	if len(c.Gateways) == 0 {
		return c, errors.New("business: Config.Gateways is empty; add the worker and task addresses of at least one gateway")
	}
	for i, g := range c.Gateways {
		if g.Task == "" {
			return c, fmt.Errorf("business: Config.Gateways[%d].Task is empty; commands need the address of a task listener", i)
		}
	}
	if c.Events < 0 || c.Events != 0 && c.Events&allEvents == 0 {
		return c, fmt.Errorf("business: Config.Events is %d; combine protocol.Event_OnOpen, Event_OnClose and Event_OnMessage", c.Events)
	}
	for name, v := range map[string]int64{
		"Workers": int64(c.Workers), "Backlog": int64(c.Backlog), "TaskConns": int64(c.TaskConns), "SendQueue": int64(c.SendQueue),
		"ReceiveLimit": int64(c.ReceiveLimit), "Wait": int64(c.Wait), "HeartbeatInterval": int64(c.HeartbeatInterval),
		"DialTimeout": int64(c.DialTimeout), "SendDeadline": int64(c.SendDeadline), "MinBackoff": int64(c.MinBackoff),
		"MaxBackoff": int64(c.MaxBackoff), "StopTimeout": int64(c.StopTimeout),
	} {
		if v < 0 {
			return c, fmt.Errorf("business: Config.%s is negative; use 0 for the default or a positive value", name)
		}
	}
	if c.Secret != "" {
		if err := secret.Check(c.Secret); err != nil {
			return c, fmt.Errorf("business: Config.Secret %w", err)
		}
	}
	or(&c.Events, allEvents)
	or(&c.Workers, 1024)
	or(&c.Backlog, 16<<20)
	or(&c.TaskConns, 4)
	or(&c.SendQueue, 4<<20)
	or(&c.ReceiveLimit, 64<<20)
	or(&c.Wait, 5*time.Second)
	or(&c.Heartbeat, protocol.DefaultHeartbeat)
	or(&c.HeartbeatInterval, 30*time.Second)
	or(&c.DialTimeout, 5*time.Second)
	or(&c.SendDeadline, 10*time.Second)
	or(&c.MinBackoff, 100*time.Millisecond)
	or(&c.MaxBackoff, max(10*time.Second, c.MinBackoff))
	or(&c.StopTimeout, 5*time.Second)
	if c.MaxBackoff < c.MinBackoff {
		return c, fmt.Errorf("business: Config.MaxBackoff is %v, less than MinBackoff, %v", c.MaxBackoff, c.MinBackoff)
	}
	if c.Dial == nil {
		c.Dial = new(net.Dialer).DialContext
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c, nil
}

const allEvents = protocol.Event_OnOpen | protocol.Event_OnClose | protocol.Event_OnMessage

// or gives v a default.
func or[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// An UnreachableError says that a gateway is not connected. The Client goes on
// trying to connect; this gateway has not taken the command.
type UnreachableError struct {
	// Addr is the address that does not answer.
	Addr string
	// Err is why the last attempt failed, nil if the first one is under way.
	Err error
}

// Error implements error. It names the address and the reason.
func (e *UnreachableError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("business: gateway %s is not connected yet; is the client running?", e.Addr)
	}
	return fmt.Sprintf("business: gateway %s cannot be reached and is being tried again: %v", e.Addr, e.Err)
}

// Unwrap returns Err, for [errors.Is] and [errors.As].
func (e *UnreachableError) Unwrap() error { return e.Err }

// stoppedError says that a command came too late. It is a hooks.ErrStopped.
type stoppedError struct{}

// Error implements error.
func (stoppedError) Error() string {
	return "business: the client has stopped, as Run's context has ended"
}

// Is makes it one of hooks.ErrStopped, whose text is about a gateway.
func (stoppedError) Is(target error) bool { return target == hooks.ErrStopped }

// Package evio is a second transport with event loops, by
// github.com/tidwall/evio. It is for hosts that run evio already; others are
// better off with package gnet.
//
//	gateway.Config{Transports: []transport.Transport{evio.Listen("127.0.0.1:6060")}}
//
// evio holds output where a wake overwrites it, loses wakes, spins while a
// client sends and does not read, keeps Nagle's delay and cannot be stopped.
// None of this reaches a client of this package: it writes to the sockets
// itself, on their loop, and gives evio nothing to write; it wakes each loop
// through a connection that it keeps to it, for which it listens on the
// loopback interface as well; and it stops evio through the same connections.
// To do so it reads, but never changes, unexported fields of evio's
// connections. Serve fails if they are not as in the version in go.mod.
//
// What only evio could do better remains. Do not use this package in a program
// that
//
//   - starts other programs while it serves: evio lets them inherit the sockets
//     that it is just accepting, and spins on one that its client has closed
//     and another program holds open;
//   - closes its standard input: evio takes descriptor 0 for something else;
//   - may run out of descriptors or of epoll watches all the same: evio ends
//     when accepting fails, which Serve reports, and panics on its own goroutine
//     when a socket cannot be watched, which ends the process. Clients are
//     turned away before descriptors run out;
//   - goes on after Serve has returned and opens descriptors at a great rate
//     when it does: evio closes the number of a listener twice. Numbers that are
//     given out before that one are set free first, so that it would have to
//     open dozens within some microseconds to lose one of them.
//
// Only Linux is tested. On macOS and FreeBSD, for which the package is built as
// well, a client that resets its connection before it is accepted may end evio.
// Elsewhere Serve fails.
package evio

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"

	"github.com/sluicegate/sluice/transport"
)

// A Transport listens on one TCP address. It is made by [Listen] and belongs to
// one gateway.
type Transport struct {
	addr   string
	loops  int
	served atomic.Bool
}

// An Option changes how a Transport works. It is for [Listen].
type Option func(*Transport)

// Loops sets the number of event loops. The default, and what is not above 0, is
// one for each CPU that Go uses.
func Loops(n int) Option { return func(t *Transport) { t.loops = n } }

// Listen returns a transport that will listen on addr, for example
// "127.0.0.1:6060" or ":6060"; port 0 picks a free one, which the gateway's Addrs
// tell. Nothing happens before Serve, which fails if the address is taken.
func Listen(addr string, opts ...Option) *Transport {
	t := &Transport{addr: addr}
	for _, o := range opts {
		o(t)
	}
	if t.loops <= 0 {
		t.loops = runtime.GOMAXPROCS(0)
	}
	return t
}

// Serve implements [transport.Transport]. It may be called once, on any goroutine,
// which is what a gateway does. At the end it waits for the clients to answer their
// close frames, for half a second more than Options.CloseTimeout at most.
func (t *Transport) Serve(ctx context.Context, o transport.Options, h transport.Handler) error {
	if t.served.Swap(true) {
		return errors.New("evio: Serve was called before; Listen anew")
	}
	return serve(ctx, t.addr, t.loops, o, h)
}

var _ transport.Transport = (*Transport)(nil)

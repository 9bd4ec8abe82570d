// Package remote puts business code into other processes. Its [Router]
// forwards what clients do to processes that have registered, and carries out
// their commands, over the protocol that package protocol describes.
//
//	rt, err := remote.Listen(remote.Config{
//		Worker: remote.Listener{Addr: "127.0.0.1:6061"},
//		Task:   remote.Listener{Addr: "127.0.0.1:6062"},
//		Buffer: 16 << 20, BufferAge: 30 * time.Second,
//	})
//	if err != nil {
//		return err
//	}
//	gw, err := gateway.New(gateway.Config{Router: rt, Inline: true, …})
//
// The gateway runs the listeners as long as itself, and names its clients
// after the task listener, so that a process can tell which gateway to ask
// about one. A Router that is wrapped in another, see [hooks.ByClient], must
// also be listed in the gateway's Hooks.
//
// # Order
//
// A client's events go to one process, in order. When that process unregisters
// or dies, they wait until whatever it has commanded so far is carried out, and
// go on at another one, beginning with those that it was never sent. With a
// Buffer, nothing is lost when a process unregisters, finishes and closes its
// connection, however long the next one takes to come (within BufferAge).
//
// # Who is let in
//
// Whoever is let in acts on all clients. Listeners are on the loopback interface
// unless told otherwise, and let everybody in there. One that other computers
// reach must say who may come: who proves to know a Secret, who has a client
// certificate, or all of a Trusted network; Listen returns an error otherwise.
// Existing clients of the protocol, which prove nothing, work on the loopback
// interface and in trusted networks. Between computers, use TLS: without it a
// secret keeps strangers out, but neither hides nor seals what is said.
//
// # In a cluster
//
// Of several gateways that are one, see gateway.Config.Cluster, each forwards the
// events of its own clients. What a process commands is carried out on the clients of
// the gateway that it has dialed, so that a process may dial all of them, as one
// did without a cluster; or, with Config.WholeCluster, on those of all gateways, and
// then a process dials one. A process that dials several of these says everything
// several times.
//
// # Inline or not
//
// With gateway.Config.Inline events are forwarded on the event loops, which is
// fastest. A process that cannot keep up then fills its queue, and the buffer,
// and after that events are dropped and counted. Without it they are forwarded
// on the gateway's workers, which wait for room in the queue; then it is the
// client that sends too much which is closed.
//
// Package protocol/business is the other end, for processes written in Go.
package remote

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/command"
	"github.com/sluicegate/sluice/internal/secret"
	"github.com/sluicegate/sluice/internal/ulimit"
	"github.com/sluicegate/sluice/protocol"
)

var (
	_ hooks.Router    = (*Router)(nil)
	_ hooks.Runner    = (*Router)(nil)
	_ hooks.Forwarder = (*Router)(nil)
	_ hooks.NodeNamer = (*Router)(nil)
)

// A Router forwards events to business processes and carries out their commands.
// It is made by [Listen] and belongs to one gateway. It implements [hooks.Router],
// [hooks.Runner], [hooks.Forwarder] and [hooks.NodeNamer]. All its methods may be
// called on any goroutine, and keep nothing of the events that they are given.
type Router struct {
	cfg      Config
	log      *slog.Logger
	noise    noise
	worker   *door // nil without
	task     *door // nil without
	commands map[protocol.Cmd_Number]command.Command

	run  atomic.Bool
	late orphan

	mu       sync.Mutex
	active   []*process // registered
	clients  map[string]*client
	held     []held
	heldSize int
	turn     int // of RoundRobin
	births   uint64
	seed     maphash.Seed
	workers  map[*workerConn]struct{}
	tasks    map[*taskConn]struct{}
	stopping bool
	counts   counts
	serving  sync.WaitGroup // worker connections
	chores   sync.WaitGroup // everything else that Run waits for
}

// Listen opens the listeners of a Router, so that a port that is taken is an
// error here, and addresses that the system chooses are known. Nothing is
// accepted before the gateway runs it. A listener that other computers reach is
// an error unless cfg says who may come. Other errors say which field of cfg is
// wrong.
func Listen(cfg Config) (*Router, error) { return listen(cfg, netip.Addr.IsLoopback, patience) }

// patience bounds how long a peer may take to show who it is.
const patience = 5 * time.Second

// listen is Listen. home reports whether an address is this computer's own.
func listen(cfg Config, home func(netip.Addr) bool, patience time.Duration) (*Router, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	r := &Router{
		cfg: cfg, log: cfg.Logger, commands: command.Table(), seed: maphash.MakeSeed(),
		clients: make(map[string]*client), workers: make(map[*workerConn]struct{}), tasks: make(map[*taskConn]struct{}),
	}
	r.noise.expect(processBurst)
	if r.worker, err = r.listen(secret.Worker, cfg.Worker, home, patience); err != nil {
		return nil, err
	}
	if r.task, err = r.listen(secret.Task, cfg.Task, home, patience); err != nil {
		return nil, errors.Join(err, r.Discard())
	}
	return r, nil
}

// listen opens one listener, if it has an address.
func (r *Router) listen(name string, l Listener, home func(netip.Addr) bool, patience time.Duration) (*door, error) {
	if l.Addr == "" {
		return nil, nil
	}
	ln, err := net.Listen("tcp", onLoopback(l.Addr))
	if err == nil {
		// Judged by what it has become: a name may mean anything.
		if err = l.exposed(ln.Addr(), home); err != nil {
			_ = ln.Close()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("remote: %s listener: %w", name, err)
	}
	at := ln.Addr().(*net.TCPAddr).AddrPort()
	node, err := protocol.NodeFromAddr(advertised(l, at))
	if err != nil {
		r.log.Warn("listener without id", "listener", name, "addr", at.String(),
			"hint", "ids cannot name this listener: set its Advertise to the IPv4 address at which processes reach it")
	} else if !l.Advertise.IsValid() && at.Addr().IsUnspecified() {
		r.log.Warn("listener address chosen", "listener", name, "addr", at.String(), "advertised", node.String(),
			"hint", "the listener is on all addresses, ids name this one: set its Advertise to choose")
	}
	d := &door{
		r: r, name: name, l: l, ln: ln, node: node, home: home, patience: patience,
		descriptors: ulimit.Business(),
	}
	d.secret.Store(&l.Secret)
	return d, nil
}

// advertised returns the address by which ids name a listener.
func advertised(l Listener, at netip.AddrPort) netip.AddrPort {
	switch {
	case l.Advertise.IsValid():
		return l.Advertise
	case !at.Addr().IsUnspecified():
		return at
	}
	// Some address of this machine leads back here; the unspecified one
	// leads a process to itself.
	addrs, _ := net.InterfaceAddrs() // without them there is still the loopback
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err == nil && p.Addr().Unmap().Is4() && p.Addr().IsGlobalUnicast() {
			return netip.AddrPortFrom(p.Addr().Unmap(), at.Port())
		}
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), at.Port())
}

// Node returns the address of the task listener as it stands in uniqIds, or
// zero if there is none that can. It implements hooks.NodeNamer.
func (r *Router) Node() protocol.Node {
	if r.task == nil {
		return protocol.Node{}
	}
	return r.task.node
}

// WorkerAddr returns the address of the worker listener, or nil without one.
func (r *Router) WorkerAddr() net.Addr { return addrOf(r.worker) }

// TaskAddr returns the address of the task listener, or nil without one.
func (r *Router) TaskAddr() net.Addr { return addrOf(r.task) }

func addrOf(d *door) net.Addr {
	if d == nil {
		return nil
	}
	return d.ln.Addr()
}

// doors returns the listeners that there are.
func (r *Router) doors() []*door {
	return slices.DeleteFunc([]*door{r.worker, r.task}, func(d *door) bool { return d == nil })
}

// Discard closes the listeners of a Router that will not be run, for instance
// because making the gateway failed. A gateway that runs it closes them itself.
func (r *Router) Discard() error {
	var err error
	for _, d := range r.doors() {
		err = errors.Join(err, d.ln.Close())
	}
	return err
}

// Run serves business processes until ctx ends, then sends them what waits
// for them and closes their connections, which takes 5 seconds at most besides
// what commands under way take. It returns an error if it was called before. The
// gateway calls it; it implements [hooks.Runner].
func (r *Router) Run(ctx context.Context, bus hooks.Bus) error {
	if r.run.Swap(true) {
		return errors.New("remote: Run was called before; a Router belongs to one gateway and is listed in its Hooks once")
	}
	if !r.cfg.WholeCluster {
		bus = hooks.Local(bus)
	}
	failed := make(chan error, 2)
	var accepting sync.WaitGroup
	if r.worker != nil {
		accepting.Go(func() { failed <- r.worker.accept(r.addWorker) })
	}
	if r.task != nil {
		accepting.Go(func() {
			failed <- r.task.accept(func(c net.Conn, guest bool) bool { return r.addTask(c, guest, bus) })
		})
	}
	ageing, stopAgeing := context.WithCancel(ctx)
	accepting.Go(func() { r.expireHeld(ageing) })

	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	stopAgeing()
	_ = r.Discard() // it ends the accepting, nothing else can be done about an error
	accepting.Wait()
	for _, d := range r.doors() {
		d.clear()
	}
	r.stop()
	return err
}

// stopTime bounds what Run takes to end.
const stopTime = 5 * time.Second

// stop sends the processes what waits for them, then closes everything.
func (r *Router) stop() {
	r.mu.Lock()
	r.stopping = true
	r.active = nil
	for w := range r.workers {
		w.finish()
	}
	for len(r.held) > 0 {
		r.dropHeld(0, dropStopped)
		r.held = r.held[1:]
	}
	r.mu.Unlock()
	deadline := time.AfterFunc(stopTime, r.hangUp)
	defer deadline.Stop()
	r.serving.Wait() // worker connections; what their processes command meanwhile is carried out
	r.hangUp()
	r.chores.Wait()
}

// hangUp closes all connections.
func (r *Router) hangUp() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for w := range r.workers {
		_ = cut(w.conn)
	}
	for t := range r.tasks {
		_ = cut(t.conn)
	}
}

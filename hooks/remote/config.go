package remote

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/sluicegate/sluice/protocol"
)

// Config says how a Router listens for business processes and how it shares
// clients out among them. The zero value of every field is a safe default, but
// at least one listener needs an address. Negative values are errors.
type Config struct {
	// Worker is where business processes register for events. Without an
	// address no events are forwarded: the Router then takes commands only.
	Worker Listener
	// Task is where they send commands. Without an address there is none.
	Task Listener

	// WholeCluster carries out the commands of business processes on all gateways
	// of the cluster, for processes that dial one of its gateways, whichever that
	// is. False means on this gateway's own clients, for processes that dial every
	// gateway, as package protocol/business and existing clients of the protocol
	// do. Without a gateway.Config.Cluster there is no difference. Events go to
	// processes that are registered here, and are of this gateway's clients, either
	// way.
	WholeCluster bool

	// Choice says which process gets an event. Zero means ByClient.
	Choice Choice

	// Queue bounds what may wait to be sent to one business process, in
	// bytes. A call for an event that finds no room waits for it, unless it
	// is made on an event loop; then the event goes to the buffer. Zero
	// means 4 MiB.
	Queue int
	// QueueEvents bounds the same in events. Zero means no bound besides
	// Queue.
	QueueEvents int

	// Buffer bounds the events that wait, in bytes, while no process is
	// registered for them or a process that leaves has not finished yet;
	// each counts 64 more. They are delivered in order when one comes. Zero
	// drops such events at once.
	Buffer int
	// BufferAge bounds how long they wait. Zero drops them at once, so it
	// must be set if Buffer is.
	BufferAge time.Duration
	// Handover is how long the clients of a process that has unregistered
	// wait for it to finish with what it was sent, which it shows by closing
	// its worker connection, before they move to another process. Longer
	// waits are no use to a process that stays connected. Zero means 2
	// seconds. Without a Buffer they do not wait.
	Handover time.Duration

	// Logger gets the log. Nil means slog.Default().
	Logger *slog.Logger
}

// Listener says how one of the two listeners works, and who is let in. Whoever
// is can act on all clients. On the loopback interface that is everybody; a
// listener that other computers reach needs a Secret, TLS with client
// certificates, Trusted networks, or the word that anyone may.
type Listener struct {
	// Addr is the TCP address, for example "127.0.0.1:6061". Without a host,
	// as in ":6061", it is on 127.0.0.1; all interfaces are "0.0.0.0:6061".
	// Empty means no listener.
	Addr string
	// Secret is what peers must prove to know, by a handshake that is in
	// docs/protocol.md, unless they are on this computer or in a Trusted
	// network; those may. Packages for existing clients of the protocol know
	// no such handshake: their place is there. It should be random, and must
	// have 16 bytes or more. Without TLS what follows the proof is neither
	// encrypted nor tied to who has given it: whoever can change packets on
	// the way can send others. [Router.SetSecrets] changes it. Empty means that
	// nobody is asked for one.
	Secret string
	// TLS has the listener speak TLS, with everybody, trusted or not. It must
	// have a certificate and is copied. If its ClientAuth is
	// tls.RequireAndVerifyClientCert, which needs ClientCAs, a certificate
	// of theirs shows who a peer is; other values of ClientAuth do not count,
	// and a Secret, if there is one, is wanted besides. Nil means plain TCP.
	TLS *tls.Config
	// Trusted are networks, besides this computer itself, whose peers need
	// no secret. If neither Secret nor client certificates let others in, all
	// others are closed at once. It is copied. Empty means none.
	Trusted []netip.Prefix
	// InsecureAllowAnyone lets anyone act on all clients who reaches Addr,
	// from wherever that is. It excludes Secret, Trusted and client
	// certificates. False means that a listener which other computers reach
	// must have one of them.
	InsecureAllowAnyone bool
	// Advertise is the IPv4 address at which business processes reach it,
	// which becomes part of ids. Zero means the address it listens on.
	Advertise netip.AddrPort
	// ReadDeadline bounds the time between two packets, heartbeats
	// included; a connection that passes it is closed. Zero means 120
	// seconds.
	ReadDeadline time.Duration
	// SendDeadline bounds the time that one write may take; a connection
	// that passes it is closed. Zero means 10 seconds.
	SendDeadline time.Duration
	// ReceiveLimit bounds one packet, in bytes of command and body; a
	// connection that passes it is closed. Zero means 2 MiB.
	ReceiveLimit int
	// Heartbeat is the text of a heartbeat, which processes must send too.
	// Empty means protocol.DefaultHeartbeat.
	Heartbeat string
	// MaxConns bounds the connections at a time; further ones are closed at
	// once. Those whose peers have yet to show who they are do not count: 128
	// of them may be, for 5 seconds, and the oldest goes when another comes.
	// Zero means 1,024.
	MaxConns int
}

// Choice says which of the registered processes gets an event.
type Choice int

const (
	// ByClient sends all events of a client to one process while that lives,
	// which keeps their order. New clients go to the process that has the
	// fewest.
	ByClient Choice = iota
	// RoundRobin sends each event to the next process. Events of one client
	// may then overtake each other.
	RoundRobin
)

// bufferOverhead is what a waiting event counts for besides its bytes.
const bufferOverhead = 64

func (c Config) withDefaults() (Config, error) {
	if c.Worker.Addr == "" && c.Task.Addr == "" {
		return c, errors.New("remote: Config has no address to listen on; set Worker.Addr, Task.Addr or both")
	}
	if c.Choice != ByClient && c.Choice != RoundRobin {
		return c, fmt.Errorf("remote: Config.Choice is %d; use ByClient or RoundRobin", c.Choice)
	}
	for name, v := range map[string]int{
		"Queue": c.Queue, "QueueEvents": c.QueueEvents, "Buffer": c.Buffer, "BufferAge": int(c.BufferAge), "Handover": int(c.Handover),
	} {
		if v < 0 {
			return c, fmt.Errorf("remote: Config.%s is negative; use 0 or more", name)
		}
	}
	if (c.Buffer > 0) != (c.BufferAge > 0) {
		return c, errors.New("remote: Config.Buffer and Config.BufferAge work together; set both, or neither to drop events at once")
	}
	or(&c.Queue, 4<<20)
	or(&c.Handover, 2*time.Second)
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	var err error
	for name, l := range map[string]*Listener{"Worker": &c.Worker, "Task": &c.Task} {
		err = errors.Join(err, l.complete(name))
	}
	return c, err
}

func (l *Listener) complete(name string) error {
	for field, v := range map[string]int{
		"ReadDeadline": int(l.ReadDeadline), "SendDeadline": int(l.SendDeadline),
		"ReceiveLimit": l.ReceiveLimit, "MaxConns": l.MaxConns,
	} {
		if v < 0 {
			return fmt.Errorf("remote: Config.%s.%s is negative; use 0 for the default or a positive value", name, field)
		}
	}
	if l.Advertise.IsValid() {
		if _, err := protocol.NodeFromAddr(l.Advertise); err != nil {
			return fmt.Errorf("remote: Config.%s.Advertise: %w", name, err)
		}
	}
	if err := l.checkTrust(name); err != nil {
		return err
	}
	if l.TLS != nil {
		l.TLS = l.TLS.Clone()
	}
	l.Trusted = slices.Clone(l.Trusted)
	or(&l.ReadDeadline, 120*time.Second)
	or(&l.SendDeadline, 10*time.Second)
	or(&l.ReceiveLimit, protocol.DefaultLimit)
	or(&l.Heartbeat, protocol.DefaultHeartbeat)
	or(&l.MaxConns, 1024)
	return nil
}

// or gives v a default.
func or[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

package remote

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sluicegate/sluice/internal/sampled"
	"github.com/sluicegate/sluice/internal/secret"
	"github.com/sluicegate/sluice/protocol"
)

// A door is one of the two listeners. It lets trusted peers in at once, and
// strangers when they have shown who they are.
type door struct {
	r        *Router
	name     string // secret.Worker or secret.Task
	l        Listener
	secret   atomic.Pointer[string] // the one in force; whether there is one, l says
	ln       net.Listener
	node     protocol.Node // by which ids name it
	home     func(netip.Addr) bool
	patience time.Duration
	// descriptors is the number from which they are too few.
	descriptors int

	// What peers can have logged, and how often.
	refusals, turnedAway, failures sampled.Event
	// Who has not shown yet who they are waits in a lobby, trusted peers,
	// who have TLS to begin, where strangers cannot crowd them out.
	strangers, guests lobby
	receiving         sync.WaitGroup
}

// admission takes a connection. A guest may prove the secret, and need not. It
// returns false if there are too many connections.
type admission func(conn net.Conn, guest bool) bool

// accept hands connections to add until the listener is closed.
func (d *door) accept(add admission) error {
	for wait := time.Duration(0); ; {
		conn, err := d.ln.Accept()
		switch {
		case err == nil:
			wait = 0
			d.enter(conn, add)
		case errors.Is(err, net.ErrClosed):
			return nil
		default:
			// Out of descriptors, most likely: whoever is connected is served on.
			wait = min(max(2*wait, 5*time.Millisecond), time.Second)
			if n, ok := d.failures.Next(); ok {
				d.r.log.Error("accepting failed", "listener", d.name, "error", err, "suppressed", n)
			}
			time.Sleep(wait)
		}
	}
}

// enter lets a connection in, or has it wait in a lobby.
func (d *door) enter(conn net.Conn, add admission) {
	if descriptorOf(conn) >= d.descriptors {
		// The engine that clients are on would end if accepting failed.
		d.turnAway(conn, "the descriptor limit is near", d.descriptors)
		_ = conn.Close()
		return
	}
	trusted := d.trusts(conn.RemoteAddr())
	switch {
	case !trusted && !d.l.asks():
		d.refuse(conn, errors.New("its address is neither on this computer nor in a trusted network"))
	case d.l.TLS != nil || !trusted && d.l.Secret != "":
		in := &d.strangers
		if trusted {
			in = &d.guests
		}
		if oldest := in.enter(conn); oldest != nil {
			_ = oldest.Close() // who receives it says the rest
		}
		d.receiving.Go(func() { d.receive(in, conn, trusted, add) })
	default:
		d.admit(conn, trusted, add)
	}
}

// descriptorOf returns the number of conn's descriptor, or -1 if it has none.
func descriptorOf(conn net.Conn) int {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return -1
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return -1
	}
	n := -1
	_ = raw.Control(func(fd uintptr) { n = int(fd) }) // it fails if conn is closed, and then has none
	return n
}

func (d *door) admit(conn net.Conn, trusted bool, add admission) {
	if !add(conn, trusted && d.l.Secret != "") {
		d.turnAway(conn, "there are too many", d.l.MaxConns)
		_ = cut(conn)
	}
}

// turnAway logs that there is no room for a connection.
func (d *door) turnAway(conn net.Conn, reason string, limit int) {
	if n, ok := d.turnedAway.Next(); ok {
		d.r.log.Warn("business connection turned away", "listener", d.name, "remoteAddr", conn.RemoteAddr().String(),
			"reason", reason, "limit", limit, "suppressed", n)
	}
}

// receive examines a connection and lets it in.
func (d *door) receive(in *lobby, raw net.Conn, trusted bool, add admission) {
	conn, err := d.examine(raw, trusted)
	if gone := in.leave(raw); gone != nil {
		err = gone
	}
	switch {
	case err == nil:
		d.admit(conn, trusted, add)
	case errors.Is(err, errStopping):
		_ = raw.Close()
	default:
		d.refuse(raw, err)
	}
}

var (
	errNoHello  = errors.New("it did not begin with the proof of a secret")
	errCrowded  = errors.New("too many had yet to show who they are, and it had taken longest")
	errStopping = errors.New("the gateway stops")
)

// examine returns the connection to go on with when the peer has shown who it is.
func (d *door) examine(conn net.Conn, trusted bool) (net.Conn, error) {
	if err := conn.SetDeadline(time.Now().Add(d.patience)); err != nil {
		return nil, err
	}
	if d.l.TLS != nil {
		secure := tls.Server(conn, d.l.TLS)
		if err := secure.Handshake(); err != nil {
			return nil, err
		}
		if d.l.mutual() && len(secure.ConnectionState().VerifiedChains) == 0 {
			return nil, errors.New("it has no certificate") // another Config's GetConfigForClient wanted none
		}
		conn = secure
	}
	if d.l.Secret != "" && !trusted {
		instead, err := secret.Accept(conn, *d.secret.Load(), d.name)
		if err == nil && len(instead) > 0 {
			err = errNoHello
		}
		if errors.Is(err, errNoHello) || errors.Is(err, secret.ErrDiffers) {
			secret.Refuse(conn)
		}
		if err != nil {
			return nil, err
		}
	}
	return conn, conn.SetDeadline(time.Time{})
}

// hear returns where to read packets from: after the proof of a guest that has
// sent one. rw is conn, or reads and writes it.
func (d *door) hear(rw io.ReadWriter, conn net.Conn, guest bool) (io.Reader, error) {
	if !guest {
		return rw, nil
	}
	if err := conn.SetDeadline(time.Now().Add(d.l.ReadDeadline)); err != nil {
		return nil, err
	}
	instead, err := secret.Accept(rw, *d.secret.Load(), d.name)
	if errors.Is(err, secret.ErrDiffers) {
		d.r.refused()
		secret.Refuse(rw)
	}
	if err != nil {
		return nil, err
	}
	if len(instead) == 0 {
		return rw, nil
	}
	return io.MultiReader(bytes.NewReader(instead), rw), nil
}

// refuse closes the connection of a peer that is not let in.
func (d *door) refuse(conn net.Conn, why error) {
	_ = conn.Close()
	d.r.refused()
	if errors.Is(why, io.EOF) {
		return // it asked for nothing: somebody looks which ports are open
	}
	if errors.Is(why, os.ErrDeadlineExceeded) {
		why = fmt.Errorf("it has not shown who it is within %v", d.patience)
	}
	if n, ok := d.refusals.Next(); ok {
		d.r.log.Warn("business connection refused", "listener", d.name, "remoteAddr", conn.RemoteAddr().String(), "error", why, "suppressed", n)
	}
}

func (r *Router) refused() {
	r.mu.Lock()
	r.counts.refused++
	r.mu.Unlock()
}

// clear turns out who waits, once nobody comes any more, and returns when they
// are gone.
func (d *door) clear() {
	d.strangers.close()
	d.guests.close()
	d.receiving.Wait()
}

// lobbySize bounds the connections of a lobby. Each has a goroutine and, with
// TLS, some 10 KiB of buffers.
const lobbySize = 128

// A lobby is where connections wait that may not be let in. When it is full,
// the one that has waited longest has to go: a peer that knows the secret needs
// two round trips, so that many who do not know it cannot keep it out.
type lobby struct {
	mu      sync.Mutex
	waiting []net.Conn // in the order in which they came
	closed  bool
}

// enter adds conn and returns what has to be closed for it, or nil.
func (l *lobby) enter(conn net.Conn) (oldest net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return conn
	}
	if len(l.waiting) == lobbySize {
		oldest = l.waiting[0]
		l.waiting = append(l.waiting[:0], l.waiting[1:]...)
	}
	l.waiting = append(l.waiting, conn)
	return oldest
}

// leave takes conn out. The error says why it had to go before.
func (l *lobby) leave(conn net.Conn) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, c := range l.waiting {
		if c == conn {
			l.waiting = append(l.waiting[:i], l.waiting[i+1:]...)
			return nil
		}
	}
	if l.closed {
		return errStopping
	}
	return errCrowded
}

func (l *lobby) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.waiting)
}

func (l *lobby) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.waiting {
		_ = c.Close()
	}
	l.waiting, l.closed = nil, true
}

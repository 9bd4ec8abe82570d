package gnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"reflect"
	"runtime/debug"
	"slices"
	"sync/atomic"

	engine "github.com/panjf2000/gnet/v2"

	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/websocket"
)

// WithoutListener returns a transport that accepts no clients itself: its loops
// serve connections that were upgraded elsewhere, see [Transport.Adopt]. A
// mounted gateway has it for its connections' sake:
//
//	loops := gnet.WithoutListener()
//	mounted := nethttp.New(nethttp.HandOver(loops))
//	gateway.Config{Transports: []transport.Transport{mounted, loops}}
func WithoutListener(opts ...Option) *Transport {
	t := Listen("", opts...)
	t.deaf = true
	return t
}

// An adoption is a connection on its way to a loop. Either the loop claims it,
// or whoever finds that it will not get there.
type adoption struct {
	u       transport.Upgrade
	claimed atomic.Bool
}

func (a *adoption) claim() bool { return a.claimed.CompareAndSwap(false, true) }

// Adopt implements [transport.Adopter] for [*net.TCPConn], with or without a
// listener. TLS connections cannot be adopted: the engine reads their sockets, not
// what they carry. Nor can those with an IPv6 zone in an address. Its errors are
// [transport.ErrNotAdopted].
func (t *Transport) Adopt(conn net.Conn, u transport.Upgrade) error {
	if err := adoptable(conn); err != nil {
		return err
	}
	over, ok := t.beginAdoption(u.Handler)
	if !ok {
		return fmt.Errorf("%w: this gnet transport does not serve the gateway, or not now", transport.ErrNotAdopted)
	}
	defer t.adopting.Done()
	own, err := t.double(conn)
	if err != nil {
		return fmt.Errorf("%w: %w", transport.ErrNotAdopted, err)
	}
	_ = conn.Close() // only this end of it
	a := &adoption{u: u}
	err = t.enroll(own, a, over)
	if a.claim() {
		if n, ok := t.lost.Next(); ok {
			t.opts.Logger.Warn("adopted connection lost", "remoteAddr", conn.RemoteAddr().String(), "error", err, "suppressed", n)
		}
		_ = own.Close()
		t.abort(u)
	}
	return nil
}

// abort reports that a connection is not open. A handler's panic must not get to
// the engine, whose loops would end the process.
func (t *Transport) abort(u transport.Upgrade) {
	defer func() {
		if v := recover(); v != nil {
			if n, ok := t.panics.Next(); ok {
				t.opts.Logger.Error("handler panicked", "panic", fmt.Sprint(v), "stack", string(debug.Stack()), "suppressed", n)
			}
		}
	}()
	u.Handler.Abort(u.Value)
}

func adoptable(conn net.Conn) error {
	if _, ok := conn.(*net.TCPConn); !ok {
		return fmt.Errorf("%w: %T is not a plain TCP connection", transport.ErrNotAdopted, conn)
	}
	// The engine takes the memory of a zone's name for its own when the
	// connection ends; here it belongs to package net.
	for _, a := range []net.Addr{conn.LocalAddr(), conn.RemoteAddr()} {
		if tcp, ok := a.(*net.TCPAddr); !ok || tcp.Zone != "" {
			return fmt.Errorf("%w: its address %v has a zone", transport.ErrNotAdopted, a)
		}
	}
	return nil
}

// double returns conn once more, with addresses of its own: the engine keeps them,
// those of conn may be looked at by the host, and what they hold of the system
// calls that they came from is a tenth of what a client costs.
func (t *Transport) double(conn net.Conn) (net.Conn, error) {
	f, err := conn.(*net.TCPConn).File()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	own, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	local, here := own.LocalAddr().(*net.TCPAddr)
	remote, there := own.RemoteAddr().(*net.TCPAddr)
	if !here || !there { // its peer is gone already
		return nil, errors.Join(net.ErrClosed, own.Close())
	}
	remote.IP = slices.Clone(remote.IP)
	t.mu.Lock()
	defer t.mu.Unlock()
	if !slices.Equal(t.localIP, local.IP) {
		t.localIP = slices.Clone(local.IP)
	}
	local.IP = t.localIP
	return own, nil
}

// beginAdoption reports whether the transport serves h. If so, it goes on to
// serve until adopting.Done is called, or its engine is over.
func (t *Transport) beginAdoption(h transport.Handler) (over <-chan struct{}, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.booted || t.stopping.Load() || !reflect.ValueOf(h).Comparable() || h != t.handler {
		return nil, false
	}
	t.adopting.Add(1)
	return t.over, true
}

// enroll has the engine open conn, and waits until it has.
func (t *Transport) enroll(conn net.Conn, a *adoption, over <-chan struct{}) error {
	results, err := t.startEnroll(conn, a)
	if err != nil {
		return err
	}
	select {
	case r := <-results:
		return r.Err
	case <-over:
		return transport.ErrStopped
	}
}

func (t *Transport) startEnroll(conn net.Conn, a *adoption) (<-chan engine.RegisteredResult, error) {
	if t.client == nil {
		return t.eng.Register(engine.NewContext(engine.NewNetConnContext(context.Background(), conn), a))
	}
	results := make(chan engine.RegisteredResult, 1)
	go func() {
		c, err := t.client.EnrollContext(conn, a)
		results <- engine.RegisteredResult{Conn: c, Err: err}
	}()
	return results, nil
}

// adopted opens a connection that has come to its loop. If it cannot, the peer,
// which has been welcomed, is told why.
func (e *events) adopted(c engine.Conn, a *adoption) ([]byte, engine.Action) {
	c.SetContext(nil)
	c.SetSafeContext(nil)
	if !a.claim() {
		return nil, engine.Close
	}
	l := e.admit(c)
	if l == nil {
		e.t.abort(a.u)
		if e.t.stopping.Load() {
			return websocket.AppendClose(nil, goingAwayCode, goingAwayReason), engine.Close
		}
		return websocket.AppendClose(nil, websocket.CloseTryAgainLater, "no descriptors left"), engine.Close
	}
	conn := l.core.Adopt(c, a.u)
	c.SetContext(conn)
	conn.Begin(a.u.Received)
	return nil, engine.None
}

// CloseAdopted implements [transport.Adopter].
func (t *Transport) CloseAdopted(code int, reason string) {
	for _, l := range t.eventLoops() {
		l.core.CloseAdopted(code, reason)
	}
}

var _ transport.Adopter = (*Transport)(nil)

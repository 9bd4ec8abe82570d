package nethttp

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/websocket"
)

// ServeHTTP implements [http.Handler]: it upgrades the request, or answers why
// not, and returns when that is decided. The client is served on after it has
// returned. It needs a ResponseWriter that can be hijacked, be it by way of its
// Unwrap method, as [http.ResponseController] says, and answers with 500 without
// one; HTTP/2 has none.
func (t *Transport) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !t.enter() {
		refuse(w, unavailable("the gateway does not serve"))
		return
	}
	defer t.running.Done()
	agreed, err := t.negotiate(r)
	if err != nil {
		refuse(w, err)
		return
	}
	hs := &handshake{t: t, request: r, addr: addrOf(r), decision: make(chan decision, 1)}
	t.ask(hs)
	d := t.await(hs)
	if !d.accept {
		refuse(w, &websocket.HandshakeError{Status: d.status, Header: d.header, Reason: d.reason})
		return
	}
	t.upgrade(w, hs, agreed, d)
}

func (t *Transport) negotiate(r *http.Request) (*websocket.Handshake, error) {
	if t.opts.Path != "" && r.URL.Path != t.opts.Path {
		return nil, &websocket.HandshakeError{Status: http.StatusNotFound, Reason: "no such path"}
	}
	if r.ContentLength != 0 || len(r.TransferEncoding) > 0 {
		return nil, &websocket.HandshakeError{Reason: "request with a body"}
	}
	o := websocket.HandshakeOptions{Subprotocols: t.opts.Subprotocols, Compression: t.opts.Compression}
	if t.opts.Origins != nil {
		o.Origins = t.opts.Origins()
	}
	return websocket.Negotiate(r, &o)
}

// ask reports the handshake. A handler that panics refuses it.
func (t *Transport) ask(hs *handshake) {
	defer func() {
		if v := recover(); v != nil {
			t.logPanic(v)
			hs.Refuse(http.StatusInternalServerError, nil, "internal error")
		}
	}()
	t.handler.Handshake(hs)
}

// logPanic logs a handler's panic.
func (t *Transport) logPanic(v any) {
	if n, ok := t.panics.Next(); ok {
		t.opts.Logger.Error("handler panicked", "panic", fmt.Sprint(v), "stack", string(debug.Stack()), "suppressed", n)
	}
}

// await returns the decision about hs. It does not wait for it any longer than
// the client, the gateway and the time allow.
func (t *Transport) await(hs *handshake) decision {
	timer := time.NewTimer(t.opts.HandshakeTimeout)
	defer timer.Stop()
	var why string
	select {
	case d := <-hs.decision:
		return d
	case <-timer.C:
		why = "the handshake took too long"
	case <-hs.request.Context().Done():
		why = "the request was cancelled"
	case <-t.leaving:
		why = "the gateway stops"
	}
	hs.Refuse(http.StatusServiceUnavailable, http.Header{"Retry-After": {"1"}}, why)
	return <-hs.decision // that one, or one that came first
}

// upgrade answers with 101 and takes the connection from the HTTP server.
func (t *Transport) upgrade(w http.ResponseWriter, hs *handshake, agreed *websocket.Handshake, d decision) {
	welcome := false
	defer func() { // also if the ResponseWriter panics
		if !welcome {
			t.abort(d.value)
		}
	}()
	for name, values := range w.Header() {
		if _, ok := d.header[name]; !ok {
			d.header[name] = values
		}
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		if n, ok := t.notUpgraded.Next(); ok {
			t.opts.Logger.Error("client not upgraded", "error", err, "suppressed", n,
				"hint", "the ResponseWriter cannot be hijacked: middleware that wraps it must have an Unwrap method")
		}
		refuse(w, &websocket.HandshakeError{Status: http.StatusInternalServerError, Reason: "internal error"})
		return
	}
	u := transport.Upgrade{
		Handler: t.handler, Value: d.value, RemoteAddr: hs.addr, Compressed: agreed.Deflate, Received: received(rw.Reader),
	}
	_ = conn.SetDeadline(time.Now().Add(t.opts.HandshakeTimeout))
	if _, err := conn.Write(agreed.AppendResponse(nil, d.header)); err != nil {
		_ = conn.Close()
		return
	}
	_ = conn.SetDeadline(time.Time{})
	welcome = true
	if !t.handOver(conn, u) {
		t.loop().serve(conn, u)
	}
	select {
	case <-t.leaving: // meanwhile, and this client was not there to be told
		t.sendAway()
	default:
	}
}

// abort reports that a client which was accepted is not open.
func (t *Transport) abort(value any) {
	defer func() {
		if v := recover(); v != nil {
			t.logPanic(v)
		}
	}()
	t.handler.Abort(value)
}

// handOver reports whether another transport has taken conn.
func (t *Transport) handOver(conn net.Conn, u transport.Upgrade) bool {
	if t.adopter == nil {
		return false
	}
	err := t.adopter.Adopt(conn, u)
	if _, plain := conn.(*net.TCPConn); err != nil && plain && !t.refusedHandOver.Swap(true) {
		t.opts.Logger.Warn("connection not handed over", "error", err, "hint", "it is served by goroutines, as later ones may be")
	}
	if err != nil {
		return false
	}
	t.handedOver.Store(true)
	return true
}

// received returns a copy of what the peer has sent behind its request.
func received(r *bufio.Reader) []byte {
	b, _ := r.Peek(r.Buffered()) // all of it is there
	return append([]byte(nil), b...)
}

// addrOf returns the address of r's peer, as the server or middleware has it.
func addrOf(r *http.Request) net.Addr {
	if ap, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		return net.TCPAddrFromAddrPort(ap)
	}
	if a, err := netip.ParseAddr(r.RemoteAddr); err == nil {
		return &net.TCPAddr{IP: a.AsSlice(), Zone: a.Zone()}
	}
	return namedAddr(r.RemoteAddr)
}

// namedAddr is the address of a peer that has no IP address, for instance on a
// Unix socket.
type namedAddr string

func (namedAddr) Network() string  { return "http" }
func (a namedAddr) String() string { return string(a) }

func unavailable(reason string) error {
	return &websocket.HandshakeError{
		Status: http.StatusServiceUnavailable, Header: http.Header{"Retry-After": {"1"}}, Reason: reason,
	}
}

// refuse answers with the status of err. The connection is the HTTP server's
// still and may serve another request.
func refuse(w http.ResponseWriter, err error) {
	he := (*websocket.HandshakeError)(nil)
	if !errors.As(err, &he) {
		he = &websocket.HandshakeError{Reason: err.Error()}
	}
	h := w.Header()
	for name, values := range he.Header {
		h[http.CanonicalHeaderKey(name)] = values
	}
	status, reason := he.Status, he.Reason
	if status < 200 || status > 999 {
		status = http.StatusBadRequest
	}
	if reason == "" {
		reason = http.StatusText(status)
	}
	http.Error(w, reason, status)
}

// A handshake is a request that waits for a decision.
type handshake struct {
	t        *Transport
	request  *http.Request
	addr     net.Addr
	decided  atomic.Bool
	decision chan decision // has room for the one that comes
}

type decision struct {
	accept bool
	value  any
	status int
	header http.Header
	reason string
}

// Path implements transport.Handshake.
func (hs *handshake) Path() string { return hs.request.URL.Path }

// RawQuery implements transport.Handshake.
func (hs *handshake) RawQuery() string { return hs.request.URL.RawQuery }

// Values implements transport.Handshake.
func (hs *handshake) Values(name string) []string { return hs.request.Header.Values(name) }

// Request implements transport.Handshake.
func (hs *handshake) Request() *http.Request { return hs.request }

// RemoteAddr implements transport.Handshake.
func (hs *handshake) RemoteAddr() net.Addr { return hs.addr }

// Accept implements transport.Handshake.
func (hs *handshake) Accept(value any, header http.Header) {
	if !hs.decided.CompareAndSwap(false, true) {
		// The time is up, or this is a second decision.
		hs.t.abort(value)
		return
	}
	if header = header.Clone(); header == nil {
		header = make(http.Header)
	}
	hs.decision <- decision{accept: true, value: value, header: header}
}

// Refuse implements transport.Handshake.
func (hs *handshake) Refuse(status int, header http.Header, reason string) {
	if hs.decided.CompareAndSwap(false, true) {
		hs.decision <- decision{status: status, header: header.Clone(), reason: reason}
	}
}

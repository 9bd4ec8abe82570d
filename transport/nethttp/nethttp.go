// Package nethttp is a transport to mount in a host's own HTTP server: an
// [http.Handler] for any mux, behind any middleware, with or without TLS.
//
//	mounted := nethttp.New()
//	gw, err := gateway.New(gateway.Config{Transports: []transport.Transport{mounted}, ...})
//	...
//	mux.Handle("/ws", login(mounted))
//	srv := &http.Server{Handler: mux}
//	srv.RegisterOnShutdown(mounted.Shutdown)
//
// The request that an Authenticator gets is the host's own: its cookies, its TLS
// state, and the values that middleware has put into its context. Headers that
// middleware has set on the response, such as a cookie, go out with the 101.
// The host's mux decides about the path, so Config.Path is best left empty; its
// server decides about the size of a request's head and the time it may take.
//
// The server reads the connections, and so a PROXY header: a host whose proxies send
// one wraps the server's listener in one that takes it off, and leaves
// Config.ProxyProtocol empty. Headers such as X-Forwarded-For are the gateway's
// affair here as anywhere, see Config.TrustedProxies.
//
// A client costs one goroutine that reads, and a second one only while there is
// something to write. With [HandOver], plain TCP connections go to the event
// loops of another transport after their handshake and cost none; TLS
// connections stay.
//
// A server's Shutdown does not wait for connections that were upgraded. The end
// of the context of the gateway's Run closes them, and so does
// [Transport.Shutdown]; whichever comes first, the other finds nothing to do.
package nethttp

import (
	"context"
	"errors"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/internal/sampled"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/websocket"
)

// A Transport is an [http.Handler] and a [transport.Transport]. It is made by
// [New] and belongs to one gateway. All its methods may be called on any goroutine.
// ServeHTTP answers with 503 unless Serve runs, which is what a gateway does with
// its transports.
type Transport struct {
	loopCount int
	adopter   transport.Adopter // nil if connections stay here

	opts    transport.Options
	handler transport.Handler

	mu      sync.Mutex
	state   state
	loops   []*eventLoop
	next    int           // the loop of the next client
	leaving chan struct{} // closed when no more clients are taken
	// running counts the calls of ServeHTTP that are under way and the
	// goroutines of connections.
	running sync.WaitGroup
	buffers sync.Pool // of *[]byte, for writing

	handedOver      atomic.Bool // the adopter has clients of ours
	refusedHandOver atomic.Bool // it was logged that connections stay here

	panics, notUpgraded sampled.Event // what clients can have logged
}

type state uint8

const (
	idle    state = iota // Serve was not called
	serving              // clients are welcome
	leaving              // clients are refused
)

// An Option changes how a Transport works. It is for [New].
type Option func(*Transport)

// Loops sets the number of loops that clients are spread over. The default, and
// what is not above 0, is one for each CPU that Go uses.
func Loops(n int) Option { return func(t *Transport) { t.loopCount = n } }

// HandOver has plain TCP connections served by a, once they are upgraded. It
// must be one of the same gateway's transports, for instance
// gnet.WithoutListener(). While it does not serve, or for connections that it
// does not take, they are served here.
func HandOver(a transport.Adopter) Option { return func(t *Transport) { t.adopter = a } }

// New returns a transport. Nothing happens before Serve.
func New(opts ...Option) *Transport {
	t := &Transport{leaving: make(chan struct{})}
	t.buffers.New = func() any { return new([]byte) }
	for _, o := range opts {
		o(t)
	}
	if t.loopCount <= 0 {
		t.loopCount = runtime.GOMAXPROCS(0)
	}
	return t
}

// Serve implements [transport.Transport]. It may be called once, and not with
// Options.ProxyProtocol, which is for transports that accept connections. The
// address that it reports is no address of its own: the host's server has it. At the end it
// waits until all connections are gone, which Options.CloseTimeout sees to.
func (t *Transport) Serve(ctx context.Context, o transport.Options, h transport.Handler) error {
	if err := t.start(o, h); err != nil {
		return err
	}
	var loops sync.WaitGroup
	for _, l := range t.loops {
		loops.Go(l.run)
	}
	o.Ready(mountedAddr{})
	t.tick(ctx.Done())

	t.leave()
	t.closeClients()
	for _, l := range t.loops {
		l.stop()
	}
	loops.Wait()
	return nil
}

// start takes over what Serve was given.
func (t *Transport) start(o transport.Options, h transport.Handler) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.loops != nil {
		return errors.New("nethttp: Serve was called before; make another transport with New")
	}
	if len(o.ProxyProtocol) > 0 {
		return errors.New("nethttp: ProxyProtocol is set, but it is the HTTP server that reads the connections; " +
			"wrap its listener in one that reads PROXY headers, and leave ProxyProtocol empty")
	}
	t.opts, t.handler = o, h
	t.loops = make([]*eventLoop, t.loopCount)
	for i := range t.loops {
		t.loops[i] = newEventLoop(t, i)
	}
	if t.state == idle { // and not shut down already
		t.state = serving
	}
	return nil
}

// Shutdown refuses further clients with 503 and closes those that there are with
// code 1001 (RFC 6455 section 7.4.1), also those that were handed over. It does not
// wait. It is what http.Server.RegisterOnShutdown needs, and may be called again.
func (t *Transport) Shutdown() {
	if t.leave() {
		t.sendAway()
	}
}

// sendAway closes the clients that there are.
func (t *Transport) sendAway() {
	for _, l := range t.loops {
		l.core.CloseAdopted(websocket.CloseGoingAway, goingAway)
	}
	if t.handedOver.Load() { // or the adopter may be another gateway's, by mistake
		t.adopter.CloseAdopted(websocket.CloseGoingAway, goingAway)
	}
}

// leave refuses clients from now on. It reports whether they were welcome.
func (t *Transport) leave() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	was := t.state
	t.state = leaving
	if was != leaving {
		close(t.leaving)
	}
	return was == serving
}

// enter counts a call of ServeHTTP, if clients are welcome.
func (t *Transport) enter() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state != serving {
		return false
	}
	t.running.Add(1)
	return true
}

// loop returns the loop for a new client.
func (t *Transport) loop() *eventLoop {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.next++
	return t.loops[t.next%len(t.loops)]
}

// goingAway is what clients are told when the transport ends.
const goingAway = "going away"

// closeClients closes all connections and waits until they are gone, which the
// loops' clocks see to.
func (t *Transport) closeClients() {
	for _, l := range t.loops {
		l.closeAll(websocket.CloseGoingAway, goingAway)
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		t.running.Wait()
	}()
	t.tick(gone)
}

// tick drives the loops' clocks until done is closed.
func (t *Transport) tick(done <-chan struct{}) {
	timer := time.NewTicker(125 * time.Millisecond)
	defer timer.Stop()
	for {
		select {
		case <-done:
			return
		case now := <-timer.C:
			for _, l := range t.loops {
				l.tick(now)
			}
		}
	}
}

// mountedAddr is the address of a mounted transport.
type mountedAddr struct{}

func (mountedAddr) Network() string { return "http" }
func (mountedAddr) String() string  { return "the HTTP server's address" }

var (
	_ transport.Transport = (*Transport)(nil)
	_ net.Addr            = mountedAddr{}
)

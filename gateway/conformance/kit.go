package conformance

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/gateway/gatewaytest"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/clock"
	"github.com/sluicegate/sluice/internal/wsclient"
	"github.com/sluicegate/sluice/transport/websocket"
)

// patience bounds what is awaited: it is reached only if a promise is broken.
const patience = 20 * time.Second

// closedFor is how long a socket may stay open behind its close frame, for the
// client to answer.
const closedFor = 2 * time.Second

// path is where clients connect. A host that mounts a transport serves it there.
const path = "/ws"

// maker is what Test is given.
type maker = func(tb testing.TB) Setup

// group runs cases under one name, and fails if they leave a goroutine behind.
func group(t *testing.T, name string, cases func(t *testing.T)) {
	before := goleak.IgnoreCurrent()
	t.Run(name, cases)
	if err := goleak.Find(before); err != nil {
		t.Errorf("%s: %v", name, err)
	}
}

// A scene is a running gateway with a host that keeps book. Its stop, at the
// end of the test, is where the book must balance.
type scene struct {
	*gatewaytest.Gateway
	setup Setup
	book  *book
	t     *testing.T
	names *atomic.Int64
}

// start runs a gateway on fresh transports. Without a Router it echoes.
func start(t *testing.T, mk maker, cfg gateway.Config) *scene {
	t.Helper()
	return startOn(t, mk(t), cfg)
}

// startOn is start for a case whose Config depends on the Setup.
func startOn(t *testing.T, setup Setup, cfg gateway.Config) *scene {
	t.Helper()
	cfg.Transports = setup.Transports
	if cfg.Path == "" && !setup.Mounted {
		cfg.Path = path
	}
	if cfg.Router == nil {
		cfg.Router = echo()
	}
	// The time that goes by: transports have theirs, and the kit's stands still.
	cfg.Clock = clock.System{}
	b := newBook(cfg.Router, cfg.Limiter)
	cfg.Router, cfg.Limiter = b, limit{b}
	s := &scene{
		Gateway: gatewaytest.New(t, cfg, gatewaytest.WithDial(setup.Dial)),
		setup:   setup, book: b, t: t, names: new(atomic.Int64),
	}
	t.Cleanup(s.finish)
	return s
}

// on returns the scene for a subtest: what is connected there ends with it.
func (s *scene) on(t *testing.T) *scene {
	sub := *s
	sub.t = t
	return &sub
}

// finish stops the gateway and audits the book.
func (s *scene) finish() {
	if err := s.Stop(); err != nil {
		s.t.Errorf("Run: %v", err)
		return
	}
	for _, fault := range s.book.audit() {
		s.t.Error(fault)
	}
	if st := s.Stats(); st.Clients != 0 || st.Opened != st.Closed {
		s.t.Errorf("after the stop: %d clients, %d opened, %d closed", st.Clients, st.Opened, st.Closed)
	}
}

// settle waits until every client is gone and the host has heard of it.
func (s *scene) settle() {
	s.t.Helper()
	s.Eventually("all clients are gone and the host knows", func() bool {
		return s.Stats().Clients == 0 && len(s.book.audit()) == 0
	})
}

func (s *scene) awaitClients(n int) {
	s.t.Helper()
	s.Eventually(fmt.Sprintf("there are %d clients", n), func() bool { return s.Stats().Clients == n })
}

// pass lets d go by. Where time is the system's it goes by itself, while the
// case awaits what it brings.
func (s *scene) pass(d time.Duration) {
	if s.setup.Advance != nil {
		s.setup.Advance(d)
	}
}

// await is pass, for a case that has something to do meanwhile.
func (s *scene) await(d time.Duration) {
	if s.pass(d); s.setup.Advance == nil {
		time.Sleep(d)
	}
}

// span is a time-out for a case to run into: a usual one where the clock is the
// test's, a short one where it is the system's.
func (s Setup) span(virtual, system time.Duration) time.Duration {
	if s.Advance != nil {
		return virtual
	}
	return system
}

// dial connects, for the length of the subtest.
func (s *scene) dial() net.Conn {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := s.setup.Dial(ctx, s.Gateway.Gateway)
	must(s.t, err)
	_ = c.SetDeadline(time.Now().Add(patience))
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}

// A peer is a client that sees frames and whose errors are the case's to judge,
// on any goroutine. Methods that fail the test are for the test's own.
type peer struct {
	*wsclient.Conn
	t  *testing.T
	id string // if it joined
}

// open shakes hands.
func (s *scene) open(r wsclient.Request) *peer {
	s.t.Helper()
	if r.Target == "" {
		r.Target = path
	}
	c, err := wsclient.Open(s.dial(), r)
	must(s.t, err)
	return &peer{Conn: c, t: s.t}
}

// join opens a client and waits until the host knows it.
func (s *scene) join() *peer {
	s.t.Helper()
	return s.joinWith(wsclient.Request{})
}

func (s *scene) joinWith(r wsclient.Request) *peer {
	s.t.Helper()
	query := "name=" + strconv.FormatInt(s.names.Add(1), 10)
	r.Target = path + "?" + query
	p := s.open(r)
	p.id = s.idOf(query)
	return p
}

// idOf waits for the client that connected with query.
func (s *scene) idOf(query string) (id string) {
	s.t.Helper()
	s.Eventually("the host hears of the client with "+query, func() bool {
		id = s.book.find(query)
		return id != ""
	})
	return id
}

func (p *peer) send(text string) {
	p.t.Helper()
	must(p.t, p.WriteMessage(websocket.OpText, []byte(text)))
}

func (p *peer) read() string {
	p.t.Helper()
	_, data, err := p.ReadMessage()
	must(p.t, err)
	return string(data)
}

func (p *peer) expect(texts ...string) {
	p.t.Helper()
	for _, want := range texts {
		if got := p.read(); got != want {
			p.t.Fatalf("got %.100q, want %.100q", got, want)
		}
	}
}

// echoes checks that the client is served, by a Router that echoes.
func (p *peer) echoes(text string) {
	p.t.Helper()
	p.send(text)
	p.expect(text)
}

// expectClose reads up to the close frame, answers it and returns the messages
// before it.
func (p *peer) expectClose(code int, reason string) (before []string) {
	p.t.Helper()
	for {
		_, data, err := p.ReadMessage()
		if err == nil {
			before = append(before, string(data))
			continue
		}
		if ce := (*wsclient.CloseError)(nil); !errors.As(err, &ce) || ce.Code != code || ce.Reason != reason {
			p.t.Fatalf("the connection ended with %v, want close %d %q", err, code, reason)
		}
		return before
	}
}

// leave closes in the proper way.
func (p *peer) leave() {
	p.t.Helper()
	must(p.t, p.WriteClose(websocket.CloseNormal, ""))
	p.expectClose(websocket.CloseNormal, "")
	_ = p.Close()
}

// ended waits until the server has closed c, and returns what came before. Any
// error but a deadline's is an end: a server that closes with our bytes unread
// resets the connection.
func ended(c net.Conn) (rest []byte, ok bool) {
	buf := make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		rest = append(rest, buf[:n]...)
		if err != nil {
			return rest, !errors.Is(err, os.ErrDeadlineExceeded)
		}
	}
}

// halfClose ends c's sending side, if c can: plain sockets and TLS can.
func halfClose(c net.Conn) bool {
	h, ok := c.(interface{ CloseWrite() error })
	return ok && h.CloseWrite() == nil
}

// socket is the TCP connection below c, if there is one.
func socket(c net.Conn) (*net.TCPConn, bool) {
	if w, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = w.NetConn()
	}
	t, ok := c.(*net.TCPConn)
	return t, ok
}

// narrow keeps c's receive buffer small, so that a client that does not read is
// stalled after some megabytes at most, whatever the system allows sockets.
func narrow(c net.Conn) {
	if t, ok := socket(c); ok {
		_ = t.SetReadBuffer(32 << 10)
	}
}

// A book is a host that notes what it is told, and passes it on. Every case's
// gateway has one as its Router and Limiter.
type book struct {
	router  hooks.Router
	limiter hooks.Limiter // may be nil

	mu                 sync.Mutex
	clients            map[string]*record
	ids                map[string]string // by query
	admitted, released int
	places             map[netip.Addr]int // that the Limiter has given, by address
	faults             []string
}

type record struct {
	open       hooks.OpenEvent
	busy, over bool
}

func newBook(r hooks.Router, l hooks.Limiter) *book {
	return &book{
		router: r, limiter: l, clients: make(map[string]*record), ids: make(map[string]string), places: make(map[netip.Addr]int),
	}
}

// audit says what does not balance: clients that are open still, a call that
// came at the wrong time, a Limiter that was not told.
func (b *book) audit() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	faults := append([]string(nil), b.faults...)
	for id, r := range b.clients {
		if !r.over {
			faults = append(faults, "client "+id+": Open without Close")
		}
	}
	if b.admitted != b.released {
		faults = append(faults, fmt.Sprintf("the Limiter heard %d Open and %d Close", b.admitted, b.released))
	}
	return faults
}

func (b *book) find(query string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ids[query]
}

// opens is how many clients the Router was told of, and events what of one.
func (b *book) opens() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.clients)
}

func (b *book) event(id string) hooks.OpenEvent {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.clients[id].open
}

// limits is what the Limiter heard so far.
func (b *book) limits() (admitted, released int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.admitted, b.released
}

func (b *book) fault(format string, args ...any) {
	b.faults = append(b.faults, fmt.Sprintf(format, args...))
}

// during notes a Router call: none may overlap another of the same client, come
// before its Open or after its Close.
func (b *book) during(id string, open *hooks.OpenEvent, call func()) {
	b.mu.Lock()
	r := b.clients[id]
	if (r == nil) != (open != nil) {
		b.fault("client %s: a call before Open, or a second Open", id)
	}
	if r == nil {
		r = new(record)
		b.clients[id] = r
	}
	if open != nil {
		r.open = *open
		b.ids[open.RawQuery] = id
	}
	if r.busy || r.over {
		b.fault("client %s: a call that overlaps another (%v) or comes after Close (%v)", id, r.busy, r.over)
	}
	r.busy = true
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		r.busy = false
	}()
	call()
	runtime.Gosched() // whoever overlaps has a chance to
}

// Open implements hooks.Router.
func (b *book) Open(ctx context.Context, bus hooks.Bus, e hooks.OpenEvent) {
	b.during(e.UniqID, &e, func() { b.router.Open(ctx, bus, e) })
}

// Message implements hooks.Router.
func (b *book) Message(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
	b.during(e.UniqID, nil, func() { b.router.Message(ctx, bus, e) })
}

// Close implements hooks.Router.
func (b *book) Close(ctx context.Context, bus hooks.Bus, e hooks.CloseEvent) {
	b.during(e.UniqID, nil, func() { b.router.Close(ctx, bus, e) })
	b.mu.Lock()
	defer b.mu.Unlock()
	if r := b.clients[e.UniqID]; r != nil {
		r.over = true
	}
}

// limit is the book as a Limiter, whose methods have the Router's names.
type limit struct{ *book }

// Open implements hooks.Limiter.
func (l limit) Open(ip netip.Addr) error {
	if l.limiter != nil {
		if err := l.limiter.Open(ip); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.admitted++
	l.places[ip]++
	return nil
}

// Message implements hooks.Limiter.
func (l limit) Message(uniqID string, size int) error {
	if l.limiter != nil {
		return l.limiter.Message(uniqID, size)
	}
	return nil
}

// Close implements hooks.Limiter.
func (l limit) Close(uniqID string, ip netip.Addr) {
	if l.limiter != nil {
		l.limiter.Close(uniqID, ip)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.released++
	if l.places[ip]--; l.places[ip] < 0 {
		l.fault("the Limiter heard Close without Open (client %q, address %v)", uniqID, ip)
	}
}

// echo sends messages back to whoever sent them.
func echo() hooks.RouterFuncs {
	return hooks.RouterFuncs{OnMessage: func(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
		_ = bus.SingleCast(ctx, e.UniqID, e.Data)
	}}
}

// total is every message that was written or dropped, for whatever reason.
func total(s gateway.Stats) int64 {
	n := s.MessagesOut
	for _, d := range s.Drops {
		n += d.Messages
	}
	return n
}

// within receives from c.
func within[T any](t testing.TB, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("in vain: %s", what)
	}
	return v
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

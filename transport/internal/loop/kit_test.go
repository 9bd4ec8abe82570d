package loop

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/websocket"
)

// kit is a loop whose thread of control is the test's goroutine.
type kit struct {
	t     testing.TB
	opts  transport.Options
	now   time.Time
	e     *fakeEngine
	h     *recorder
	l     *Loop
	conns int
}

func newKit(t testing.TB, change ...func(*transport.Options)) *kit {
	k := &kit{t: t, now: time.Unix(0, 0)}
	k.opts = transport.Options{
		Path: "/ws", MaxHeader: 1024, MaxMessage: 1 << 20, WriteLimit: 64 << 10, MailboxLimit: 1 << 20,
		HandshakeTimeout: 10 * time.Second, CloseTimeout: 5 * time.Second,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Ready: func(net.Addr) {},
	}
	for _, c := range change {
		c(&k.opts)
	}
	k.e = &fakeEngine{t: t}
	k.h = &recorder{k: k, byConn: make(map[any]*account)}
	k.l = New(0, &k.opts, k.h, k.e, k.now)
	return k
}

// fakeEngine counts what the loop asks for.
type fakeEngine struct {
	t            testing.TB
	wakes, asked atomic.Int32
	hurries      int
	async        bool // CloseSocket returns before the socket is closed
	closing      []*fakeSocket
}

func (e *fakeEngine) Wake()  { e.wakes.Add(1) }
func (e *fakeEngine) Again() { e.asked.Add(1) }
func (e *fakeEngine) Hurry() { e.hurries++ }

func (e *fakeEngine) CloseSocket(s Socket) {
	f := s.(interface{ itself() *fakeSocket }).itself()
	if f.closed {
		e.t.Error("CloseSocket of a socket that is closed")
	}
	if e.async {
		e.closing = append(e.closing, f)
		return
	}
	f.close()
}

// fakeSocket takes as many bytes as the script says.
type fakeSocket struct {
	t         testing.TB
	conn      *Conn
	got       []byte // by the peer
	held      []byte // by the engine
	room      int    // how much more the peer takes
	broken    bool   // writes fail
	selfClose bool   // and close the socket before they return
	closed    bool
	writes    int
	discard   bool // forget what is written
	onWrite   func()
}

var errBroken = errors.New("broken pipe")

func (s *fakeSocket) Write(p []byte) (int, error) {
	if s.closed {
		s.t.Error("write to a closed socket")
	}
	s.writes++
	if s.onWrite != nil {
		s.onWrite()
	}
	if s.broken {
		if s.selfClose {
			s.close()
		}
		return 0, errBroken
	}
	if s.discard {
		return len(p), nil
	}
	s.held = append(s.held, p...)
	s.take(0)
	return len(p), nil
}

func (s *fakeSocket) OutboundBuffered() int {
	if s.closed {
		s.t.Error("OutboundBuffered of a closed socket")
	}
	return len(s.held)
}

// itself is the fakeSocket also of what embeds it.
func (s *fakeSocket) itself() *fakeSocket { return s }

func (s *fakeSocket) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1234}
}

// take has the peer take n bytes more.
func (s *fakeSocket) take(n int) {
	s.room += n
	n = min(s.room, len(s.held))
	s.got = append(s.got, s.held[:n]...)
	s.held = s.held[n:]
	s.room -= n
}

func (s *fakeSocket) close() {
	if !s.closed {
		s.closed = true
		s.conn.Closed()
	}
}

const plenty = 1 << 40

// attach makes a connection that has sent nothing yet.
func (k *kit) attach() *fakeSocket {
	s := &fakeSocket{t: k.t, room: plenty}
	s.conn = k.l.Attach(s)
	return s
}

const key = "dGhlIHNhbXBsZSBub25jZQ=="

func request(path string, more ...string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key + "\r\n" + strings.Join(more, "") + "\r\n"
}

// open makes a connection that is open, and forgets the response.
func (k *kit) open() *fakeSocket {
	k.t.Helper()
	s := k.attach()
	s.conn.Input([]byte(request("/ws")))
	k.settle()
	if s.conn.state != stateOpen || !bytes.HasPrefix(s.got, []byte("HTTP/1.1 101 ")) {
		k.t.Fatalf("state %d after the handshake, response %q", s.conn.state, s.got)
	}
	s.got, s.writes = nil, 0
	return s
}

// settle answers the loop's wakes until it is at rest.
func (k *kit) settle() {
	for k.wakes() > 0 {
		k.l.Woken()
	}
}

// wakes returns how many wakes have come since the last call.
func (k *kit) wakes() int { return int(k.e.wakes.Swap(0) + k.e.asked.Swap(0)) }

func (k *kit) advance(d time.Duration) {
	k.now = k.now.Add(d)
	k.l.Tick(k.now)
	k.settle()
}

func (k *kit) post(t transport.Task) {
	k.t.Helper()
	if err := k.l.Post(t); err != nil {
		k.t.Fatal(err)
	}
}

// account is what the handler was told of one connection.
type account struct {
	opened, closed, aborted int
	cause                   transport.CloseCause
	messages                []string
	pings                   int
	dropped                 [5]int64 // messages by reason
	droppedBytes            int64
	late                    []string // what came after Close
}

// recorder is the Handler of the tests. Its hooks run first, if they are set,
// so that they may panic.
type recorder struct {
	k                       *kit
	byConn                  map[any]*account // by value
	written, writtenBytes   int64
	handshakes              []transport.Handshake
	hold                    bool // leave handshakes undecided
	onHandshake             func(transport.Handshake)
	onOpen, onPing, onClose func(*Conn)
	onMessage               func(*Conn, string)
	onDropped               func(*Conn, transport.DropReason)
	onWritten, onAbort      func()
}

func (r *recorder) of(value any) *account {
	a := r.byConn[value]
	if a == nil {
		a = new(account)
		r.byConn[value] = a
	}
	return a
}

// on is of for an open connection, and notes what must not come any more.
func (r *recorder) on(c transport.Conn, what string) (*Conn, *account) {
	a := r.of(c.Value())
	if a.closed > 0 {
		a.late = append(a.late, what)
		r.k.t.Errorf("%s after Close", what)
	}
	return c.(*Conn), a
}

func (r *recorder) Handshake(hs transport.Handshake) {
	r.handshakes = append(r.handshakes, hs)
	if r.onHandshake != nil {
		r.onHandshake(hs)
	}
	if !r.hold {
		r.k.conns++
		hs.Accept(r.k.conns, nil)
	}
}

func (r *recorder) Open(tc transport.Conn) {
	c, a := r.on(tc, "Open")
	a.opened++
	if r.onOpen != nil {
		r.onOpen(c)
	}
}

func (r *recorder) Message(tc transport.Conn, data []byte, binary bool) {
	c, a := r.on(tc, "Message")
	a.messages = append(a.messages, string(data))
	if r.onMessage != nil {
		r.onMessage(c, string(data))
	}
}

func (r *recorder) Ping(tc transport.Conn) {
	c, a := r.on(tc, "Ping")
	a.pings++
	if r.onPing != nil {
		r.onPing(c)
	}
}

func (r *recorder) Close(tc transport.Conn, cause transport.CloseCause) {
	c, a := r.on(tc, "Close")
	a.closed++
	a.cause = cause
	if r.onClose != nil {
		r.onClose(c)
	}
}

func (r *recorder) Abort(value any) {
	r.of(value).aborted++
	if r.onAbort != nil {
		r.onAbort()
	}
}

func (r *recorder) Written(messages, bytes int64) {
	r.written += messages
	r.writtenBytes += bytes
	if r.onWritten != nil {
		r.onWritten()
	}
}

func (r *recorder) Dropped(tc transport.Conn, reason transport.DropReason, messages, bytes int64) {
	c, a := tc.(*Conn), r.of(tc.Value())
	a.dropped[reason] += messages
	a.droppedBytes += bytes
	if r.onDropped != nil {
		r.onDropped(c, reason)
	}
}

// text is a frame of one message.
func text(s string) *transport.Frame {
	return &transport.Frame{Plain: websocket.AppendFrame(nil, websocket.OpText, false, []byte(s)), Messages: 1}
}

// sized is a frame of one message that takes n bytes on the wire.
func sized(n int) *transport.Frame {
	payload := n
	for websocket.FrameSize(payload) > n {
		payload--
	}
	return text(strings.Repeat("x", payload))
}

func clientFrame(op websocket.Opcode, payload string) []byte {
	return websocket.AppendMaskedFrame(nil, true, false, op, [4]byte{1, 2, 3, 4}, []byte(payload))
}

func closeFrame(code int, reason string) []byte { return websocket.AppendClose(nil, code, reason) }

func clientClose(code int, reason string) []byte {
	return clientFrame(websocket.OpClose, string([]byte{byte(code >> 8), byte(code)})+reason)
}

// task is a Task by functions.
type task struct {
	run               func(budget int) (int, bool)
	recipients, bytes int
	drop              func()
	dropped           int
}

func (t *task) Run(budget int) (int, bool) { return t.run(budget) }
func (t *task) Weight() (int, int)         { return t.recipients, t.bytes }
func (t *task) Drop() {
	t.dropped++
	if t.drop != nil {
		t.drop()
	}
}

func do(f func()) *task { return &task{run: func(int) (int, bool) { f(); return 1, true }} }

// sends is a Task that sends one frame to many connections.
type sends struct {
	to    []*Conn
	frame *transport.Frame
	next  int
}

func (s *sends) Run(budget int) (steps int, done bool) {
	end := min(s.next+budget, len(s.to))
	steps = end - s.next
	for ; s.next < end; s.next++ {
		s.to[s.next].Send(s.frame)
	}
	return steps, s.next == len(s.to)
}

func (s *sends) Weight() (int, int) { return len(s.to), len(s.frame.Plain) }
func (s *sends) Drop()              {}

func (k *kit) wantBytes(s *fakeSocket, frames ...*transport.Frame) {
	k.t.Helper()
	var want []byte
	for _, f := range frames {
		want = append(want, f.Plain...)
	}
	if !bytes.Equal(s.got, want) {
		k.t.Errorf("the peer got %s, want %s", brief(s.got), brief(want))
	}
}

func brief(b []byte) string {
	if len(b) > 64 {
		return fmt.Sprintf("%d bytes %q...", len(b), b[:64])
	}
	return fmt.Sprintf("%q", b)
}

func want[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

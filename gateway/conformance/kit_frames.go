package conformance

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/gateway/gatewaytest"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/clock"
	"github.com/sluicegate/sluice/internal/wsclient"
	"github.com/sluicegate/sluice/transport/websocket"
)

const (
	// stageLimit is every stage's Config.MaxMessage. It lies above 65,536,
	// where the encoding of a length changes, and is small enough for a
	// transport that takes it byte by byte.
	stageLimit = 72 << 10
	// stagePatience bounds what is awaited: it is reached only if a rule is
	// broken. Once one is, less will do: a broken stage should not take hours.
	stagePatience = 20 * time.Second
	stageHaste    = time.Second
	// stageLeap takes a clock of the transport's own past the time that a
	// peer has to answer a close frame.
	stageLeap = 5 * time.Second

	// A stage's Router echoes all messages but these two orders.
	orderOffline = "!offline" // close the sender's connection
	orderProse   = "!prose "  // and a number: send so many bytes of prose
)

// A stageKind is one of the gateways that the cases use.
type stageKind uint8

const (
	onText   stageKind = iota // sends text, compressed for those who offer it
	onBinary                  // sends binary messages, compressed likewise
	onPlain                   // sends text, never compressed
	stageKinds
)

// A stage is a gateway that echoes, and a witness: a client that it must go on
// serving whatever the others do.
type stage struct {
	setup Setup
	gw    *gatewaytest.Gateway
	op    websocket.Opcode // of what it sends
	hasty atomic.Bool      // a case has failed

	mu      sync.Mutex
	witness *wire
	failed  []*wire // whose ends are still to be seen
}

func newStage(t *testing.T, kind stageKind, setup func(testing.TB) Setup) *stage {
	cfg := gateway.Config{
		Router: hooks.RouterFuncs{OnMessage: answerOnStage}, Inline: true,
		Compression: 1, CompressionMin: 200, MaxMessage: stageLimit, WriteLimit: 8 << 20,
		// Clocks move while connections of other cases wait.
		HandshakeTimeout: 24 * time.Hour, HeartbeatInterval: -1,
		Clock: clock.System{},
	}
	s := &stage{setup: setup(t), op: websocket.OpText}
	switch kind {
	case onBinary:
		s.op, cfg.Binary = websocket.OpBinary, true
	case onPlain:
		cfg.Compression = 0
	}
	cfg.Transports = s.setup.Transports
	s.gw = gatewaytest.New(t, cfg, gatewaytest.WithDial(s.setup.Dial))
	s.witness = s.open(t)
	return s
}

// answerOnStage is the stages' Router.
func answerOnStage(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
	text := string(e.Data)
	if text == orderOffline {
		_ = bus.ForceOffline(ctx, []string{e.UniqID}, nil)
		return
	}
	if number, ok := strings.CutPrefix(text, orderProse); ok {
		n, _ := strconv.Atoi(number)
		_ = bus.SingleCast(ctx, e.UniqID, []byte(prose(n)))
		return
	}
	_ = bus.SingleCast(ctx, e.UniqID, e.Data)
}

// noise returns n bytes of ASCII in which next to nothing comes twice.
func noise(n int) string {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	r := rand.New(rand.NewPCG(1, uint64(n)))
	b := make([]byte, n)
	for i := range b {
		b[i] = digits[r.IntN(len(digits))]
	}
	return string(b)
}

// prose returns n bytes of ASCII that compress to about a third.
func prose(n int) string {
	r := rand.New(rand.NewPCG(2, uint64(n)))
	b := make([]byte, 0, n+16)
	for len(b) < n {
		b = append(b, "item "...)
		b = append(strconv.AppendInt(b, r.Int64N(10000), 10), ", "...)
	}
	return string(b[:n])
}

// check has the witness served.
func (s *stage) check(t testing.TB) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.witness == nil {
		t.Fatal("the witness is not served since a case before this one")
	}
	w := *s.witness
	w.t, s.witness = t, nil
	w.renew()
	w.write(text("still served"))
	w.expect(message("still served"))
	s.witness = &w
}

// awaitEnds sees the connections that were failed end, each with nothing after
// the close frame.
func (s *stage) awaitEnds(t *testing.T) {
	if s.setup.Advance != nil {
		s.setup.Advance(stageLeap)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for faults := 0; len(s.failed) > 0 && faults < 5; s.failed = s.failed[1:] { // the rest will be alike
		w := s.failed[0]
		w.renew()
		if err := w.c.AwaitEnd(); err != nil {
			t.Errorf("%s: after the close frame: %v", w.t.Name(), err)
			s.hasty.Store(true)
			faults++
		}
		_ = w.conn.Close()
	}
	for _, w := range s.failed {
		_ = w.conn.Close()
	}
	s.gw.Eventually("only the witness is left", func() bool {
		n, err := s.gw.UniqIDCount(t.Context())
		return err == nil && n == 1
	})
}

// A wire is a connection to a stage that sees and says what it wants. What goes
// wrong fails the test.
type wire struct {
	t       testing.TB
	stage   *stage
	conn    net.Conn
	c       *wsclient.Conn // once the handshake is done
	partial *arrived       // an unfinished message
	kept    bool           // its end is awaited later
}

// dial connects without a handshake.
func (s *stage) dial(t testing.TB) *wire {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), stagePatience)
	defer cancel()
	conn, err := s.setup.Dial(ctx, s.gw.Gateway)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	w := &wire{t: t, stage: s, conn: conn}
	w.renew()
	t.Cleanup(func() {
		if t.Failed() {
			s.hasty.Store(true)
		}
		if !w.kept {
			_ = conn.Close()
		}
	})
	return w
}

// open connects. Each offer is a line of Sec-WebSocket-Extensions.
func (s *stage) open(t testing.TB, offers ...string) *wire {
	t.Helper()
	w := s.dial(t)
	key := wsclient.Key()
	w.write(w.request(offers...).Append(nil, key))
	w.opened(key, len(offers) > 0)
	return w
}

// another opens a second connection to the same stage.
func (w *wire) another(offers ...string) *wire {
	w.t.Helper()
	return w.stage.open(w.t, offers...)
}

func (w *wire) request(offers ...string) wsclient.Request {
	r := wsclient.Request{Header: http.Header{}}
	if len(offers) > 0 {
		r.Header["Sec-Websocket-Extensions"] = offers
	}
	return r
}

// opened reads the answer to the handshake.
func (w *wire) opened(key string, offered bool) {
	w.t.Helper()
	c, err := wsclient.ReadAnswer(w.conn, key, offered)
	if err != nil {
		w.t.Fatalf("handshake: %v", err)
	}
	w.c = c
}

// renew begins the time anew in which everything must happen.
func (w *wire) renew() {
	patience := stagePatience
	if w.stage.hasty.Load() {
		patience = stageHaste
	}
	_ = w.conn.SetDeadline(time.Now().Add(patience))
}

// write sends bytes with one write.
func (w *wire) write(b []byte) {
	w.t.Helper()
	if _, err := w.conn.Write(b); err != nil {
		w.t.Fatalf("write: %v", err)
	}
}

// deliver writes b behind a ping and awaits the pong: then the gateway has read
// b, and what is written next is another read.
func (w *wire) deliver(b []byte) {
	w.t.Helper()
	w.write(append(ping("so far"), b...))
	w.expect(pong("so far"))
}

// An arrived is a message or a control frame from the gateway.
type arrived struct {
	op       websocket.Opcode // 0 stands for what the stage sends
	data     string
	deflated bool // it came compressed
}

func message(data string) arrived { return arrived{data: data} }
func pong(data string) arrived    { return arrived{op: websocket.OpPong, data: data} }
func closed(data string) arrived  { return arrived{op: websocket.OpClose, data: data} }

// next reads a message or a control frame. wsclient has checked that the frame
// is not masked, its length in the shortest form and a control frame whole and
// short (RFC 6455 5.1, 5.2, 5.5).
func (w *wire) next() (arrived, error) {
	for {
		f, err := w.c.ReadFrame()
		if err != nil {
			return arrived{}, err
		}
		a := arrived{op: f.Op, data: string(f.Data), deflated: f.RSV == 4}
		switch {
		case f.RSV&3 != 0 || a.deflated && (!w.c.Deflate || f.Op.IsControl() || f.Op == websocket.OpContinuation):
			return a, errors.New("a reserved bit that nothing allows (RFC 6455 5.2, RFC 7692 6)")
		case f.Op.IsControl():
			return a, nil
		case (f.Op == websocket.OpContinuation) != (w.partial != nil):
			return a, errors.New("fragments that do not make a message (RFC 6455 5.4)")
		case w.partial == nil:
			w.partial = &a
		default:
			w.partial.data += a.data
		}
		if f.Fin {
			return w.finish()
		}
	}
}

// finish makes a message of what has come.
func (w *wire) finish() (arrived, error) {
	a := *w.partial
	w.partial = nil
	if a.deflated {
		data, err := wsclient.Inflate([]byte(a.data))
		if err != nil {
			return a, err
		}
		a.data = string(data)
	}
	if a.op == websocket.OpText && !utf8.ValidString(a.data) {
		return a, errors.New("text that is not UTF-8 (RFC 6455 5.6)")
	}
	return a, nil
}

// expect reads until all that is wanted has come, and nothing else. Messages
// are in their order and so are pongs, but a pong may overtake messages: the
// gateway's answers are not the transport's.
func (w *wire) expect(want ...arrived) {
	w.t.Helper()
	for len(want) > 0 {
		got, err := w.next()
		if err != nil {
			w.t.Fatalf("read: %v, want %s", err, brief(want[0]))
		}
		at := 0
		for at < len(want) && got.op.IsControl() != want[at].op.IsControl() {
			at++
		}
		if at == len(want) {
			w.t.Fatalf("got %s, want %s", brief(got), brief(want[0]))
		}
		w.same(got, want[at])
		want = append(append([]arrived(nil), want[:at]...), want[at+1:]...)
	}
}

func (w *wire) same(got, want arrived) {
	w.t.Helper()
	if want.op == 0 {
		want.op = w.stage.op
	}
	if got.op != want.op || got.data != want.data {
		w.t.Fatalf("got %s, want %s", brief(got), brief(want))
	}
}

// brief describes a for a failure.
func brief(a arrived) string {
	const most = 60
	op, data := a.op.String(), a.data
	if a.op == 0 {
		op = "message"
	}
	if len(data) > most {
		data = data[:most] + "…"
	}
	return op + " of " + strconv.Itoa(len(a.data)) + " bytes " + strconv.Quote(data)
}

// expectFailure sees the gateway fail the connection (RFC 6455 7.1.7): a close
// frame with code and, as awaitEnds will see, nothing more. The witness must be
// served on.
func (w *wire) expectFailure(code int) {
	w.t.Helper()
	got, err := w.next()
	if err != nil {
		w.t.Fatalf("read: %v, want a close frame with code %d", err, code)
	}
	if got.op != websocket.OpClose || len(got.data) < 2 || int(got.data[0])<<8|int(got.data[1]) != code {
		w.t.Fatalf("got %s, want a close frame with code %d", brief(got), code)
	}
	if !utf8.ValidString(got.data[2:]) {
		w.t.Fatalf("the close frame's reason %q is not UTF-8 (RFC 6455 5.5.1)", got.data[2:])
	}
	w.stage.check(w.t)
	w.kept = true
	w.stage.mu.Lock()
	w.stage.failed = append(w.stage.failed, w)
	w.stage.mu.Unlock()
}

// expectEnd sees the connection end, with nothing before. It does not move the
// clock: where time stands still, the end comes at once or never.
func (w *wire) expectEnd() {
	w.t.Helper()
	if err := w.c.AwaitEnd(); err != nil {
		w.t.Fatalf("want the end of the connection: %v", err)
	}
	_ = w.conn.Close()
}

// expectAlive sees the connection go on, with nothing else in between.
func (w *wire) expectAlive() {
	w.t.Helper()
	w.write(ping("alive?"))
	got, err := w.next()
	if err != nil || got.op != websocket.OpPong || got.data != "alive?" {
		w.t.Fatalf("got %s, %v, want pong %q", brief(got), err, "alive?")
	}
}

package conformance

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/wsclient"
	"github.com/sluicegate/sluice/protocol"
	"github.com/sluicegate/sluice/transport/websocket"
)

// testPeers covers peers that die, at every stage of a connection's life. The
// book must balance after each: no client is left, every Open has its Close, and
// so has every Open of the Limiter.
func testPeers(t *testing.T, mk maker) {
	group(t, "dead peers", func(t *testing.T) {
		t.Run("lost", func(t *testing.T) { lostPeers(t, mk) })
		t.Run("lost while an authenticator decides", func(t *testing.T) { lostWhileDeciding(t, mk) })
		t.Run("half-closed behind messages", func(t *testing.T) { halfClosedBehindMessages(t, mk) })
		t.Run("time-outs and stop", func(t *testing.T) { peerTimeouts(t, mk) })
	})
}

// A loss is a way in which a connection is lost.
type loss struct {
	name string
	// lose returns false if c cannot be lost so.
	lose func(c net.Conn) bool
	// half says that the client can still read, and must see the end.
	half bool
}

func losses() []loss {
	return []loss{
		{"closed", func(c net.Conn) bool { return c.Close() == nil }, false},
		{"reset", func(c net.Conn) bool {
			t, ok := socket(c)
			return ok && t.SetLinger(0) == nil && t.Close() == nil
		}, false},
		{"half-closed", halfClose, true},
	}
}

// skip ends a case whose connections cannot be lost so.
func (l *loss) skip(s *scene) {
	s.t.Helper()
	if !l.lose(s.dial()) {
		s.t.Skip("in this transport's tests connections cannot be " + l.name)
	}
}

// lostPeers: without a close frame, at every stage.
func lostPeers(t *testing.T, mk maker) {
	s := start(t, mk, gateway.Config{})
	for _, l := range losses() {
		t.Run(l.name, func(t *testing.T) {
			l.skip(s.on(t))
			for _, stage := range lifeStages() {
				if !t.Run(stage.name, func(t *testing.T) {
					s := s.on(t)
					c := stage.reach(s)
					if !l.lose(c) {
						t.Fatal("this connection cannot be " + l.name)
					}
					if l.half {
						if _, ok := ended(c); !ok {
							t.Error("the server has not closed its side")
						}
					}
					s.settle()
				}) {
					return // what is left of it would fail the others
				}
			}
		})
	}
	s.join().leave() // it still serves
}

// A lifeStage is a point in a connection's life.
type lifeStage struct {
	name  string
	reach func(s *scene) net.Conn
}

func lifeStages() []lifeStage {
	raw := func(sent string) func(*scene) net.Conn {
		return func(s *scene) net.Conn {
			c := s.dial()
			_, err := io.WriteString(c, sent)
			must(s.t, err)
			return c
		}
	}
	open := func(sent string) func(*scene) net.Conn {
		return func(s *scene) net.Conn {
			p := s.join()
			_, err := io.WriteString(p, sent)
			must(s.t, err)
			return p.Conn.Conn
		}
	}
	whole := func(f wsclient.Frame) string { return string(wsclient.AppendFrame(nil, f, [4]byte{1, 2, 3, 4})) }
	first := whole(wsclient.Frame{Op: websocket.OpText, Data: []byte("first")})
	long := whole(wsclient.Frame{Fin: true, Op: websocket.OpBinary, Data: make([]byte, 100_000)})
	closing := whole(wsclient.Frame{Fin: true, Op: websocket.OpClose, Data: []byte("\x03\xe8")})
	return []lifeStage{
		{"before the head", raw("")},
		{"in the head's first line", raw("GET /w")},
		{"before the head's end", raw(exampleHead)},
		{"behind a bad head", raw("no head at all\r\n\r\n")},
		{"behind the head", raw(exampleHead + "\r\n")},
		{"behind the head and half a frame", raw(exampleHead + "\r\n" + first[:3])},
		{"behind the 101", open("")},
		{"in a frame's header", open(long[:5])},
		{"in a frame's mask", open(first[:4])},
		{"in a frame's payload", open(long[:50_000])},
		{"between two fragments", open(first)},
		{"in a ping between two fragments", open(first + "\x89\x84\x01\x02\x03\x04p")},
		{"in its close frame", open(closing[:3])},
		{"behind its close frame", open(closing)},
		{"behind a frame that is none", open("\xff\xff")},
		{"behind the server's close frame", func(s *scene) net.Conn {
			p := s.join()
			must(s.t, s.ForceOffline(s.t.Context(), []string{p.id}, nil))
			f, err := p.ReadFrame()
			if err != nil || f.Op != websocket.OpClose {
				s.t.Fatalf("%v, %v, want a close frame", f, err)
			}
			return p.Conn.Conn
		}},
		{"with messages on their way to it", func(s *scene) net.Conn {
			p := s.join()
			for i := range 100 {
				must(s.t, s.SingleCast(s.t.Context(), p.id, numbered(i, 1000)))
			}
			return p.Conn.Conn
		}},
	}
}

// lostWhileDeciding: a client that is gone when it is let in does not open, and
// the Limiter hears of its end.
func lostWhileDeciding(t *testing.T, mk maker) {
	d := newDoor()
	s := start(t, mk, gateway.Config{Hooks: []any{d}})
	for _, l := range losses() {
		t.Run(l.name, func(t *testing.T) {
			s := s.on(t)
			l.skip(s)
			// The server may hear of the loss only after it was told to let
			// the client in. Then it opens, and closes.
			const attempts = 50
			for range attempts {
				before := s.book.opens()
				c := s.dial()
				_, err := io.WriteString(c, exampleHead+"\r\n")
				must(t, err)
				within(t, d.asked, "the authenticator is asked")
				l.lose(c)
				time.Sleep(time.Millisecond) // there is no event to await
				d.open <- struct{}{}
				s.settle()
				if s.book.opens() == before {
					return
				}
			}
			t.Errorf("of %d clients that had left, each was opened", attempts)
		})
	}
}

// halfClosedBehindMessages: what a client sent before it ended its side is
// handled, all of it and in order, before its Close; and the server ends the
// other side.
func halfClosedBehindMessages(t *testing.T, mk maker) {
	const messages = 300
	seq := &sequence{next: make(map[string]int), closed: make(chan string, 1)}
	s := start(t, mk, gateway.Config{Router: seq})
	p := s.join()
	var all []byte
	for i := range messages {
		all = wsclient.AppendFrame(all, wsclient.Frame{Fin: true, Op: websocket.OpText, Data: []byte(strconv.Itoa(i))}, [4]byte{1, 2, 3, 4})
	}
	_, err := p.Write(all)
	must(t, err)
	if !halfClose(p.Conn.Conn) {
		t.Skip("in this transport's tests connections cannot be half-closed")
	}
	if id := within(t, seq.closed, "its Close"); id != p.id || seq.next[id] != messages || len(seq.faults) > 0 {
		t.Errorf("client %s: %d of %d messages were handled before its Close; %s", id, seq.next[id], messages, strings.Join(seq.faults, "; "))
	}
	if _, ok := ended(p.Conn.Conn); !ok {
		t.Error("the server has not closed its side")
	}
	s.settle()
}

// peerTimeouts: three gateways whose peers do not do their part, at the same
// time, as two seconds of the system's are what each takes.
func peerTimeouts(t *testing.T, mk maker) {
	stopped := stopAmongDead(t, mk)
	cut := unansweredCloses(t, mk)
	silentPeers(t, mk)
	cut()
	must(t, within(t, stopped, "the end of the stop"))
}

// unansweredCloses: who does not answer a close frame is cut when its time is
// up, whatever else it does. The function that is returned awaits that.
func unansweredCloses(t *testing.T, mk maker) (cut func()) {
	s := start(t, mk, stallConfig())
	mute, busy, deaf := s.join(), s.join(), s.stall()
	must(t, s.ForceOffline(t.Context(), []string{mute.id, busy.id, deaf.id}, nil))
	for _, p := range []*peer{mute, busy} {
		if f, err := p.ReadFrame(); err != nil || f.Op != websocket.OpClose {
			t.Fatalf("%v, %v, want a close frame", f, err)
		}
	}
	return func() {
		for range 4 {
			_ = busy.WriteMessage(websocket.OpText, []byte("too late")) // it may have been cut
			s.pass(closedFor / 4)
		}
		for name, p := range map[string]*peer{"a mute client": mute, "a busy one": busy, "a deaf one": deaf} {
			if _, ok := ended(p.Conn.Conn); !ok {
				t.Errorf("%s was not cut", name)
			}
		}
		s.settle()
		if n := s.Stats().MessagesIn; n != 0 {
			t.Errorf("%d messages were handled behind the close frame", n)
		}
	}
}

// silentPeers: who is silent is closed when its time is up; who gives a sign of
// life stays.
func silentPeers(t *testing.T, mk maker) {
	setup := mk(t)
	interval := setup.span(120*time.Second, time.Second)
	s := startOn(t, setup, gateway.Config{HeartbeatInterval: interval})
	timedOut := make(chan error, 2)
	for name, sent := range map[string]string{"a silent client": "", "one with half a frame": "\x81\x85\x01\x02"} {
		p := s.join()
		_, err := io.WriteString(p, sent)
		must(t, err)
		go func() {
			_, _, err := p.ReadMessage()
			if isClose(err, websocket.CloseGoingAway) {
				err = nil
			} else {
				err = fmt.Errorf("%s: %w, want close 1001", name, err)
			}
			timedOut <- err
		}()
	}
	signs := []struct {
		name string
		op   websocket.Opcode
		data string
	}{
		{"ping", websocket.OpPing, "p"},
		{"pong", websocket.OpPong, ""},
		{"heartbeat", websocket.OpText, protocol.DefaultHeartbeat},
		{"message", websocket.OpText, "m"},
	}
	alive := make([]*peer, len(signs))
	for i := range alive {
		alive[i] = s.join()
	}
	rounds := 0
	for left := 2; left > 0; {
		select {
		case err := <-timedOut:
			left--
			must(t, err)
			continue
		default:
		}
		if rounds++; rounds > 1000 {
			t.Fatal("the silent clients are still there")
		}
		for i, sign := range signs {
			must(t, alive[i].WriteMessage(sign.op, []byte(sign.data)))
		}
		s.Eventually("the signs of life are heard", func() bool {
			st := s.Stats()
			return st.Heartbeats == int64(3*rounds) && st.MessagesIn == int64(rounds)
		})
		s.await(interval / 10)
	}
	for i, p := range alive {
		if signs[i].op == websocket.OpText && signs[i].data == "m" {
			p.expect(slices.Repeat([]string{"m"}, rounds)...)
		}
		p.echoes("alive by " + signs[i].name)
		p.leave()
	}
	s.settle()
}

// stopAmongDead stops a gateway whose clients do not do their part. The channel
// says what comes of it.
func stopAmongDead(t *testing.T, mk maker) (stopped <-chan error) {
	s := start(t, mk, stallConfig())
	conns := []net.Conn{s.join().Conn.Conn, s.stall().Conn.Conn}
	if !s.setup.Mounted { // else they are http.Server's
		half := s.dial()
		_, err := io.WriteString(half, exampleHead)
		must(t, err)
		conns = append(conns, s.dial(), half)
	}
	result := make(chan error, 1)
	go func() {
		err := s.Stop()
		for _, c := range conns {
			if _, ok := ended(c); !ok && err == nil {
				err = errors.New("a connection is open when the gateway has stopped")
			}
		}
		if st := s.Stats(); err == nil && (total(st) != stalled || st.Drops[hooks.DropFailed].Messages == 0) {
			err = errors.New("the counts are not exact when the gateway has stopped")
		}
		result <- err
	}()
	return result
}

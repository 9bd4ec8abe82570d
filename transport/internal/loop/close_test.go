package loop

import (
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/websocket"
)

func TestClosingHandshake(t *testing.T) {
	var k *kit
	var s *fakeSocket
	weClose := func() { k.post(do(func() { s.conn.Close(4001, "enough") })); k.settle() }
	peerCloses := func() { s.conn.Input(clientClose(4002, "mine")) }
	peerTalks := func() { s.conn.Input(clientFrame(1, "wait")); s.conn.Input(clientFrame(9, "?")) }
	peerLeaves := func() { s.close() }
	timeout := func() { k.advance(k.opts.CloseTimeout + tick) }
	atOnce := func() { // both close frames are under way at the same time
		k.post(do(func() { s.conn.Close(4001, "enough") }))
		s.conn.Input(clientClose(4002, "mine"))
		k.settle()
	}
	garbage := func() { s.conn.Input([]byte{0xff, 0xff, 0xff}) }
	stall := func() { s.room = 0; s.conn.Send(text("x")); k.l.flush(1) }
	read := func() { s.take(plenty); k.l.Relieve() }
	trickle := func() {
		for _, b := range clientClose(4002, "mine") {
			s.conn.Input([]byte{b})
		}
	}
	ours := transport.CloseCause{Code: 4001, Reason: "enough"}
	theirs := transport.CloseCause{Code: 4002, Reason: "mine", Remote: true}
	lost := transport.CloseCause{Code: 1006, Remote: true}
	for name, c := range map[string]struct {
		do     []func()
		cause  transport.CloseCause
		frame  []byte // the close frame that the peer gets
		closed bool
	}{
		"we close":                            {[]func(){weClose}, ours, closeFrame(4001, "enough"), false},
		"we close twice":                      {[]func(){weClose, weClose}, ours, closeFrame(4001, "enough"), false},
		"we close, the peer answers":          {[]func(){weClose, peerCloses}, ours, closeFrame(4001, "enough"), true},
		"the answer trickles in":              {[]func(){weClose, trickle}, ours, closeFrame(4001, "enough"), true},
		"the peer never answers":              {[]func(){weClose, timeout}, ours, closeFrame(4001, "enough"), true},
		"the peer talks on, then answers":     {[]func(){weClose, peerTalks, peerCloses}, ours, closeFrame(4001, "enough"), true},
		"the peer talks on and never answers": {[]func(){weClose, peerTalks, timeout}, ours, closeFrame(4001, "enough"), true},
		"the peer answers with garbage":       {[]func(){weClose, garbage, peerCloses, timeout}, ours, closeFrame(4001, "enough"), true},
		"the peer leaves instead":             {[]func(){weClose, peerLeaves}, ours, closeFrame(4001, "enough"), true},
		"the peer closes":                     {[]func(){peerCloses}, theirs, closeFrame(4002, "mine"), true},
		"the peer closes, then we":            {[]func(){peerCloses, weClose}, theirs, closeFrame(4002, "mine"), true},
		"both at once":                        {[]func(){atOnce}, theirs, closeFrame(4002, "mine"), true},
		"the peer leaves":                     {[]func(){peerLeaves}, lost, nil, true},
		"garbage":                             {[]func(){garbage}, transport.CloseCause{Code: 1002}, nil, false},
		"we close while it is stalled":        {[]func(){stall, weClose}, ours, nil, false},
		"stalled, then it reads":              {[]func(){stall, weClose, read}, ours, closeFrame(4001, "enough"), false},
		"stalled, reads and answers":          {[]func(){stall, weClose, read, peerCloses}, ours, closeFrame(4001, "enough"), true},
		"stalled, answers before it reads":    {[]func(){stall, weClose, peerCloses, read}, ours, closeFrame(4001, "enough"), true},
		"stalled for ever":                    {[]func(){stall, weClose, timeout}, ours, nil, true},
		"the stalled peer closes":             {[]func(){stall, peerCloses}, theirs, nil, false},
		"the stalled peer closes and reads":   {[]func(){stall, peerCloses, read}, theirs, closeFrame(4002, "mine"), true},
		"the gateway stops":                   {[]func(){func() { k.l.CloseAll(1001, "going away"); k.settle() }}, transport.CloseCause{Code: 1001, Reason: "going away"}, closeFrame(1001, "going away"), false},
	} {
		t.Run(name, func(t *testing.T) {
			k = newKit(t)
			s = k.open()
			for _, f := range c.do {
				f()
			}
			a := k.h.of(1)
			want(t, "Close events", a.closed, 1)
			if c.cause.Reason == "" && c.cause.Code == 1002 {
				a.cause.Reason = "" // the codec's words
			}
			want(t, "cause", a.cause, c.cause)
			want(t, "messages", strings.Join(a.messages, ","), "")
			want(t, "socket closed", s.closed, c.closed)
			if c.frame != nil && !strings.HasSuffix(string(s.got), string(c.frame)) {
				t.Errorf("the peer got %s, want %s at its end", brief(s.got), brief(c.frame))
			}
			s.conn.Send(text("late"))
			want(t, "dropped, as it is closed", a.dropped[transport.DropClosed], 1)
			k.advance(k.opts.CloseTimeout + tick)
			want(t, "socket closed in the end", s.closed, true)
			want(t, "connections", k.l.Conns(), 0)
		})
	}
}

// What is queued leaves before the close frame, and in the same write.
func TestCloseGoesBehindWhatIsQueued(t *testing.T) {
	k := newKit(t)
	s := k.open()
	k.post(do(func() {
		s.conn.Send(text("last words"))
		s.conn.Close(1000, "")
		s.conn.Send(text("too late"))
	}))
	k.settle()
	k.wantBytes(s, text("last words"), &transport.Frame{Plain: closeFrame(1000, "")})
	want(t, "writes", s.writes, 1)
	want(t, "dropped", k.h.of(1).dropped[transport.DropClosed], 1)
}

// A peer that answers in time is not cut off early, and the timer starts when
// we close, not when the loop last looked at its clock.
func TestCloseTimeoutIsNotShort(t *testing.T) {
	for _, timeout := range []time.Duration{tick, 300 * time.Millisecond, time.Second} {
		k := newKit(t, func(o *transport.Options) { o.CloseTimeout = timeout })
		k.advance(3*tick + 200*time.Millisecond)
		s := k.open()
		s.conn.Close(1000, "")
		k.l.flush(1)
		for passed := 10 * time.Millisecond; passed < timeout; passed += 10 * time.Millisecond {
			k.advance(10 * time.Millisecond)
			if s.closed {
				t.Fatalf("closed after %v of %v", passed, timeout)
			}
		}
		k.advance(2 * tick)
		want(t, "closed", s.closed, true)
	}
}

func TestCloseAll(t *testing.T) {
	k := newKit(t)
	open, closing := k.open(), k.open()
	closing.conn.Close(4000, "")
	k.l.flush(1)
	head, deciding, refused := k.attach(), k.attach(), k.attach()
	refused.conn.Input([]byte(request("/other")))
	k.h.hold = true
	deciding.conn.Input([]byte(request("/ws")))
	// The end of one may end another.
	k.h.onClose = func(*Conn) { head.close() }
	k.l.CloseAll(1001, "going away")
	k.settle()
	k.wantBytes(open, &transport.Frame{Plain: closeFrame(1001, "going away")})
	k.wantBytes(closing, &transport.Frame{Plain: closeFrame(4000, "")})
	for _, s := range []*fakeSocket{head, deciding, refused} {
		want(t, "closed at once", s.closed, true)
	}
	want(t, "connections left", k.l.Conns(), 2)
	k.l.CloseAll(1001, "again")
	k.advance(k.opts.CloseTimeout + tick)
	want(t, "connections left", k.l.Conns(), 0)
}

// Closed may come twice, and input after it, without harm.
func TestAfterTheEnd(t *testing.T) {
	k := newKit(t)
	s := k.open()
	s.close()
	s.conn.Closed()
	s.conn.Input(clientFrame(1, "x"))
	s.conn.Close(1000, "")
	s.conn.Send(text("x"))
	k.l.CloseAll(1001, "")
	k.advance(time.Hour)
	a := k.h.of(1)
	want(t, "Close events", a.closed, 1)
	want(t, "messages", len(a.messages), 0)
	want(t, "dropped", a.dropped, [5]int64{transport.DropClosed: 1})
}

// What a peer still sends compressed is not inflated: it need not even be right
// for its answer to be found behind it.
func TestNothingIsInflatedAfterTheClose(t *testing.T) {
	k := newKit(t, func(o *transport.Options) { o.Compression = true })
	s := k.attach()
	s.conn.Input([]byte(request("/ws", "Sec-WebSocket-Extensions: permessage-deflate\r\n")))
	s.conn.Close(4001, "enough")
	k.l.flush(1)
	corrupt := clientFrame(websocket.OpBinary, "\x07")
	corrupt[0] |= 0x40
	s.conn.Input(append(corrupt, clientClose(4001, "enough")...))
	want(t, "closed", s.closed, true)
}

package pipe

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// When Rest returns, what was sent is answered, and the count of passes tells
// whether anything went on since.
func TestRest(t *testing.T) {
	p, _ := serve(t, newEcho(), Loops(3), Segment(1))
	all := []*websocket.Conn{connect(t, p), connect(t, p), connect(t, p), connect(t, p)}
	rest := func() uint64 {
		t.Helper()
		n, err := p.Rest(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := rest()
	for range 100 {
		for _, c := range all {
			if c.NetConn().(*client).Readable() {
				t.Fatal("there is something to read")
			}
			if err := c.WriteMessage(websocket.TextMessage, []byte("a message")); err != nil {
				t.Fatal(err)
			}
		}
		after := rest()
		if after == before {
			t.Fatal("nothing went on")
		}
		for _, c := range all {
			if !c.NetConn().(*client).Readable() {
				t.Fatal("there is nothing to read")
			}
			if _, _, err := c.ReadMessage(); err != nil {
				t.Fatal(err)
			}
		}
		// Reading gives the loops something to do.
		if before = rest(); before < after || rest() != before {
			t.Fatal("the count changes by itself")
		}
	}
	_ = all[0].Close()
	if c := all[0].NetConn().(*client); !c.Readable() {
		t.Error("the end is not readable")
	}
}

// Rest waits no longer than it may, and not for a transport that has ended.
func TestRestEnds(t *testing.T) {
	e := newEcho()
	block := make(chan struct{})
	p, stop := serve(t, &blocking{e, block})
	c := connect(t, p)
	<-e.opened
	_ = c.WriteMessage(websocket.TextMessage, []byte("x"))
	<-e.opened
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := p.Rest(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Rest of a loop that is held up: %v", err)
	}
	close(block)
	if _, err := p.Rest(t.Context()); err != nil {
		t.Error(err)
	}
	stop()
	if _, err := p.Rest(t.Context()); err != nil {
		t.Error(err)
	}
	if _, ok := p.Next(); ok {
		t.Error("something is due after the end")
	}
}

func TestNext(t *testing.T) {
	p, _ := serve(t, newEcho(), Loops(2))
	if _, ok := p.Next(); ok {
		t.Error("something is due on no connection")
	}
	p.Advance(time.Second)
	connect(t, p)
	p.Advance(52 * time.Second)
	dial(t, p) // on the other loop, and not to say anything
	if _, err := p.Rest(t.Context()); err != nil {
		t.Fatal(err)
	}
	for what, want := range []time.Duration{
		8 * time.Second, // a heartbeat has not come
		2 * time.Second, // nor has a handshake
		3 * time.Second, // nor the answer to a close frame
	} {
		d, ok := p.Next()
		if !ok || d != want {
			t.Errorf("time-out %d in %v, %v, want %v", what, d, ok, want)
		}
		p.Advance(d)
	}
}

// Loops that are frozen do nothing, and hold up nobody but their clients.
func TestFreeze(t *testing.T) {
	e := newEcho()
	p, stop := serve(t, e, Loops(2))
	c := connect(t, p)
	<-e.opened
	thaw := p.Freeze()
	_ = c.WriteMessage(websocket.TextMessage, []byte("x"))
	p.Advance(time.Second)
	if _, err := p.Rest(t.Context()); err != nil {
		t.Error(err)
	}
	if _, ok := p.Next(); ok || c.NetConn().(*client).Readable() {
		t.Error("something goes on")
	}
	thaw()
	if _, _, err := c.ReadMessage(); err != nil {
		t.Error(err)
	}
	p.Freeze()
	stop()
	if n := len(e.closed); n != 1 {
		t.Errorf("%d of 1 closed when Serve returned", n)
	}
}

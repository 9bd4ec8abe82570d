package loop

import (
	"net/http"
	"sync/atomic"

	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/websocket"
)

// decision is what is made of a handshake.
type decision struct {
	agreed websocket.Handshake

	decided atomic.Bool // nobody else may decide
	met     atomic.Bool // see meet
	accept  bool
	// accepted is set when value is the connection's. It is for its loop.
	accepted bool
	value    any    // if accept
	answer   []byte // nil if it is what was agreed and no more
}

// meet is called by the loop when Handler.Handshake has returned, and by whoever
// has decided. It returns true for the second, who sees what the first has
// written: most decisions are made by then, and need not go by the mailbox.
func (d *decision) meet() (second bool) { return d.met.Swap(true) }

// Accept implements transport.Handshake.
func (hs *handshake) Accept(value any, header http.Header) {
	if !hs.decided.CompareAndSwap(false, true) {
		// The time is up, or this is a second decision.
		hs.conn.loop.tellAbort(value)
		return
	}
	hs.accept, hs.value = true, value
	if header != nil {
		// The caller keeps its header.
		hs.answer = hs.agreed.AppendResponse(nil, header)
	}
	hs.decide()
}

// Refuse implements transport.Handshake.
func (hs *handshake) Refuse(status int, header http.Header, reason string) {
	if hs.decided.CompareAndSwap(false, true) {
		hs.answer = refusal(status, header, reason)
		hs.decide()
	}
}

// decide leaves the decision to the loop, or takes it there. It is posted even to a
// full mailbox: there is one for each connection, so their number is bounded.
func (hs *handshake) decide() {
	if !hs.meet() {
		return
	}
	v := verdict{hs}
	if err := hs.conn.loop.PostAlways(v); err != nil {
		v.Drop()
	}
}

// execute does what was decided. It is for the loop.
func (hs *handshake) execute() {
	c := hs.conn
	if hs.accept {
		c.upgrade(hs.value, hs.answer)
	} else if c.state == stateDeciding {
		c.refuse(hs.answer)
	}
}

// verdict is the Task that carries a decision to the loop.
type verdict struct{ hs *handshake }

// Run implements transport.Task.
func (v verdict) Run(int) (steps int, done bool) {
	defer v.hs.conn.loop.guard(v.hs.conn)
	v.hs.execute()
	return 1, true
}

// Weight implements transport.Task.
func (v verdict) Weight() (recipients, bytes int) { return 1, 0 }

// Drop implements transport.Task.
func (v verdict) Drop() {
	if v.hs.accept {
		v.hs.conn.loop.tellAbort(v.hs.value)
	}
}

var _ transport.Handshake = (*handshake)(nil)

package loop

import (
	"fmt"
	"net/http"
	"runtime/debug"

	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/websocket"
)

// Every call of the handler is made here, each with a guard of its own: a
// handler that panics must not unwind through the loop's bookkeeping, nor
// through a task that has other connections to serve.

func (l *Loop) tellHandshake(c *Conn) {
	defer l.guard(c)
	l.handler.Handshake(c.handshake())
}

func (l *Loop) tellOpen(c *Conn) {
	defer l.guard(c)
	l.handler.Open(c)
}

func (l *Loop) tellMessage(c *Conn, m websocket.Message) {
	defer l.guard(c)
	l.handler.Message(c, m.Data, m.Op == websocket.OpBinary)
}

func (l *Loop) tellPing(c *Conn) {
	defer l.guard(c)
	l.handler.Ping(c)
}

func (l *Loop) tellClose(c *Conn, cause transport.CloseCause) {
	defer l.guard(c)
	l.handler.Close(c, cause)
}

// tellAbort may be called on any goroutine.
func (l *Loop) tellAbort(value any) {
	defer l.guard(nil)
	l.handler.Abort(value)
}

func (l *Loop) tellDropped(c *Conn, reason transport.DropReason, messages, bytes int64) {
	if messages == 0 {
		return // control frames only
	}
	defer l.guard(c)
	l.handler.Dropped(c, reason, messages, bytes)
}

// tellGap returns what c is told of so many messages that are missing.
func (l *Loop) tellGap(c *Conn, messages int64) *transport.Frame {
	defer l.guard(c)
	return l.opts.Gap(c, messages)
}

// report tells the handler what was written since the last report.
func (l *Loop) report() {
	l.meter.publish()
	messages, bytes := l.outMessages, l.outBytes
	if messages == 0 {
		return
	}
	l.outMessages, l.outBytes = 0, 0
	defer l.guard(nil)
	l.handler.Written(messages, bytes)
}

// guard keeps a panic of a handler from ending the process: it costs the
// connection that it happened on. It must be deferred.
func (l *Loop) guard(c *Conn) {
	if r := recover(); r != nil {
		l.panicked(r, c)
	}
}

func (l *Loop) panicked(r any, c *Conn) {
	if n, ok := l.panics.Next(); ok {
		l.log.Error("handler panicked", "panic", fmt.Sprint(r), "stack", string(debug.Stack()), "suppressed", n)
	}
	if c == nil {
		return
	}
	switch c.state {
	case stateOpen:
		c.Close(websocket.CloseInternalError, "internal error")
	case stateDeciding:
		c.refuse(refusal(http.StatusInternalServerError, nil, "internal error"))
	case stateHead, stateProxy:
		c.cutOff()
	}
	// In any other state its end has begun, and the handler knows.
}

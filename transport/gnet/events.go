package gnet

import (
	"context"
	"sync/atomic"
	"time"

	engine "github.com/panjf2000/gnet/v2"

	"github.com/sluicegate/sluice/transport/internal/loop"
)

// eventLoop is our side of one of the engine's loops.
type eventLoop struct {
	t    *Transport
	el   engine.EventLoop
	core *loop.Loop

	tickDue  atomic.Bool // a tick is on its way
	closeDue atomic.Pointer[closing]
}

// closing is a request to close all connections of a loop.
type closing struct {
	begun    bool
	deadline time.Time
	done     chan struct{}
}

// The engine's tasks are not FIFO, so each of these says only that there is
// something to look at.
type (
	wakeTask struct{ *eventLoop }
	tickTask struct{ *eventLoop }
)

// Wake implements loop.Engine.
func (l *eventLoop) Wake() { l.execute(wakeTask{l}) }

// Again implements loop.Engine. The engine runs tasks until none is left
// before it polls its sockets, and so would run one that is handed in by
// another at once; one that comes by way of another goroutine finds it polling,
// but for a coincidence now and then.
func (l *eventLoop) Again() { l.t.again <- l }

// execute hands in a task, unless the engine is ending: a wake that it gives
// then would be written to a descriptor that may be another's by now.
func (l *eventLoop) execute(task engine.Runnable) {
	l.t.ending.RLock()
	defer l.t.ending.RUnlock()
	if !l.t.tearing {
		_ = l.el.Execute(context.Background(), task)
	}
}

// CloseSocket implements loop.Engine.
func (l *eventLoop) CloseSocket(s loop.Socket) {
	_ = l.el.Close(s.(engine.Conn))
}

// Hurry implements loop.Engine.
func (l *eventLoop) Hurry() {
	select {
	case l.t.hurry <- struct{}{}:
	default:
	}
}

// Run implements the engine's Runnable.
func (w wakeTask) Run(context.Context) error {
	w.core.Woken()
	return nil
}

// requestTick has the loop look at its clock, unless it is about to.
func (l *eventLoop) requestTick() {
	if !l.tickDue.Swap(true) {
		l.execute(tickTask{l})
	}
}

// Run implements the engine's Runnable.
func (w tickTask) Run(context.Context) error {
	w.tickDue.Store(false)
	now := time.Now()
	w.core.Tick(now)
	if c := w.closeDue.Load(); c != nil {
		if !c.begun {
			c.begun = true
			w.core.CloseAll(goingAwayCode, goingAwayReason)
		}
		if w.core.Conns() == 0 || now.After(c.deadline) {
			w.closeDue.Store(nil)
			close(c.done)
		}
	}
	return nil
}

// closeAll closes the loop's connections and returns when they are gone or
// deadline has passed, or when ended is closed. The ticker drives it.
func (l *eventLoop) closeAll(deadline time.Time, ended <-chan struct{}) {
	c := &closing{deadline: deadline, done: make(chan struct{})}
	l.closeDue.Store(c)
	l.requestTick()
	select {
	case <-c.done:
	case <-ended:
	}
}

// events is the engine's view of a Transport.
type events struct {
	engine.BuiltinEventEngine
	t *Transport
}

// OnBoot implements the engine's EventHandler. The engine listens now, but has no
// loops yet.
func (e *events) OnBoot(eng engine.Engine) engine.Action {
	e.t.mu.Lock()
	defer e.t.mu.Unlock()
	e.t.eng = eng
	return engine.None
}

// OnTick implements the engine's EventHandler. It is called once the loops are
// there, and that is all that it is for if there is a listener.
func (e *events) OnTick() (time.Duration, engine.Action) {
	if e.t.deaf {
		e.t.beats.Add(1)
		return beatEvery, engine.None
	}
	const never = 1 << 62
	switch fresh, stopping := e.t.boot(); {
	case stopping:
		return never, engine.Shutdown
	case fresh:
		e.t.opts.Ready(e.t.bound)
	}
	return never, engine.None
}

// OnShutdown implements the engine's EventHandler. What the loops were told
// until now they will still do.
func (e *events) OnShutdown(engine.Engine) {
	e.t.ending.Lock()
	defer e.t.ending.Unlock()
	e.t.tearing = true
}

// OnOpen implements the engine's EventHandler.
func (e *events) OnOpen(c engine.Conn) ([]byte, engine.Action) {
	if a, ok := c.Context().(*adoption); ok {
		return e.adopted(c, a)
	}
	l := e.admit(c)
	if l == nil {
		return nil, engine.Close
	}
	c.SetContext(l.core.Attach(c))
	return nil, engine.None
}

// admit returns the loop of a new connection, or nil to turn it away.
func (e *events) admit(c engine.Conn) *eventLoop {
	if c.Fd() >= e.t.cap {
		// Descriptors are handed out from the lowest, so those below are
		// taken. The engine would end if accepting failed for want of one.
		e.t.turnAway()
		return nil
	}
	return e.t.loopOf(c.EventLoop())
}

// OnTraffic implements the engine's EventHandler.
func (e *events) OnTraffic(c engine.Conn) engine.Action {
	conn, ok := c.Context().(*loop.Conn)
	if !ok || c.InboundBuffered() == 0 {
		return engine.None
	}
	b, err := c.Next(-1)
	if err == nil {
		conn.Input(b)
	}
	return engine.None
}

// OnClose implements the engine's EventHandler.
func (e *events) OnClose(c engine.Conn, _ error) engine.Action {
	if conn, ok := c.Context().(*loop.Conn); ok {
		conn.Closed()
	}
	return engine.None
}

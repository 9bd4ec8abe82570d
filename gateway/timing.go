package gateway

import (
	"context"
	"time"

	"github.com/sluicegate/sluice/hooks"
)

// timed is a Router whose calls the HandlerObservers are told of. A gateway without
// any has none, and looks at no clock.
type timed struct {
	g      *Gateway
	router hooks.Router
	start  time.Time
}

// Open implements hooks.Router.
func (t *timed) Open(ctx context.Context, bus hooks.Bus, e hooks.OpenEvent) {
	began := time.Since(t.start)
	defer t.tell(hooks.EventOpen, began)
	t.router.Open(ctx, bus, e)
}

// Message implements hooks.Router.
func (t *timed) Message(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
	began := time.Since(t.start)
	defer t.tell(hooks.EventMessage, began)
	t.router.Message(ctx, bus, e)
}

// Close implements hooks.Router.
func (t *timed) Close(ctx context.Context, bus hooks.Bus, e hooks.CloseEvent) {
	began := time.Since(t.start)
	defer t.tell(hooks.EventClose, began)
	t.router.Close(ctx, bus, e)
}

// tell is called also when the Router panics, whose panic goes on.
func (t *timed) tell(kind hooks.EventKind, began time.Duration) {
	took := time.Since(t.start) - began
	for _, o := range t.g.hooks.handlers {
		t.tellOne(o, kind, took)
	}
}

// tellOne keeps an observer's panic from the others and from the client.
func (t *timed) tellOne(o hooks.HandlerObserver, kind hooks.EventKind, took time.Duration) {
	defer t.g.rescue("handler observer", "", nil)
	o.Handled(kind, took)
}

// Package server is what a load run measures: a gateway with everything on that
// real ones need, and a handler that does what the run's clients ask for.
package server

import (
	"context"
	"strconv"
	"strings"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/load/message"
)

// A Handler is business code that does what messages of package message ask for.
// The zero value is ready. It never blocks but in the Bus, so it may run on event
// loops.
type Handler struct {
	// Topics are those that every client is subscribed to when it comes. Nil
	// means none.
	Topics []string
}

var _ hooks.Router = (*Handler)(nil)

// TopicNames are the topics of a run that has n: t, t1, t2 …
func TopicNames(n int) []string {
	names := make([]string, 0, n)
	for i := range n {
		name := "t"
		if i > 0 {
			name += strconv.Itoa(i)
		}
		names = append(names, name)
	}
	return names
}

// Open implements [hooks.Router].
func (h *Handler) Open(ctx context.Context, bus hooks.Bus, e hooks.OpenEvent) {
	_ = bus.Subscribe(ctx, e.UniqID, h.Topics, nil)
}

// Message implements [hooks.Router]. What it does not understand, it sends back.
// Errors need no answer: what they keep from clients, the run counts as lost.
func (h *Handler) Message(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
	if len(e.Data) == 0 {
		return
	}
	name := message.Name(e.Data)
	switch message.Kind(e.Data[0]) {
	case message.Who:
		if head, ok := message.Parse(e.Data); ok {
			_ = bus.SingleCast(ctx, e.UniqID, message.Append(nil, head, e.UniqID, len(e.Data)))
		}
	case message.Join:
		_ = bus.Subscribe(ctx, e.UniqID, strings.Split(string(name), ","), e.Data)
	case message.Leave:
		_ = bus.Unsubscribe(ctx, e.UniqID, strings.Split(string(name), ","), e.Data)
	case message.Say:
		_ = bus.Publish(ctx, []string{string(name)}, e.Data)
	case message.Login:
		who := string(name)
		_ = bus.UpdateConnInfo(ctx, hooks.ConnInfoUpdate{UniqID: e.UniqID, NewSession: who, NewCustomerID: who, Data: e.Data})
	case message.Logout:
		_ = bus.DeleteConnInfo(ctx, hooks.ConnInfoDelete{UniqID: e.UniqID, Session: true, CustomerID: true, Data: e.Data})
	default:
		_ = bus.SingleCast(ctx, e.UniqID, e.Data)
	}
}

// Close implements [hooks.Router].
func (h *Handler) Close(context.Context, hooks.Bus, hooks.CloseEvent) {}

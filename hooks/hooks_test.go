package hooks_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/sluicegate/sluice/hooks"
)

// recorder notes the events that reach it, and passes them on.
func recorder(name string, seen *[]string) hooks.Middleware {
	return func(next hooks.Router) hooks.Router {
		return hooks.RouterFuncs{
			OnOpen: func(ctx context.Context, bus hooks.Bus, e hooks.OpenEvent) {
				*seen = append(*seen, name+" open")
				next.Open(ctx, bus, e)
			},
			OnMessage: func(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
				*seen = append(*seen, name+" message")
				next.Message(ctx, bus, e)
			},
			OnClose: func(ctx context.Context, bus hooks.Bus, e hooks.CloseEvent) {
				*seen = append(*seen, name+" close")
				next.Close(ctx, bus, e)
			},
		}
	}
}

func TestChain(t *testing.T) {
	var seen []string
	r := hooks.Chain(hooks.RouterFuncs{}, recorder("first", &seen), recorder("second", &seen))
	ctx := t.Context()
	r.Open(ctx, nil, hooks.OpenEvent{})
	r.Message(ctx, nil, hooks.MessageEvent{})
	r.Close(ctx, nil, hooks.CloseEvent{})
	want := []string{"first open", "second open", "first message", "second message", "first close", "second close"}
	if !slices.Equal(seen, want) {
		t.Errorf("seen %v, want %v", seen, want)
	}
}

func TestRefusal(t *testing.T) {
	err := fmt.Errorf("token: %w", &hooks.Refusal{Status: 401, Reason: "expired"})
	var r *hooks.Refusal
	if !errors.As(err, &r) || r.Status != 401 {
		t.Errorf("%v is not found in %v", r, err)
	}
	if got := err.Error(); got != "token: hooks: handshake refused: expired" {
		t.Error(got)
	}
}

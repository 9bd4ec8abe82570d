package hooks_test

import (
	"bytes"
	"context"
	"slices"
	"testing"

	"github.com/sluicegate/sluice/hooks"
)

// noting notes the events that reach it.
func noting(name string, seen *[]string) hooks.Router {
	return recorder(name, seen)(hooks.RouterFuncs{})
}

// drive makes the calls of one client.
func drive(r hooks.Router, path string, messages ...string) {
	ctx := context.Background()
	r.Open(ctx, nil, hooks.OpenEvent{UniqID: path, Path: path})
	for _, m := range messages {
		r.Message(ctx, nil, hooks.MessageEvent{UniqID: path, Data: []byte(m)})
	}
	r.Close(ctx, nil, hooks.CloseEvent{UniqID: path})
}

func TestByClient(t *testing.T) {
	var seen []string
	a, b := noting("a", &seen), noting("b", &seen)
	r := hooks.ByClient(func(e hooks.OpenEvent) hooks.Router {
		switch e.Path {
		case "/a":
			return a
		case "/b":
			return b
		}
		return nil
	})
	drive(r, "/a", "1")
	drive(r, "/b", "1")
	drive(r, "/c", "1")
	r.Message(t.Context(), nil, hooks.MessageEvent{UniqID: "/a"}) // it has closed
	want := []string{"a open", "a message", "a close", "b open", "b message", "b close"}
	if !slices.Equal(seen, want) {
		t.Errorf("seen %v, want %v", seen, want)
	}
}

func TestByMessageAndTee(t *testing.T) {
	var seen []string
	a, b := noting("a", &seen), noting("b", &seen)
	r := hooks.ByMessage(func(e hooks.MessageEvent) hooks.Router {
		switch {
		case bytes.HasPrefix(e.Data, []byte("a:")):
			return a
		case bytes.HasPrefix(e.Data, []byte("both:")):
			return hooks.Tee(a, b)
		case bytes.HasPrefix(e.Data, []byte("b:")):
			return b
		}
		return nil
	}, hooks.Tee(a, b))
	drive(r, "/", "b:", "none", "a:", "both:")
	want := []string{"a open", "b open", "b message", "a message", "a message", "b message", "a close", "b close"}
	if !slices.Equal(seen, want) {
		t.Errorf("seen %v, want %v", seen, want)
	}
}

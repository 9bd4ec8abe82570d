package main

import (
	"context"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicegate/sluice/hooks"
)

// There is one line a second at most, with all that was dropped in it.
func TestDropsAddUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(lines)
		d := &drops{log: log.logger()}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- d.Run(ctx, nil) }()
		for range 3 {
			d.Dropped(hooks.DropEvent{Reason: hooks.DropSlow, Messages: 2, Bytes: 10})
		}
		d.Dropped(hooks.DropEvent{Reason: hooks.DropUnknown, Messages: 1, Bytes: 5})
		synctest.Wait()
		if s := log.text(); s != "" {
			t.Errorf("logged at once: %s", s)
		}
		time.Sleep(3500 * time.Millisecond) // of the test's own time, which passes at once
		d.Dropped(hooks.DropEvent{Reason: hooks.DropClosed, Messages: 4, Bytes: 40})
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		want := []map[string]any{
			{"level": "WARN", "msg": "dropped",
				"slow":    map[string]any{"messages": 6., "bytes": 30.},
				"unknown": map[string]any{"messages": 1., "bytes": 5.}},
			{"level": "WARN", "msg": "dropped", "closed": map[string]any{"messages": 4., "bytes": 40.}},
		}
		if got := log.all(t); !reflect.DeepEqual(got, want) {
			t.Errorf("the log is\n%s\nwant %v", log.text(), want)
		}
	})
}

// The gateway tells of what it drops.
func TestDrops(t *testing.T) {
	h := newHost(t)
	ann := h.Connect(h.target("Ann"))
	for range 12 {
		ann.Send("ab")
	}
	h.Settle()
	if err := h.Stop(); err != nil {
		t.Fatal(err)
	}
	var messages, bytes float64
	for _, line := range h.log.all(t) {
		if d, ok := line["clientLimited"].(map[string]any); ok {
			messages += d["messages"].(float64)
			bytes += d["bytes"].(float64)
		}
	}
	if messages != 2 || bytes != 4 {
		t.Errorf("logged that %v messages of %v bytes were dropped, want 2 of 4:\n%s", messages, bytes, h.log.text())
	}
}

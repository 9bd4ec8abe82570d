package business

import (
	"context"
	"testing"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/protocol"
)

// A client that is never idle keeps its queue, but not the room of all the
// events that it ever had.
func TestQueueOfABusyClientStaysSmall(t *testing.T) {
	const rounds, burst = 10_000, 1_000
	began, release := make(chan struct{}), make(chan struct{})
	c, err := New(Config{Gateways: []Gateway{{Task: "nobody"}}, Router: hooks.RouterFuncs{
		OnOpen: func(context.Context, hooks.Bus, hooks.OpenEvent) {
			began <- struct{}{}
			<-release
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	reg := &registration{dirty: make(chan struct{}, 1)}
	add := func() {
		if !c.events.add(event{reg: reg, uniqID: "busy", message: new(protocol.ConnOpen), size: 1}) {
			t.Fatal("an event was not taken")
		}
	}
	room := func() int {
		c.events.mu.Lock()
		defer c.events.mu.Unlock()
		return cap(c.events.queues["busy"].events)
	}
	handle := func() {
		release <- struct{}{}
		<-began
	}
	add()
	<-began
	// One event runs and another waits, at any time.
	add()
	most := 0
	for range rounds {
		add()
		handle()
		most = max(most, room())
	}
	if most > 4*queueKept {
		t.Errorf("two events in a row need room for %d", most)
	}
	// The room of a burst is given back.
	for range burst {
		add()
	}
	if room() < burst {
		t.Fatalf("there is room for %d events of %d", room(), burst)
	}
	for range burst {
		handle()
	}
	if r := room(); r > 4*queueKept {
		t.Errorf("after a burst there is room for %d", r)
	}
	handle()
	release <- struct{}{}
	c.events.idle()
}

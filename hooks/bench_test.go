package hooks_test

import (
	"testing"

	"github.com/sluicegate/sluice/hooks"
)

// BenchmarkByClient is what choosing a Router for each of 10,000 clients adds to a
// message.
func BenchmarkByClient(b *testing.B) {
	const clients = 10_000
	chosen := hooks.RouterFuncs{}
	r := hooks.ByClient(func(hooks.OpenEvent) hooks.Router { return chosen })
	events := make([]hooks.MessageEvent, clients)
	for i := range events {
		events[i].UniqID = string([]byte{byte(i >> 8), byte(i)}) + "00000117ae66f2c1a000000001"
		r.Open(b.Context(), nil, hooks.OpenEvent{UniqID: events[i].UniqID})
	}
	ctx, i := b.Context(), 0
	b.ReportAllocs()
	for b.Loop() {
		r.Message(ctx, nil, events[i%clients])
		i++
	}
}

// BenchmarkMayWait is asked when a loop's mailbox or a process's queue is full.
func BenchmarkMayWait(b *testing.B) {
	ctx := hooks.WithoutWaiting(b.Context())
	b.ReportAllocs()
	for b.Loop() {
		if hooks.MayWait(ctx) {
			b.Fatal("it may")
		}
	}
}

package wire

import (
	"testing"

	"github.com/sluicegate/sluice/hooks"
)

// BenchmarkMessage is an event's way to its message and back, with text that is
// UTF-8 and text that is not.
func BenchmarkMessage(b *testing.B) {
	for _, test := range []struct{ name, session string }{
		{"text", `{"name":"somebody"}`},
		{"mended", "{\"name\":\"\xff\"}"},
	} {
		b.Run(test.name, func(b *testing.B) {
			e := hooks.MessageEvent{
				UniqID: "7f00000117ae66f2c1a000000001", CustomerID: "customer-1", Session: test.session,
				Topics: []string{"all", "news"}, Data: make([]byte, 100),
			}
			b.ReportAllocs()
			for b.Loop() {
				if got := MessageEvent(Message(e)); got.UniqID != e.UniqID {
					b.Fatal("another event came back")
				}
			}
		})
	}
}

package gateway_test

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/transports"
	"github.com/sluicegate/sluice/transport/websocket"
)

// BenchmarkEcho is a message of 100 bytes that goes through a whole gateway and
// comes back, one at a time, on each transport.
func BenchmarkEcho(b *testing.B) {
	echo := hooks.RouterFuncs{OnMessage: func(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
		_ = bus.SingleCast(ctx, e.UniqID, e.Data)
	}}
	question := websocket.AppendMaskedFrame(nil, true, false, websocket.OpText, [4]byte{1, 2, 3, 4}, make([]byte, 100))
	for _, c := range transports.All() {
		for _, where := range []struct {
			name   string
			inline bool
		}{{"inline", true}, {"workers", false}} {
			b.Run(c.Name+"/"+where.name, func(b *testing.B) {
				g := harness{c}.start(b, gateway.Config{Router: echo, Inline: where.inline})
				conn := g.raw()
				_ = conn.SetDeadline(time.Time{})
				_, err := io.WriteString(conn, upgrade+"\r\n")
				must(b, err)
				readHead(b, conn)
				answer := make([]byte, websocket.FrameSize(100))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := conn.Write(question); err != nil {
						b.Fatal(err)
					}
					if _, err := io.ReadFull(conn, answer); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

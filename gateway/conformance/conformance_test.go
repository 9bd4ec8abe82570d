package conformance_test

import (
	"context"
	"net"
	"testing"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/gateway/conformance"
	"github.com/sluicegate/sluice/internal/leaks"
	"github.com/sluicegate/sluice/internal/transports"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/pipe"
)

func TestMain(m *testing.M) { leaks.Main(m) }

func TestTransports(t *testing.T) {
	for _, c := range transports.All() {
		t.Run(c.Name, func(t *testing.T) { conformance.Test(t, c.Setup) })
	}
}

// Every byte is a read of its own.
func TestPipeByteByByte(t *testing.T) {
	conformance.Framing(t, func(testing.TB) conformance.Setup {
		p := pipe.New(pipe.Loops(2), pipe.Segment(1))
		return conformance.Setup{
			Transports: []transport.Transport{p},
			Dial:       func(ctx context.Context, _ *gateway.Gateway) (net.Conn, error) { return p.Dial(ctx) },
			Advance:    p.Advance,
		}
	})
}

package conformance_test

import (
	"context"
	"net"
	"testing"

	"go.uber.org/goleak"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/gateway/conformance"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/gnet"
	"github.com/sluicegate/sluice/transport/pipe"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// The engine's worker pool is a package-level variable of its own.
		goleak.IgnoreTopFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"),
		goleak.IgnoreTopFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"),
	)
}

func TestGnet(t *testing.T) {
	conformance.Test(t, func(testing.TB) conformance.Setup {
		return conformance.Setup{
			Transports: []transport.Transport{gnet.Listen("127.0.0.1:0", gnet.Loops(2))},
			Dial: func(ctx context.Context, gw *gateway.Gateway) (net.Conn, error) {
				var d net.Dialer
				return d.DialContext(ctx, "tcp", gw.Addrs()[0].String())
			},
		}
	})
}

func TestPipe(t *testing.T) { conformance.Test(t, onPipe()) }

// Every byte is a read of its own.
func TestPipeByteByByte(t *testing.T) { conformance.Test(t, onPipe(pipe.Segment(1))) }

func onPipe(opts ...pipe.Option) func(testing.TB) conformance.Setup {
	return func(testing.TB) conformance.Setup {
		p := pipe.New(append([]pipe.Option{pipe.Loops(2)}, opts...)...)
		return conformance.Setup{
			Transports: []transport.Transport{p},
			Dial:       func(ctx context.Context, _ *gateway.Gateway) (net.Conn, error) { return p.Dial(ctx) },
			Advance:    p.Advance,
		}
	}
}

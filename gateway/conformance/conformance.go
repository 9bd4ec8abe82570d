// Package conformance tests transports: that they speak RFC 6455 and RFC 7692
// to the letter, and that a gateway on them keeps its contracts.
//
// Every transport of this module passes [Test]; the author of another one calls
// it from a test of that transport:
//
//	func TestConformance(t *testing.T) {
//		conformance.Test(t, func(tb testing.TB) conformance.Setup {
//			return conformance.Setup{
//				Transports: []transport.Transport{mine.Listen("127.0.0.1:0")},
//				Dial: func(ctx context.Context, gw *gateway.Gateway) (net.Conn, error) {
//					var d net.Dialer
//					return d.DialContext(ctx, "tcp", gw.Addrs()[0].String())
//				},
//			}
//		})
//	}
//
// docs/conformance-contracts.md lists the cases that are about more than frames.
package conformance

import (
	"testing"
	"time"

	"github.com/sluicegate/sluice/gateway/gatewaytest"
	"github.com/sluicegate/sluice/transport"
)

// A Setup is a transport ready to be put into a gateway, and the way to it.
type Setup struct {
	// Transports are what the gateway is made with: one, or several that
	// work together. Clients connect to the first.
	Transports []transport.Transport
	// Dial connects to the gateway, from a loopback address: what is written
	// to the connection is what the transport reads, beginning with the
	// handshake. It may be called on several goroutines at the same time.
	Dial gatewaytest.Dial
	// Advance moves the transport's clock on, if it has one of its own. Nil
	// means that its time is the system's, for which the cases then wait.
	Advance func(time.Duration)
	// Mounted says that net/http reads the request heads, and answers those
	// that it cannot read in its own way. Clients connect at /ws.
	Mounted bool
}

// Test runs every case, as a subtest of t, against the transports that setup
// makes. setup is called for each gateway that a case needs, and may use tb to
// clean up after it. It must make new transports each time, as each serves once.
func Test(t *testing.T, setup func(tb testing.TB) Setup) {
	t.Run("framing", func(t *testing.T) { Framing(t, setup) })
	testHandshakes(t, setup)
	testContracts(t, setup)
	testSlow(t, setup)
	testPeers(t, setup)
	testThirdParty(t, setup)
}

// Framing runs only what Test does about frames, messages, their compression and
// the closing handshake: RFC 6455 from section 5 on, and RFC 7692. It is for
// transports that can be made to read in small pieces, on which the rest would
// take its time and show nothing more.
func Framing(t *testing.T, setup func(tb testing.TB) Setup) { testFraming(t, setup) }

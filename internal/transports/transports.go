// Package transports makes every transport of this module for tests that must
// hold on all of them.
package transports

import (
	"context"
	"crypto/tls"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/gateway/conformance"
	"github.com/sluicegate/sluice/gateway/gatewaytest"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/evio"
	"github.com/sluicegate/sluice/transport/gnet"
	"github.com/sluicegate/sluice/transport/nethttp"
	"github.com/sluicegate/sluice/transport/pipe"
)

// A Case is a way to serve clients.
type Case struct {
	Name  string
	Setup func(tb testing.TB) conformance.Setup
}

// All returns every case. Each has two loops, so that clients of one gateway are
// not all on the same.
func All() []Case {
	return []Case{
		{"gnet", func(testing.TB) conformance.Setup {
			return conformance.Setup{
				Transports: []transport.Transport{gnet.Listen("127.0.0.1:0", gnet.Loops(2))},
				Dial:       dialFirst,
			}
		}},
		{"evio", func(testing.TB) conformance.Setup {
			return conformance.Setup{
				Transports: []transport.Transport{evio.Listen("127.0.0.1:0", evio.Loops(2))},
				Dial:       dialFirst,
			}
		}},
		{"nethttp", func(tb testing.TB) conformance.Setup {
			t := nethttp.New(nethttp.Loops(2))
			return conformance.Setup{Transports: []transport.Transport{t}, Dial: mount(tb, t, false), Mounted: true}
		}},
		{"nethttp-tls", func(tb testing.TB) conformance.Setup {
			t := nethttp.New(nethttp.Loops(2))
			return conformance.Setup{Transports: []transport.Transport{t}, Dial: mount(tb, t, true), Mounted: true}
		}},
		{"nethttp-gnet", func(tb testing.TB) conformance.Setup {
			loops := gnet.WithoutListener(gnet.Loops(2))
			t := nethttp.New(nethttp.HandOver(loops))
			return conformance.Setup{Transports: []transport.Transport{t, loops}, Dial: mount(tb, t, false), Mounted: true}
		}},
		{"pipe", func(testing.TB) conformance.Setup {
			t := pipe.New(pipe.Loops(2))
			return conformance.Setup{
				Transports: []transport.Transport{t},
				Dial:       func(ctx context.Context, _ *gateway.Gateway) (net.Conn, error) { return t.Dial(ctx) },
				Advance:    t.Advance,
			}
		}},
	}
}

func dialFirst(ctx context.Context, gw *gateway.Gateway) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", gw.Addrs()[0].String())
}

// mount serves h by an HTTP server for the length of the test.
func mount(tb testing.TB, h http.Handler, secure bool) gatewaytest.Dial {
	srv := httptest.NewUnstartedServer(h)
	// What clients do wrong on purpose is nothing to report.
	srv.Config.ErrorLog = log.New(slog.NewLogLogger(slog.DiscardHandler, slog.LevelError).Writer(), "", 0)
	if secure {
		srv.StartTLS()
	} else {
		srv.Start()
	}
	tb.Cleanup(srv.Close)
	addr := srv.Listener.Addr().String()
	return func(ctx context.Context, _ *gateway.Gateway) (net.Conn, error) {
		if !secure {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", addr)
		}
		d := tls.Dialer{Config: &tls.Config{RootCAs: srv.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs, ServerName: "example.com", NextProtos: []string{"http/1.1"}}}
		return d.DialContext(ctx, "tcp", addr)
	}
}

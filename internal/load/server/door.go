package server

import (
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/gnet"
	"github.com/sluicegate/sluice/transport/nethttp"
)

// A door is where clients come in.
type door struct {
	transports []transport.Transport
	server     *http.Server // nil if the gateway listens itself
	ln         net.Listener
	ended      chan struct{}
}

func openDoor(via, addr string, loops int) (*door, error) {
	d := &door{ended: make(chan struct{})}
	var mounted *nethttp.Transport
	switch via {
	case "", "gnet":
		return &door{transports: []transport.Transport{gnet.Listen(addr, gnet.Loops(loops))}}, nil
	case "nethttp":
		mounted = nethttp.New(nethttp.Loops(loops))
		d.transports = []transport.Transport{mounted}
	case "handed":
		engine := gnet.WithoutListener(gnet.Loops(loops))
		mounted = nethttp.New(nethttp.HandOver(engine))
		d.transports = []transport.Transport{mounted, engine}
	default:
		return nil, fmt.Errorf("server: Config.Via is %q; use gnet, nethttp or handed", via)
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	d.ln, d.server = ln, &http.Server{Handler: mounted, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		defer close(d.ended)
		_ = d.server.Serve(ln) // ends when it is closed
	}()
	return d, nil
}

func (d *door) addr(gw *gateway.Gateway) string {
	if d.ln != nil {
		return d.ln.Addr().String()
	}
	return gw.Addrs()[0].String()
}

func (d *door) close() {
	if d.server != nil {
		_ = d.server.Close()
		<-d.ended
	}
}

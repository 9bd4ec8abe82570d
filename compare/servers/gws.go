package servers

import (
	"context"
	"net"
	"net/http"
	"sync"

	"github.com/lxzan/gws"
)

// gwsServer has a read loop, and so a goroutine, for each client. Its
// Broadcaster encodes a message once; a client's writes are queued and made by a
// goroutine that lives as long as there are any.
type gwsServer struct {
	gws.BuiltinEventHandler
	clients clients[*gws.Conn]
}

func newGWS() (Peer, error) { return &gwsServer{clients: newClients[*gws.Conn]()}, nil }

func (s *gwsServer) Serve(ctx context.Context, ln net.Listener) error {
	upgrader := gws.NewUpgrader(s, nil)
	var loops sync.WaitGroup
	err := serveHTTP(ctx, ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r)
		if err != nil {
			return // it has answered
		}
		loops.Go(conn.ReadLoop) // here it would keep the request in memory
	}))
	s.clients.each(func(c *gws.Conn) { _ = c.NetConn().Close() })
	loops.Wait()
	return err
}

func (s *gwsServer) Broadcast(data []byte) error {
	b := gws.NewBroadcaster(gws.OpcodeText, data)
	defer b.Close()
	// A client that cannot be written to is closed by the library.
	s.clients.each(func(c *gws.Conn) { _ = b.Broadcast(c) })
	return nil
}

// OnOpen is called by the client's read loop, as are OnClose and OnMessage.
func (s *gwsServer) OnOpen(c *gws.Conn) { s.clients.add(c) }

func (s *gwsServer) OnClose(c *gws.Conn, _ error) { s.clients.remove(c) }

func (s *gwsServer) OnMessage(c *gws.Conn, m *gws.Message) {
	defer m.Close()
	_ = c.WriteMessage(m.Opcode, m.Bytes())
}

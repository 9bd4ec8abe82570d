package servers

import (
	"context"
	"net"
	"net/http"

	"github.com/lesismal/nbio/logging"
	"github.com/lesismal/nbio/nbhttp"
	"github.com/lesismal/nbio/nbhttp/websocket"
)

// nbioServer has no goroutine for a client: pollers read, and a pool of the
// library's runs the handlers. It has no help for broadcasts.
type nbioServer struct{ clients clients[*websocket.Conn] }

func newNBIO() (Peer, error) { return &nbioServer{clients: newClients[*websocket.Conn]()}, nil }

func (s *nbioServer) Serve(ctx context.Context, ln net.Listener) error {
	logging.SetLevel(logging.LevelError) // it logs to the standard output
	upgrader := websocket.NewUpgrader()
	upgrader.OnOpen(s.clients.add)
	upgrader.OnClose(func(c *websocket.Conn, _ error) { s.clients.remove(c) })
	upgrader.OnMessage(func(c *websocket.Conn, kind websocket.MessageType, data []byte) {
		_ = c.WriteMessage(kind, data)
	})
	engine := nbhttp.NewEngine(nbhttp.Config{
		Network: "tcp",
		Addrs:   []string{ln.Addr().String()},
		Listen:  func(string, string) (net.Listener, error) { return ln, nil },
		MaxLoad: 1 << 20, // clients; the default is 10,000
		IOMod:   nbhttp.IOModNonBlocking,
		// The handlers keep nothing of a message.
		ReleaseWebsocketPayload: true,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = upgrader.Upgrade(w, r, nil) // it answers in either case
		}),
	})
	if err := engine.Start(); err != nil {
		return err
	}
	<-ctx.Done()
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	return engine.Shutdown(stop)
}

func (s *nbioServer) Broadcast(data []byte) error {
	// A client that cannot be written to is closed by the library.
	s.clients.each(func(c *websocket.Conn) { _ = c.WriteMessage(websocket.TextMessage, data) })
	return nil
}

package servers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"

	"github.com/centrifugal/centrifuge"
	"github.com/gorilla/websocket"
)

// centrifugeChannel is what the server subscribes every client to.
const centrifugeChannel = "all"

// centrifugeServer is a single node with its default broker, in memory. Two
// goroutines serve each client, one that reads and one that writes what is
// queued. A publication is encoded once.
type centrifugeServer struct {
	node     *centrifuge.Node
	upgrader websocket.Upgrader
	buffers  sync.Pool // for transports to write from
	clients  sync.WaitGroup
}

func newCentrifuge() (Peer, error) {
	node, err := centrifuge.New(centrifuge.Config{})
	if err != nil {
		return nil, err
	}
	node.OnConnecting(func(context.Context, centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		return centrifuge.ConnectReply{
			Credentials:   &centrifuge.Credentials{},
			Subscriptions: map[string]centrifuge.SubscribeOptions{centrifugeChannel: {}},
		}, nil
	})
	s := &centrifugeServer{node: node}
	s.buffers.New = func() any { return new([]byte) }
	return s, node.Run()
}

func (s *centrifugeServer) Serve(ctx context.Context, ln net.Listener) error {
	err := serveHTTP(ctx, ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := s.upgrader.Upgrade(w, r, nil)
		if err != nil {
			return // it has answered
		}
		s.clients.Go(func() { s.serve(conn) }) // here it would keep the request in memory
	}))
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	err = errors.Join(err, s.node.Shutdown(stop))
	s.clients.Wait()
	return err
}

// serve is the reading side of a client, until it has left.
func (s *centrifugeServer) serve(conn *websocket.Conn) {
	defer conn.Close()
	transport := &centrifugeTransport{conn: conn, buffers: &s.buffers}
	client, leave, err := centrifuge.NewClient(context.Background(), s.node, transport)
	if err != nil {
		return
	}
	defer func() { _ = leave() }()
	client.Connect(centrifuge.ConnectRequest{})
	for err == nil {
		_, _, err = conn.NextReader() // which answers pings
	}
}

// Broadcast publishes data as a JSON string.
func (s *centrifugeServer) Broadcast(data []byte) error {
	quoted, err := json.Marshal(string(data))
	if err != nil {
		return err
	}
	if len(quoted) != len(data)+len(`""`) {
		return fmt.Errorf("%q is another text in JSON: centrifuge's clients would not get it as it is", data)
	}
	_, err = s.node.Publish(centrifugeChannel, quoted)
	return err
}

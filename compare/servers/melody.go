package servers

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"

	"github.com/olahol/melody"
)

// melodyServer has two goroutines for each client, one that reads and one that
// writes. A hub hands each broadcast to the latter.
type melodyServer struct{ hub *melody.Melody }

func newMelody() (Peer, error) { return &melodyServer{hub: melody.New()}, nil }

func (s *melodyServer) Serve(ctx context.Context, ln net.Listener) error {
	s.hub.HandleMessage(func(c *melody.Session, data []byte) { _ = c.Write(data) })
	s.hub.HandleMessageBinary(func(c *melody.Session, data []byte) { _ = c.WriteBinary(data) })
	var requests sync.WaitGroup
	err := serveHTTP(ctx, ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		defer requests.Done()
		_ = s.hub.HandleRequest(w, r) // until the client has left
	}))
	err = errors.Join(err, s.hub.Close())
	requests.Wait()
	return err
}

func (s *melodyServer) Broadcast(data []byte) error { return s.hub.Broadcast(data) }

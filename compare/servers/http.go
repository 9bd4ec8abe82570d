package servers

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

// stopTimeout is how long a library may take to let go of its clients.
const stopTimeout = 5 * time.Second

// serveHTTP serves h until ctx ends. Connections that h has taken over are not
// its own any more.
func serveHTTP(ctx context.Context, ln net.Listener, h http.Handler) error {
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	defer context.AfterFunc(ctx, func() { _ = s.Close() })()
	if err := s.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

package server

import (
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/sluicegate/sluice/hooks/metrics"
)

// scraped is a server for Prometheus's scrapes.
type scraped struct {
	addr    string
	http    *http.Server
	serving sync.WaitGroup
}

func serveMetrics(addr string, m *metrics.Metrics) (*scraped, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("server: metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", m.Handler())
	s := &scraped{addr: ln.Addr().String(), http: &http.Server{Handler: mux, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second}}
	s.serving.Go(func() { _ = s.http.Serve(ln) }) // it ends by stop
	return s, nil
}

func (s *scraped) stop() {
	_ = s.http.Close()
	s.serving.Wait()
}

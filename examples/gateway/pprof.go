package main

import (
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/sluicegate/sluice/internal/sampled"
)

// profiler serves net/http/pprof.
type profiler struct {
	ln  net.Listener
	srv *http.Server
}

func listenProfiler(addr string, log *slog.Logger) (*profiler, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return &profiler{ln: ln, srv: &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      2 * time.Minute, // the longest profile
		IdleTimeout:       time.Minute,
		ErrorLog:          sampled.ErrorLog(log),
	}}, nil
}

func (p *profiler) serve() error { return p.srv.Serve(p.ln) }

// close ends it at once: nobody's profile holds up the end.
func (p *profiler) close() {
	_ = p.srv.Close()
	_ = p.ln.Close() // if serve was not called
}

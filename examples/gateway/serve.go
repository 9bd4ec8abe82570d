package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/sluicegate/sluice/examples/gateway/config"
	"github.com/sluicegate/sluice/hooks/remote"
	"github.com/sluicegate/sluice/internal/trim"
)

// serve runs the gateway until ctx ends, and stops it in order: clients first,
// then what is still going on for business processes, then their connections.
// Meanwhile it reloads when that is asked for.
func serve(ctx context.Context, cfg config.Config, log *journal, again reloads, stdout io.Writer) error {
	var background sync.WaitGroup
	defer background.Wait()
	var profiles *profiler
	if cfg.PprofListenAddress != "" {
		var err error
		if profiles, err = listenProfiler(cfg.PprofListenAddress, log.Logger); err != nil {
			return fmt.Errorf("PprofListenAddress: %w", explain(err))
		}
		defer profiles.close()
	}
	p, err := build(cfg, log.Logger)
	if err != nil {
		return err
	}
	defer func() { _ = p.discard() }() // of use only if the gateway did not get to run them

	beside, stopBeside := context.WithCancel(ctx)
	defer stopBeside()
	background.Go(func() { trim.WhenIdle(beside) })

	done := make(chan error, 1)
	go func() { done <- p.gw.Run(ctx) }()
	select {
	case <-p.gw.Ready():
	case err := <-done:
		if _, ofCluster := errors.AsType[*clusterError](err); err != nil && !ofCluster {
			err = fmt.Errorf("Customer.ListenAddress: %w", explain(err))
		}
		return err
	}
	if profiles != nil {
		background.Go(func() {
			if err := profiles.serve(); !errors.Is(err, http.ErrServerClosed) {
				log.Error("profiler ended", "error", err)
			}
		})
	}
	warnOfOpenDoors(cfg, log.Logger, p.rt, profiles)
	// What asks for a reload before is heard now.
	background.Go(func() { (&reloader{reloads: again, parts: p, log: log, cfg: cfg}).serve(beside) })
	if err := announce(stdout, cfg, p, profiles); err != nil {
		log.Warn("addresses not printed", "error", err)
	}
	return awaitEnd(ctx, cfg.ShutdownWaitTime, done, log.Logger)
}

// awaitEnd waits for the end of Run, and not for ever once ctx has ended; 0 is for
// ever.
func awaitEnd(ctx context.Context, limit time.Duration, done <-chan error, log *slog.Logger) error {
	select {
	case err := <-done:
		if ctx.Err() == nil {
			return err // it has ended by itself
		}
		log.Info("stopping", "timeout", limit)
		return stopped(err, log)
	case <-ctx.Done():
	}
	log.Info("stopping", "timeout", limit)
	var late <-chan time.Time // never, without a limit
	if limit > 0 {
		t := time.NewTimer(limit)
		defer t.Stop()
		late = t.C
	}
	select {
	case err := <-done:
		return stopped(err, log)
	case <-late:
		return fmt.Errorf("not stopped in order within %v, what was left is cut off; allow more by ShutdownWaitTime", limit)
	}
}

func stopped(err error, log *slog.Logger) error {
	if err == nil {
		log.Info("stopped")
	}
	return err
}

// announce says where everything listens.
func announce(w io.Writer, cfg config.Config, p *parts, profiles *profiler) error {
	lines := []string{"clients ws://" + p.gw.Addrs()[0].String() + cfg.Customer.HandlePattern}
	if rt := p.rt; rt != nil {
		var ends []string
		if a := rt.WorkerAddr(); a != nil {
			ends = append(ends, "worker tcp://"+a.String())
		}
		if a := rt.TaskAddr(); a != nil {
			ends = append(ends, "task tcp://"+a.String())
		}
		lines = append(lines, "business "+strings.Join(ends, ", "))
	}
	if p.admin != nil {
		scheme := "http://"
		if cfg.Admin.TLSCert != "" {
			scheme = "https://"
		}
		lines = append(lines, "admin "+scheme+p.admin.Addr().String()+"/")
	}
	if profiles != nil {
		lines = append(lines, "profiles http://"+profiles.ln.Addr().String()+"/debug/pprof/")
	}
	_, err := io.WriteString(w, strings.Join(lines, "\n")+"\n")
	return err
}

// warnOfOpenDoors warns of listeners that ask nobody for a password and are
// reached from other computers.
func warnOfOpenDoors(cfg config.Config, log *slog.Logger, rt *remote.Router, profiles *profiler) {
	warn := func(key string, a net.Addr, what string) {
		if t, ok := a.(*net.TCPAddr); ok && !t.IP.IsLoopback() {
			log.Warn("listener open to anyone", "risk", "anyone who reaches this address "+what, "key", key, "addr", a.String())
		}
	}
	if rt != nil && cfg.Worker.InsecureAllowAnyone {
		warn("Worker.ListenAddress", rt.WorkerAddr(), "sees what all clients send")
	}
	if rt != nil && cfg.Task.InsecureAllowAnyone {
		warn("Task.ListenAddress", rt.TaskAddr(), "controls all clients")
	}
	if profiles != nil {
		warn("PprofListenAddress", profiles.ln.Addr(), "sees into this process")
	}
}

package load

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sluicegate/sluice/internal/load/process"
	"github.com/sluicegate/sluice/internal/load/server"
)

// A target is the server that a run measures.
type target struct {
	words string
	dial  *dialer
	task  string // address of its task listener, empty if there is none
	serve bool   // the run's handler serves it
	pid   int    // 0 if not known
	stop  []func() error
}

// close ends whatever was started for the target, the last first.
func (t *target) close() (err error) {
	for i := len(t.stop) - 1; i >= 0; i-- {
		err = errors.Join(err, t.stop[i]())
	}
	t.stop = nil
	return err
}

// openTarget finds or starts the server.
func openTarget(ctx context.Context, cfg *Config) (t *target, err error) {
	t = &target{pid: cfg.PID}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.close())
			t = nil
		}
	}()
	switch {
	case cfg.URL != "":
		err = t.find(ctx, cfg)
	case cfg.Inside:
		err = t.host(ctx, cfg)
	default:
		err = t.spawn(cfg)
	}
	return t, err
}

// find takes a server that runs already.
func (t *target) find(ctx context.Context, cfg *Config) (err error) {
	t.words, t.task = cfg.URL, cfg.Task
	if t.dial, err = newDialer(cfg.URL, cfg.Insecure); err != nil || cfg.Worker == "" {
		return err
	}
	t.serve = true
	h := &server.Handler{}
	return t.background(ctx, "the business side", func(ctx context.Context, ready func()) error {
		return server.Business(ctx, cfg.Worker, cfg.Task, cfg.Secret, h, ready)
	})
}

// host runs the gateway in this process.
func (t *target) host(ctx context.Context, cfg *Config) (err error) {
	t.words, t.serve = "a gateway in this process", true
	var at server.Addrs
	sc := cfg.Server
	err = t.background(ctx, "the gateway", func(ctx context.Context, ready func()) error {
		return server.Run(ctx, sc, func(a server.Addrs) { at = a; ready() })
	})
	if err != nil {
		return err
	}
	return t.at(cfg, at)
}

// background runs something that serves, until the target is closed, and waits
// until it is ready.
func (t *target) background(ctx context.Context, what string, serve func(ctx context.Context, ready func()) error) error {
	ready, ended := make(chan struct{}), make(chan error, 1)
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	go func() { ended <- serve(serving, func() { close(ready) }) }()
	t.stop = append(t.stop, func() error { stop(); return <-ended })
	select {
	case <-ready:
		return nil
	case err := <-ended:
		ended <- err
		return fmt.Errorf("load: %s has not started: %w", what, err)
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(startTime):
		return fmt.Errorf("load: %s was not ready after %v; are its addresses right?", what, startTime)
	}
}

// startTime is how long a server may take until it is ready.
const startTime = 10 * time.Second

// spawn runs the gateway as a process of its own.
func (t *target) spawn(cfg *Config) error {
	t.words, t.serve = "a gateway in a process of its own", true
	if cfg.Pin {
		if err := process.PinToFirst(); err != nil {
			return fmt.Errorf("load: pinning: %w", err)
		}
	}
	s := cfg.Server
	child, line, err := process.Start("serve", "-child",
		"-via", s.Via, "-handler", s.Handler, "-loops", strconv.Itoa(s.Loops), "-gc", strconv.Itoa(cfg.GC), "-procs", strconv.Itoa(cfg.Procs),
		"-profile", cfg.Profile, "-write-limit", strconv.Itoa(s.WriteLimit), "-metrics", s.Metrics)
	if err == nil {
		t.stop, t.pid = append(t.stop, child.Stop), child.PID()
	}
	if cfg.Pin {
		err = errors.Join(err, process.PinToOthers())
	}
	if err != nil {
		return err
	}
	at := strings.Fields(line)
	if len(at) != 3 {
		return fmt.Errorf("load: the server says %q instead of its three addresses", line)
	}
	return t.at(cfg, server.Addrs{Clients: at[0], Task: at[1], Worker: at[2]})
}

// at takes a gateway of the run's own, and starts its business process if it is to
// have one.
func (t *target) at(cfg *Config, at server.Addrs) (err error) {
	t.task = at.Task
	if t.dial, err = newDialer("ws://"+at.Clients+"/", false); err != nil {
		return err
	}
	via, handler := cfg.Server.Via, cfg.Server.Handler
	t.words += fmt.Sprintf(", via %s, handler %s", via, handler)
	if handler != "remote" {
		return nil
	}
	child, _, err := process.Start("business", "-child", "-worker", at.Worker, "-task", at.Task)
	if err != nil {
		return err
	}
	t.stop = append(t.stop, child.Stop)
	return nil
}

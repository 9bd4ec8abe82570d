package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/sluicegate/sluice/transport/websocket"
)

// echo measures round trips: every client sends a message, waits for it to come
// back and sends the next.
func echo(ctx context.Context, args []string) error {
	var c loadConfig
	fs := flag.NewFlagSet("echo", flag.ExitOnError)
	how := fs.String("how", "all", "where the handler runs: inline on the event loops, on workers, remote in another process, or all in turn")
	fs.StringVar(&c.via, "via", "gnet", "how the gateway serves its clients: gnet, nethttp or handed")
	fs.IntVar(&c.n, "n", 50, "clients")
	fs.IntVar(&c.size, "size", 100, "bytes of a message, at most 125")
	fs.IntVar(&c.loops, "loops", 0, "the gateway's event loops; 0 means one per CPU")
	fs.IntVar(&c.gc, "gc", 100, "the gateway's garbage collector target percentage")
	fs.DurationVar(&c.duration, "for", 5*time.Second, "how long")
	fs.BoolVar(&c.pin, "pin", false, "run the gateway on the first CPU, everything else on the others")
	_ = fs.Parse(args)
	if c.size > 125 || c.size < 1 || c.n < 1 {
		return errors.New("-size must be 1 to 125, -n at least 1")
	}
	ways := []string{"inline", "workers", "remote"}
	if *how != "all" {
		if !slices.Contains(ways, *how) {
			return fmt.Errorf("-how must be all or one of %v", ways)
		}
		ways = []string{*how}
	}
	for _, way := range ways {
		if err := echoOnce(ctx, c, way); err != nil {
			return fmt.Errorf("%s: %w", way, err)
		}
	}
	return nil
}

func echoOnce(ctx context.Context, c loadConfig, way string) error {
	var more []string
	switch way {
	case "workers":
		more = []string{"-inline=false"}
	case "remote":
		more = []string{"-remote"}
	}
	if c.pin {
		if err := pin(0, 1); err != nil {
			return err
		}
	}
	s, err := startServer(ctx, c, more...)
	if err != nil {
		return err
	}
	defer s.stop()
	if c.pin {
		if err := pin(1, 1024); err != nil {
			return err
		}
	}
	if way == "remote" {
		b, out, err := spawn(ctx, "business", "-worker", s.worker, "-task", s.task)
		if err != nil {
			return err
		}
		defer b.stop()
		if _, err := fmt.Fscanf(out, "ready\n"); err != nil {
			return fmt.Errorf("the business process did not start: %w", err)
		}
	}
	return roundTrips(ctx, c, way, s)
}

func roundTrips(ctx context.Context, c loadConfig, way string, s *server) error {
	frame := websocket.AppendMaskedFrame(nil, true, false, websocket.OpText, [4]byte{1, 2, 3, 4}, bytes.Repeat([]byte("x"), c.size))
	took := make([][]time.Duration, c.n)
	errs := make([]error, c.n)
	var clients sync.WaitGroup
	begin := make(chan struct{})
	var end time.Time
	for i := range c.n {
		conn, err := connect(ctx, s.ws)
		if err != nil {
			return err
		}
		defer conn.Close()
		clients.Go(func() {
			<-begin
			answer := make([]byte, websocket.FrameSize(c.size))
			for now := time.Now(); now.Before(end); {
				if _, errs[i] = conn.Write(frame); errs[i] != nil {
					return
				}
				if _, errs[i] = io.ReadFull(conn, answer); errs[i] != nil {
					return
				}
				then := now
				now = time.Now()
				took[i] = append(took[i], now.Sub(then))
			}
		})
	}
	before, err := s.cpu()
	if err != nil {
		return err
	}
	start := time.Now()
	end = start.Add(c.duration)
	close(begin)
	clients.Wait()
	passed := time.Since(start)
	after, err := s.cpu()
	if err = errors.Join(append(errs, err)...); err != nil {
		return err
	}
	all := slices.Concat(took...)
	slices.Sort(all)
	n := len(all)
	fmt.Printf("%-8s %d clients: %.0f round trips/s, %.1f µs server CPU each, p50 %v, p99 %v\n", way, c.n,
		float64(n)/passed.Seconds(), float64((after-before).Microseconds())/float64(n), all[n/2].Round(time.Microsecond), all[n*99/100].Round(time.Microsecond))
	return nil
}

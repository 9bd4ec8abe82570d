package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/hooks/remote"
	"github.com/sluicegate/sluice/protocol/business"
)

// host subscribes every client to the topics and echoes what clients send.
type host struct{ topics []string }

func serve(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("serve", flag.ExitOnError)
	addr := fs.String("ws", "127.0.0.1:6060", "address for clients")
	worker := fs.String("worker", "127.0.0.1:6061", "address for business processes")
	task := fs.String("task", "127.0.0.1:6062", "address for their commands")
	elsewhere := fs.Bool("remote", false, "forward what clients send to a business process, instead of echoing it")
	inline := fs.Bool("inline", true, "call the handler on the event loops")
	topics := fs.Int("topics", 1, "topics that every client subscribes to: t, t1, t2 …")
	loops := fs.Int("loops", 0, "event loops; 0 means one per CPU")
	via := fs.String("via", "gnet", "how clients are served: gnet, nethttp (goroutines), or handed (an HTTP server that hands them over to gnet)")
	gc := fs.Int("gc", 25, "garbage collector's target percentage; 100 is Go's own default")
	_ = fs.Parse(args)

	// A gateway's heap is mostly clients at rest, and a message's garbage does
	// not grow with its recipients: collecting more often costs next to nothing
	// and keeps less memory in reserve.
	debug.SetGCPercent(*gc)

	quiet := slog.New(slog.DiscardHandler)
	rt, err := remote.Listen(remote.Config{
		Worker: remote.Listener{Addr: *worker}, Task: remote.Listener{Addr: *task},
		Buffer: 16 << 20, BufferAge: time.Minute, Logger: quiet,
	})
	if err != nil {
		return err
	}
	door, err := openDoor(*via, *addr, *loops)
	if err != nil {
		return errors.Join(err, rt.Discard())
	}
	defer door.close()
	cfg := gateway.Config{
		Transports: door.transports,
		Router:     &host{topics: topicNames(*topics)},
		Inline:     *inline,
		Hooks:      []any{rt},
		Logger:     quiet,
	}
	if *elsewhere {
		cfg.Router = rt
	}
	gw, err := gateway.New(cfg)
	if err != nil {
		return errors.Join(err, rt.Discard())
	}
	go func() {
		select {
		case <-gw.Ready():
			fmt.Println("ready", door.addr(gw), rt.TaskAddr(), rt.WorkerAddr())
		case <-ctx.Done():
		}
	}()
	return gw.Run(ctx)
}

// serveBusiness is a business process that echoes.
func serveBusiness(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("business", flag.ExitOnError)
	worker := fs.String("worker", "127.0.0.1:6061", "the gateway's address for business processes")
	task := fs.String("task", "127.0.0.1:6062", "the gateway's address for their commands")
	_ = fs.Parse(args)
	c, err := business.New(business.Config{
		Gateways: []business.Gateway{{Worker: *worker, Task: *task}}, Router: &host{},
	})
	if err != nil {
		return err
	}
	go func() {
		select {
		case <-c.Ready():
			fmt.Println("ready")
		case <-ctx.Done():
		}
	}()
	return c.Run(ctx)
}

func topicNames(n int) []string {
	var names []string
	for i := range n {
		name := "t"
		if i > 0 {
			name += strconv.Itoa(i)
		}
		names = append(names, name)
	}
	return names
}

func (h *host) Open(ctx context.Context, bus hooks.Bus, e hooks.OpenEvent) {
	_ = bus.Subscribe(ctx, e.UniqID, h.topics, nil)
}

func (h *host) Message(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
	_ = bus.SingleCast(ctx, e.UniqID, e.Data)
}

func (h *host) Close(context.Context, hooks.Bus, hooks.CloseEvent) {}

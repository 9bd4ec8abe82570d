package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"strconv"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/protocol"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/gnet"
)

// host subscribes every client to the topics and echoes what clients send.
type host struct {
	topics []string
	task   net.Listener
}

func serve(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("serve", flag.ExitOnError)
	addr := fs.String("ws", "127.0.0.1:6060", "address for clients")
	task := fs.String("task", "127.0.0.1:6062", "address for Broadcast and TopicPublish commands")
	topics := fs.Int("topics", 1, "topics that every client subscribes to: t, t1, t2 …")
	loops := fs.Int("loops", 0, "event loops; 0 means one per CPU")
	gc := fs.Int("gc", 25, "garbage collector's target percentage; 100 is Go's own default")
	_ = fs.Parse(args)

	// A gateway's heap is mostly clients at rest, and a message's garbage does
	// not grow with its recipients: collecting more often costs next to nothing
	// and keeps less memory in reserve.
	debug.SetGCPercent(*gc)

	h := &host{topics: topicNames(*topics)}
	var err error
	if h.task, err = net.Listen("tcp", *task); err != nil {
		return err
	}
	gw, err := gateway.New(gateway.Config{
		Transports: []transport.Transport{gnet.Listen(*addr, gnet.Loops(*loops))},
		Router:     h,
		Inline:     true,
		Hooks:      []any{h},
		Logger:     slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	go func() {
		select {
		case <-gw.Ready():
			fmt.Println("ready", gw.Addrs()[0], h.task.Addr())
		case <-ctx.Done():
		}
	}()
	return gw.Run(ctx)
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

// Run takes commands, one connection at a time.
func (h *host) Run(ctx context.Context, bus hooks.Bus) error {
	defer context.AfterFunc(ctx, func() { _ = h.task.Close() })()
	for {
		c, err := h.task.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		hangUp := context.AfterFunc(ctx, func() { _ = c.Close() })
		err = commands(ctx, c, bus)
		hangUp()
		_ = c.Close()
		if !errors.Is(err, io.EOF) && ctx.Err() == nil {
			fmt.Println("task connection:", err)
		}
	}
}

func commands(ctx context.Context, c net.Conn, bus hooks.Bus) error {
	r := protocol.NewReader(c, 0, []byte(protocol.DefaultHeartbeat))
	for {
		p, err := r.Next()
		if err != nil {
			return err
		}
		switch p.Cmd {
		case protocol.Cmd_Broadcast:
			var m protocol.Broadcast
			if err = p.Unmarshal(&m); err == nil {
				err = bus.Broadcast(ctx, m.GetData())
			}
		case protocol.Cmd_TopicPublish:
			var m protocol.TopicPublish
			if err = p.Unmarshal(&m); err == nil {
				err = bus.Publish(ctx, m.GetTopics(), m.GetData())
			}
		default:
			err = fmt.Errorf("command %v is not for this program", p.Cmd)
		}
		if err != nil {
			return err
		}
	}
}

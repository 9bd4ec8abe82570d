package servers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/sluicegate/sluice/protocol"
)

// maxTasks bounds the connections to a task port.
const maxTasks = 16

// serveTasks broadcasts what the commands of ln's connections carry, until ctx
// ends. Each connection is served by a goroutine, as by any server in Go; one
// that sends anything else is closed, and the error returned.
func serveTasks(ctx context.Context, ln net.Listener, broadcast func([]byte) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	context.AfterFunc(ctx, func() { _ = ln.Close() })
	var conns sync.WaitGroup
	defer conns.Wait()
	places := make(chan struct{}, maxTasks)
	for {
		conn, err := ln.Accept()
		if err != nil {
			if ctx.Err() == nil {
				cancel(err)
			}
			break
		}
		places <- struct{}{}
		conns.Go(func() {
			defer func() { <-places }()
			defer conn.Close()
			if err := serveTask(ctx, conn, broadcast); err != nil {
				cancel(err)
			}
		})
	}
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return fmt.Errorf("task port: %w", err)
	}
	return nil
}

func serveTask(ctx context.Context, conn net.Conn, broadcast func([]byte) error) error {
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	packets := protocol.NewReader(conn, 0, nil)
	for {
		p, err := packets.Next()
		if errors.Is(err, io.EOF) || ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		data, err := payload(p)
		if err != nil {
			return err
		}
		if err := broadcast(data); err != nil {
			return err
		}
	}
}

// payload is what a command has for all clients. All of them count as
// subscribed to every topic.
func payload(p protocol.Packet) ([]byte, error) {
	switch p.Cmd {
	case protocol.Cmd_Broadcast:
		var m protocol.Broadcast
		err := p.Unmarshal(&m)
		return m.Data, err
	case protocol.Cmd_TopicPublish:
		var m protocol.TopicPublish
		err := p.Unmarshal(&m)
		return m.Data, err
	}
	return nil, fmt.Errorf("command %v is none of Broadcast and TopicPublish", p.Cmd)
}

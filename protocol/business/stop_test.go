package business_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/protocol"
	"github.com/sluicegate/sluice/protocol/business"
)

// isStopped checks that an error says that the client has stopped.
func isStopped(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, hooks.ErrStopped) || !strings.Contains(err.Error(), "the client has stopped") {
		t.Errorf("%s: %v, want an error that says that the client has stopped", what, err)
	}
}

// Whoever waits for a connection does not when the client stops.
func TestStopWakesWhoWaitsForAConnection(t *testing.T) {
	cfg := config(nil)
	cfg.Gateways = []business.Gateway{{Task: nobody(t)}}
	cfg.Wait = time.Hour
	c := run(t, cfg, false)
	command := later(func() error { return c.Broadcast(t.Context(), nil) })
	question := later(func() error { _, err := c.UniqIDs(t.Context()); return err })
	waits(t, command, "a command")
	waits(t, question, "a question")
	must(t, c.stop())
	isStopped(t, "a command", result(t, command))
	isStopped(t, "a question", result(t, question))
	isStopped(t, "a late command", c.Broadcast(t.Context(), nil))
}

// Nor does whoever waits for an answer.
func TestStopWakesWhoWaitsForAnAnswer(t *testing.T) {
	a := newFake(t)
	a.silence(protocol.Cmd_UniqIdCount, true)
	cfg := config(nil, a)
	cfg.Wait = time.Hour
	c := run(t, cfg, true)
	asked := later(func() error { _, err := c.UniqIDCount(t.Context()); return err })
	a.await(1, is(protocol.Cmd_UniqIdCount))
	must(t, c.stop())
	isStopped(t, "a question", result(t, asked))
}

// Nor does whoever waits for room, while what was taken before is still sent.
func TestStopWakesWhoWaitsForRoom(t *testing.T) {
	w := newWires(t)
	cfg := wired(w)
	cfg.SendQueue, cfg.Wait = 1, time.Hour
	c := run(t, cfg, false)
	conn := w.next()
	must(t, c.SingleCast(t.Context(), "x", []byte("1")))
	// The writer takes it, and blocks, so that there is room for one more.
	must(t, c.SingleCast(t.Context(), "x", []byte("2")))
	last := later(func() error { return c.SingleCast(t.Context(), "x", []byte("3")) })
	waits(t, last, "a command above SendQueue")
	c.end()
	isStopped(t, "the command that waited", result(t, last))
	same(t, "what was taken", take(t, conn, 3), []string{"1", "2", "CheckOnline"})
	put(t, conn, protocol.Cmd_CheckOnline, new(protocol.CheckOnlineResp))
	must(t, c.stop())
	if s := c.Stats(); s.Sent != 2 || s.Lost != 0 {
		t.Errorf("%+v, want two commands sent", s)
	}
}

// A handler whose time is up learns why.
func TestStopTellsHandlers(t *testing.T) {
	a := newFake(t)
	began, got := make(chan struct{}), make(chan error, 1)
	cfg := config(hooks.RouterFuncs{OnOpen: func(ctx context.Context, bus hooks.Bus, _ hooks.OpenEvent) {
		close(began)
		got <- bus.Broadcast(ctx, nil)
	}}, a)
	cfg.Gateways = append(cfg.Gateways, business.Gateway{Task: nobody(t)})
	cfg.Wait, cfg.StopTimeout = time.Hour, 20*time.Millisecond
	c := run(t, cfg, false)
	a.registered(1).open(a.id(1))
	within(t, began, "the handler was not called")
	must(t, c.stop())
	err := result(t, got)
	isStopped(t, "a handler's command", err)
	if gone := (*business.UnreachableError)(nil); !errors.Is(err, context.Canceled) || !errors.As(err, &gone) {
		t.Errorf("%v, want that the context has ended, and for what it waited", err)
	}
}

// Run does not wait for a gateway that is gone and has nothing left to do.
func TestStopWithoutAGatewayThatIsDone(t *testing.T) {
	a := newFake(t)
	cfg := config(nil, a)
	cfg.Wait, cfg.StopTimeout = time.Hour, time.Hour
	c := run(t, cfg, true)
	must(t, c.Broadcast(t.Context(), nil))
	c.settled()
	a.task.Close()
	a.cut(false)
	eventually(t, func() bool { return c.Stats().Reconnects > 0 }, "the end of the connection was not noticed")
	must(t, c.stop())
	if s := c.Stats(); s.Lost != 0 {
		t.Errorf("%+v, want nothing lost", s)
	}
}

// A gateway that does not answer Unregister, and sends an event when it is left, has
// Run wait for the event's handler no longer than for others.
func TestStopEndsWhatComesLate(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		t.Cleanup(func() { _ = conn.Close() })
		rd := protocol.NewReader(conn, 1<<20, nil)
		say := func(cmd protocol.Cmd_Number, m proto.Message) {
			b, _ := protocol.AppendPacket(nil, cmd, m)
			_, _ = conn.Write(b)
		}
		for {
			p, err := rd.Next()
			if err != nil {
				break
			}
			if p.Cmd == protocol.Cmd_Register {
				say(p.Cmd, &protocol.RegisterResp{ConnId: "registration"})
			}
		}
		say(protocol.Cmd_ConnOpen, &protocol.ConnOpen{UniqId: "late"})
	}()
	a := newFake(t)
	began := make(chan struct{})
	cfg := config(hooks.RouterFuncs{OnOpen: func(ctx context.Context, _ hooks.Bus, _ hooks.OpenEvent) {
		close(began)
		<-ctx.Done()
	}}, a)
	cfg.Gateways[0].Worker = ln.Addr().String()
	cfg.StopTimeout = 100 * time.Millisecond
	c := run(t, cfg, true)
	must(t, c.stop())
	within(t, began, "the handler was not called")
}

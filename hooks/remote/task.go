package remote

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"runtime/debug"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/command"
	"github.com/sluicegate/sluice/protocol"
)

// taskConn is one connection to the task listener. Its commands are carried
// out one after the other, which is what their order rests on.
type taskConn struct {
	r     *Router
	conn  net.Conn
	guest bool // it may prove the secret, and need not
	bus   hooks.Bus

	idle                atomic.Bool // reading, with nothing left to carry out
	commands, malformed atomic.Int64
}

// addTask serves a connection on a goroutine of its own.
func (r *Router) addTask(conn net.Conn, guest bool, bus hooks.Bus) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.tasks) >= r.cfg.Task.MaxConns || r.stopping {
		return false
	}
	t := &taskConn{r: r, conn: conn, guest: guest, bus: bus}
	r.tasks[t] = struct{}{}
	r.chores.Go(t.serve)
	return true
}

// serve returns when the connection has ended.
func (t *taskConn) serve() {
	t.r.logOpened("task", t.conn)
	err := t.work()
	_ = cut(t.conn)
	r := t.r
	r.mu.Lock()
	delete(r.tasks, t)
	r.counts.commands += t.commands.Load()
	r.counts.malformed += t.malformed.Load()
	r.mu.Unlock()
	r.logEnd("task", t.conn, err)
}

// Read notes whether the connection waits for commands.
func (t *taskConn) Read(p []byte) (int, error) {
	t.idle.Store(true)
	n, err := t.conn.Read(p)
	t.idle.Store(false)
	return n, err
}

// Write gives each write its deadline.
func (t *taskConn) Write(p []byte) (int, error) {
	if err := t.conn.SetWriteDeadline(time.Now().Add(t.r.cfg.Task.SendDeadline)); err != nil {
		return 0, err
	}
	return t.conn.Write(p)
}

// drained reports whether everything that has arrived is carried out.
func (t *taskConn) drained() bool { return t.idle.Load() && nothingToRead(t.conn) }

// work carries out commands until the connection ends.
func (t *taskConn) work() (err error) {
	defer func() {
		if v := recover(); v != nil {
			if n, ok := t.r.noise.panics.Next(); ok {
				t.r.log.Error("command panicked", "panic", fmt.Sprint(v), "stack", string(debug.Stack()), "suppressed", n)
			}
			err = errors.New("a command panicked")
		}
	}()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	l := t.r.cfg.Task
	src, err := t.r.task.hear(t, t.conn, t.guest)
	if err != nil {
		return err
	}
	rd := protocol.NewReader(src, l.ReceiveLimit, []byte(l.Heartbeat))
	wr := protocol.NewWriter(t, math.MaxInt32)
	for {
		if !rd.Ready() {
			if err := wr.Flush(); err != nil {
				return err
			}
			if err := t.conn.SetReadDeadline(time.Now().Add(l.ReadDeadline)); err != nil {
				return err
			}
		}
		p, err := rd.Next()
		if err != nil {
			if isFraming(err) {
				t.malformed.Add(1)
			}
			return err
		}
		if p.Heartbeat() {
			continue
		}
		c, ok := t.r.commands[p.Cmd]
		if !ok {
			t.malformed.Add(1)
			return errors.Join(unknownCommand(p.Cmd, "task"), wr.Flush())
		}
		reply, err := carryOut(ctx, t.bus, c, p)
		if err := t.judge(p, err); err != nil {
			return err
		}
		if reply != nil {
			if err := wr.Write(p.Cmd, reply); err != nil {
				return err
			}
		}
	}
}

// carryOut carries out the command of a packet. A nil reply is none.
func carryOut(ctx context.Context, bus hooks.Bus, c command.Command, p protocol.Packet) (reply proto.Message, err error) {
	var body proto.Message
	if c.New != nil {
		body = c.New()
		if err := p.Unmarshal(body); err != nil {
			return nil, &bodyError{err}
		}
	}
	return c.Do(ctx, bus, body)
}

// judge says what to do about a command's error: nothing but a line in the log.
// What the command did not deliver is counted by the gateway.
func (t *taskConn) judge(p protocol.Packet, err error) error {
	bad := (*bodyError)(nil)
	switch {
	case err == nil:
		t.commands.Add(1)
		return nil
	case errors.Is(err, hooks.ErrStopped):
		return err
	case errors.As(err, &bad):
		t.malformed.Add(1)
	default:
		t.commands.Add(1)
	}
	if n, ok := t.r.noise.failed.Next(); ok {
		t.r.log.Warn("command failed", "command", p.Cmd.String(), "listener", "task", "remoteAddr", t.conn.RemoteAddr().String(),
			"error", err, "suppressed", n)
	}
	return nil
}

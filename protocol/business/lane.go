package business

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/secret"
	"github.com/sluicegate/sluice/protocol"
)

// A question is a command whose answer is waited for.
type question struct {
	// reply is the reader's until done is closed, and then the asker's, who
	// may have gone by then.
	reply proto.Message
	err   error
	done  chan struct{}
	// before is how many commands were written before it, which its answer
	// shows to be done.
	before int
	// patience bounds the whole wait, for a connection and for the answer.
	patience <-chan time.Time
	// last is a question of Run's own, which is put when no others are.
	last bool
}

func (q *question) finish(err error) {
	q.err = err
	close(q.done)
}

// outgoing is a packet in a lane's buffer.
type outgoing struct {
	cmd      protocol.Cmd_Number // 0 for a heartbeat
	size     int
	question *question // nil for what is not answered
	cuts     int       // connections that ended while it was written
}

// command reports whether it is one that is not answered: it is sent over the
// next connection if this one ends before it is written.
func (p outgoing) command() bool { return p.cmd != 0 && p.question == nil }

// maxCuts is how often a command is tried. One that is larger than the gateway
// takes ends every connection, and would keep all others from being sent.
const maxCuts = 3

// A lane is one task connection to one gateway, made again when it breaks.
// Commands reach the gateway in the order in which they are put in.
type lane struct {
	c     *Client
	gate  *gate
	first sync.Once

	mu      sync.Mutex
	conn    net.Conn // nil while there is none
	out     []byte   // packets that wait to be written
	packets []outgoing
	asked   []*question // written or waiting, in order
	written int         // commands written over this connection
	sure    int         // those of them that an answer shows to be done
	closed  bool
	lastErr error
	up      chan struct{} // closed while there is a connection
	room    chan struct{} // closed when something was written; nil if nobody waits
	wake    chan struct{} // to the writer, never blocks
}

func newLane(c *Client, g *gate) *lane {
	return &lane{c: c, gate: g, up: make(chan struct{}), wake: make(chan struct{}, 1)}
}

// put adds a packet. It waits for a connection and for room, within ctx and
// the client's patience.
func (l *lane) put(ctx context.Context, cmd protocol.Cmd_Number, m proto.Message, q *question) error {
	if ctx.Err() != nil {
		return ended(ctx)
	}
	stopping := l.stopping(q)
	var patience <-chan time.Time
	if q != nil {
		patience = q.patience
	}
	l.mu.Lock()
	for {
		var wait <-chan struct{}
		switch {
		case l.closed || closed(stopping):
			l.mu.Unlock()
			return stoppedError{}
		case l.conn == nil:
			wait = l.up
		case len(l.out) > 0 && len(l.out) >= l.c.cfg.SendQueue:
			if l.room == nil {
				l.room = make(chan struct{})
			}
			wait = l.room
		}
		if wait == nil {
			break
		}
		l.mu.Unlock()
		if patience == nil {
			patience = time.After(l.c.cfg.Wait)
		}
		select {
		case <-wait:
		case <-stopping:
		case <-ctx.Done():
			return errors.Join(ended(ctx), l.trouble())
		case <-patience:
			if err := l.trouble(); err != nil {
				return err
			}
			return fmt.Errorf("business: gateway %s does not take commands fast enough: %w", l.gate.addr.Task, hooks.ErrOverloaded)
		}
		l.mu.Lock()
	}
	defer l.mu.Unlock()
	before := len(l.out)
	out, err := protocol.AppendPacket(l.out, cmd, m)
	if err != nil {
		return err
	}
	l.out = out
	l.packets = append(l.packets, outgoing{cmd: cmd, size: len(out) - before, question: q})
	if q != nil {
		l.asked = append(l.asked, q)
	}
	l.signal()
	return nil
}

// stopping is closed when q, or a command if it is nil, need not wait any more.
func (l *lane) stopping(q *question) <-chan struct{} {
	if q != nil && q.last {
		return nil
	}
	return l.c.stopping
}

// closed reports whether c is; nil never is.
func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// ended returns why ctx has ended.
func ended(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// ask puts a question and waits for its answer, which is in reply then.
func (l *lane) ask(ctx context.Context, cmd protocol.Cmd_Number, m, reply proto.Message) error {
	return l.await(ctx, cmd, m, &question{reply: reply})
}

func (l *lane) await(ctx context.Context, cmd protocol.Cmd_Number, m proto.Message, q *question) error {
	patience := time.NewTimer(l.c.cfg.Wait)
	defer patience.Stop()
	q.done, q.patience = make(chan struct{}), patience.C
	if err := l.put(ctx, cmd, m, q); err != nil {
		return err
	}
	select {
	case <-q.done:
		return q.err
	case <-l.stopping(q):
		return stoppedError{}
	case <-ctx.Done():
		return ended(ctx)
	case <-patience.C:
		return fmt.Errorf("business: gateway %s has not answered %v within %v", l.gate.addr.Task, cmd, l.c.cfg.Wait)
	}
}

// trouble returns why there is no connection, or nil if there is one.
func (l *lane) trouble() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil {
		return nil
	}
	return &UnreachableError{Addr: l.gate.addr.Task, Err: l.lastErr}
}

func (l *lane) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// run keeps a connection up until ctx ends.
func (l *lane) run(ctx context.Context) {
	level := slog.LevelDebug
	if l == l.gate.lanes[0] {
		level = slog.LevelWarn // one line is enough for all
	}
	l.c.keepUp(ctx, level, secret.Task, l.gate.addr.Task, func(conn net.Conn) error {
		l.gate.learnAddr(conn.RemoteAddr())
		return l.serve(ctx, conn)
	}, func(err error) {
		l.mu.Lock()
		l.lastErr = err
		l.mu.Unlock()
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	unsure := l.fail(stoppedError{})
	l.c.stats.lost.Add(unsure + int64(len(l.packets))) // commands all, as fail has seen to it
	l.out, l.packets = nil, nil
}

// serve runs one connection until it breaks or ctx ends.
func (l *lane) serve(ctx context.Context, conn net.Conn) error {
	unblock := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer unblock()
	l.mu.Lock()
	l.conn = conn
	close(l.up)
	l.mu.Unlock()
	l.signal()
	l.first.Do(l.c.arrived)

	written := make(chan error, 1)
	gone := make(chan struct{})
	go func() {
		err := l.write(conn, gone)
		_ = conn.Close() // it ends the reading
		written <- err
	}()
	err := l.read(conn)
	l.mu.Lock()
	l.conn = nil
	l.up = make(chan struct{})
	l.mu.Unlock()
	_ = conn.Close()
	close(gone)
	l.signal()
	if werr := <-written; werr != nil {
		err = werr
	}
	// Whoever waits for an answer gets none. What was not written stays.
	l.mu.Lock()
	n := l.fail(fmt.Errorf("business: connection to gateway %s broke before the answer: %w", l.gate.addr.Task, err))
	l.mu.Unlock()
	if n > 0 {
		l.c.stats.lost.Add(n)
		l.c.log.Warn("commands in doubt", "gateway", l.gate.addr.Task, "commands", n)
	}
	return err
}

// fail ends all questions and leaves nothing but commands to wait. It returns
// how many commands were written and not confirmed. The lock is held.
func (l *lane) fail(err error) (unsure int64) {
	for _, q := range l.asked {
		q.finish(err)
	}
	l.asked = nil
	var kept []outgoing
	var out []byte
	at := 0
	for _, p := range l.packets {
		if p.command() {
			kept = append(kept, p)
			out = append(out, l.out[at:at+p.size]...)
		}
		at += p.size
	}
	l.out, l.packets = out, kept
	l.freed()
	unsure = int64(l.written - l.sure)
	l.written, l.sure = 0, 0
	return unsure
}

// freed wakes whoever waits for room. The lock is held.
func (l *lane) freed() {
	if l.room != nil {
		close(l.room)
		l.room = nil
	}
}

// keepBuffer is what a lane may hold on to between writes.
const keepBuffer = 256 << 10

// write sends what is put in until the connection ends.
func (l *lane) write(conn net.Conn, gone <-chan struct{}) error {
	beat := time.NewTicker(l.c.cfg.HeartbeatInterval)
	defer beat.Stop()
	var spare []byte
	var spares []outgoing
	for {
		select {
		case <-l.wake:
		case <-beat.C:
			l.mu.Lock()
			before := len(l.out)
			l.out = protocol.AppendHeartbeat(l.out, []byte(l.c.cfg.Heartbeat))
			l.packets = append(l.packets, outgoing{size: len(l.out) - before})
			l.mu.Unlock()
		case <-gone:
			return nil
		}
		for {
			l.mu.Lock()
			if l.conn == nil || len(l.out) == 0 {
				l.mu.Unlock()
				break
			}
			out, packets := l.out, l.packets
			l.out, l.packets = spare[:0], spares[:0]
			l.number(packets)
			l.freed()
			l.mu.Unlock()
			n, err := 0, conn.SetWriteDeadline(time.Now().Add(l.c.cfg.SendDeadline))
			if err == nil {
				n, err = conn.Write(out)
			}
			if err := l.wrote(out, packets, n, err); err != nil {
				return err
			}
			spare, spares = nil, nil
			if cap(out) <= keepBuffer {
				clear(packets)
				spare, spares = out, packets
			}
		}
	}
}

// wrote notes that n bytes of a batch were written. If writing failed, the
// rest goes back before what waits: of a packet that was cut short nothing is
// done. The error says what that was.
func (l *lane) wrote(out []byte, packets []outgoing, n int, err error) error {
	l.mu.Lock()
	at, i := 0, 0
	for ; i < len(packets) && at+packets[i].size <= n; i++ {
		at += packets[i].size
		if packets[i].command() {
			l.c.stats.sent.Add(1)
		}
	}
	if err == nil || i == len(packets) {
		l.mu.Unlock()
		return err
	}
	out, packets = out[at:], packets[i:]
	for _, p := range packets {
		if p.command() {
			l.written--
		}
	}
	cut := &packets[0]
	if cut.cmd != 0 && n > at {
		cut.cuts++
		err = fmt.Errorf("business: gateway %s ended the connection within %v of %d bytes: %w", l.gate.addr.Task, cut.cmd, cut.size, err)
	}
	dropped := cut.command() && cut.cuts >= maxCuts
	if dropped {
		out, packets = out[cut.size:], packets[1:]
		l.c.stats.dropped.Add(1)
	}
	l.out = append(append([]byte(nil), out...), l.out...)
	l.packets = append(append([]outgoing(nil), packets...), l.packets...)
	l.mu.Unlock()
	if dropped { // nobody waits for a command, and a log may block
		if n, ok := l.c.noise.dropped.Next(); ok {
			l.c.log.Error("command dropped", "gateway", l.gate.addr.Task, "command", cut.cmd.String(), "bytes", cut.size,
				"attempts", cut.cuts, "error", err, "suppressed", n,
				"hint", "it was cut off each time it was sent: is it larger than the gateway takes?")
		}
	}
	return err
}

// number counts the commands of a batch and tells its questions how many come
// before them. It must be done before the batch is written, as answers may be
// faster than whoever writes.
func (l *lane) number(packets []outgoing) {
	for _, p := range packets {
		switch {
		case p.question != nil:
			p.question.before = l.written
		case p.command():
			l.written++
		}
	}
}

// read hands answers to those who wait for them.
func (l *lane) read(conn net.Conn) error {
	rd := protocol.NewReader(conn, l.c.cfg.ReceiveLimit, []byte(l.c.cfg.Heartbeat))
	for {
		p, err := rd.Next()
		if err != nil {
			return err
		}
		if p.Heartbeat() {
			continue
		}
		if secret.Refusal(p) {
			return wanted(l.gate.addr.Task)
		}
		l.mu.Lock()
		if len(l.asked) == 0 {
			l.mu.Unlock()
			return fmt.Errorf("business: gateway %s sent %v, which nobody asked for", l.gate.addr.Task, p.Cmd)
		}
		q := l.asked[0]
		l.asked[0] = nil
		l.asked = l.asked[1:]
		l.sure = q.before
		l.mu.Unlock()
		q.finish(p.Unmarshal(q.reply))
	}
}

// barrier returns when everything that was put in has been carried out.
func (l *lane) barrier(ctx context.Context) error {
	l.mu.Lock()
	done := len(l.packets) == 0 && l.sure == l.written
	l.mu.Unlock()
	if done {
		return nil
	}
	return l.await(ctx, protocol.Cmd_CheckOnline, nil, &question{reply: new(protocol.CheckOnlineResp), last: true})
}

package business

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/sluicegate/sluice/internal/secret"
	"github.com/sluicegate/sluice/internal/wire"
	"github.com/sluicegate/sluice/protocol"
)

// A link is the worker connection to one gateway, made again when it breaks.
type link struct {
	c     *Client
	gate  *gate
	first sync.Once

	mu       sync.Mutex
	conn     net.Conn // nil while there is none
	reg      *registration
	leaving  bool          // Unregister was sent
	left     chan struct{} // closed when it was answered, or there is nobody to answer
	leftOnce sync.Once
	giveUp   context.Context // ends when there is no connection to leave
	quit     context.CancelFunc
}

// A registration lasts from Register until its connection ends.
type registration struct {
	connID  string
	handled atomic.Uint64
	dirty   chan struct{} // something was handled; never blocks
	heard   chan struct{} // a receipt was answered; never blocks
	// expects says, for each Unregister that was sent, whether it was the
	// real one. The link's lock guards it.
	expects []bool
}

func newLink(c *Client, g *gate) *link {
	l := &link{c: c, gate: g, left: make(chan struct{})}
	l.giveUp, l.quit = context.WithCancel(context.Background())
	return l
}

// done notes that an event was handled.
func (r *registration) done() {
	r.handled.Add(1)
	notify(r.dirty)
}

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run keeps a registration up until ctx ends.
func (l *link) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(l.giveUp, cancel)
	defer stop()
	l.c.keepUp(ctx, slog.LevelWarn, secret.Worker, l.gate.addr.Worker, func(conn net.Conn) error { return l.serve(ctx, conn) }, func(error) {})
	l.leftOnce.Do(func() { close(l.left) })
}

// send writes one packet. The lock is held.
func (l *link) send(cmd protocol.Cmd_Number, m proto.Message) error {
	packet, err := protocol.AppendPacket(nil, cmd, m)
	if err != nil {
		return err
	}
	return l.write(packet)
}

// write writes a packet. The lock is held.
func (l *link) write(packet []byte) error {
	if err := l.conn.SetWriteDeadline(time.Now().Add(l.c.cfg.SendDeadline)); err != nil {
		return err
	}
	_, err := l.conn.Write(packet)
	return err
}

// serve runs one connection until it breaks or ctx ends.
func (l *link) serve(ctx context.Context, conn net.Conn) error {
	unblock := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer unblock()
	rd := protocol.NewReader(conn, l.c.cfg.ReceiveLimit, []byte(l.c.cfg.Heartbeat))
	reg, err := l.register(conn, rd)
	if err != nil {
		_ = conn.Close()
		return err
	}
	l.first.Do(l.c.arrived)
	serving, ended := context.WithCancel(context.Background())
	var tending sync.WaitGroup
	tending.Go(func() {
		if err := l.tend(serving, reg); err != nil {
			_ = conn.Close() // it ends the reading
		}
	})
	err = l.read(rd, reg)
	ended()
	_ = conn.Close()
	tending.Wait()
	l.mu.Lock()
	l.conn, l.reg = nil, nil
	leaving := l.leaving
	l.mu.Unlock()
	if leaving {
		l.leftOnce.Do(func() { close(l.left) })
		return errStopping
	}
	return err
}

// register makes the gateway send events.
func (l *link) register(conn net.Conn, rd *protocol.Reader) (*registration, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.leaving {
		return nil, errStopping
	}
	if err := conn.SetReadDeadline(time.Now().Add(l.c.cfg.Wait)); err != nil {
		return nil, err
	}
	l.conn = conn
	err := l.send(protocol.Cmd_Register, &protocol.RegisterReq{Events: int32(l.c.cfg.Events)})
	var resp protocol.RegisterResp
	for err == nil {
		var p protocol.Packet
		if p, err = rd.Next(); err != nil || p.Heartbeat() {
			continue
		}
		if secret.Refusal(p) {
			err = wanted(l.gate.addr.Worker)
			continue
		}
		if p.Cmd != protocol.Cmd_Register {
			err = fmt.Errorf("business: gateway %s answered Register with %v", l.gate.addr.Worker, p.Cmd)
			continue
		}
		if err = p.Unmarshal(&resp); err == nil && resp.GetCode() != protocol.RegisterResp_Success {
			err = fmt.Errorf("business: gateway %s refused Register: %v %s", l.gate.addr.Worker, resp.GetCode(), resp.GetMessage())
		}
		break
	}
	if err == nil {
		err = conn.SetReadDeadline(time.Time{})
	}
	if err != nil {
		l.conn = nil
		return nil, err
	}
	l.reg = &registration{connID: resp.GetConnId(), dirty: make(chan struct{}, 1), heard: make(chan struct{}, 1)}
	return l.reg, nil
}

var errStopping = errors.New("business: the client stops")

// read hands events to the handlers until the connection ends.
func (l *link) read(rd *protocol.Reader, reg *registration) error {
	for {
		p, err := rd.Next()
		if err != nil {
			return err
		}
		e := event{reg: reg, size: len(p.Body) + eventOverhead}
		switch {
		case p.Heartbeat():
			continue
		case p.Cmd == protocol.Cmd_ConnOpen:
			m := new(protocol.ConnOpen)
			err = p.Unmarshal(m)
			e.message, e.uniqID = m, m.GetUniqId()
		case p.Cmd == protocol.Cmd_Transfer:
			m := new(protocol.Transfer)
			err = p.Unmarshal(m)
			e.message, e.uniqID = m, m.GetUniqId()
		case p.Cmd == protocol.Cmd_ConnClose:
			m := new(protocol.ConnClose)
			err = p.Unmarshal(m)
			e.message, e.uniqID = m, m.GetUniqId()
		case p.Cmd == protocol.Cmd_Unregister:
			l.answered(reg)
			continue
		default:
			if n, ok := l.c.noise.unknown.Next(); ok {
				l.c.log.Warn("unknown command ignored", "gateway", l.gate.addr.Worker, "command", p.Cmd.String(), "suppressed", n)
			}
			continue
		}
		if err != nil {
			if n, ok := l.c.noise.notUnderstood.Next(); ok {
				l.c.log.Warn("event not understood", "gateway", l.gate.addr.Worker, "error", err, "suppressed", n)
			}
			reg.done()
			continue
		}
		l.gate.learnID(e.uniqID)
		l.c.stats.received.Add(1)
		if !l.c.events.add(e) {
			return errStopping
		}
	}
}

// answered takes the answer to an Unregister.
func (l *link) answered(reg *registration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(reg.expects) == 0 {
		return
	}
	final := reg.expects[0]
	reg.expects = reg.expects[1:]
	if final {
		l.leftOnce.Do(func() { close(l.left) })
		return
	}
	notify(reg.heard)
}

// receiptTime is how long a receipt waits for others to be told with it.
const receiptTime = 20 * time.Millisecond

// tend sends heartbeats, and receipts for what was handled, one at a time,
// until ctx ends.
func (l *link) tend(ctx context.Context, reg *registration) error {
	beat := time.NewTicker(l.c.cfg.HeartbeatInterval)
	defer beat.Stop()
	heartbeat := protocol.AppendHeartbeat(nil, []byte(l.c.cfg.Heartbeat))
	var due <-chan time.Time
	dirty, heard := reg.dirty, (<-chan struct{})(nil)
	for {
		var err error
		select {
		case <-dirty:
			dirty, due = nil, time.After(receiptTime)
		case <-due:
			due = nil
			if heard, err = reg.heard, l.receipt(ctx, reg); errors.Is(err, errUncertain) {
				// Another time.
				heard, dirty, err = nil, reg.dirty, nil
				notify(reg.dirty)
			}
		case <-heard:
			heard, dirty = nil, reg.dirty
		case <-beat.C:
			l.mu.Lock()
			err = l.write(heartbeat)
			l.mu.Unlock()
		case <-ctx.Done():
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// errUncertain says that what was handled may not have been carried out yet.
var errUncertain = errors.New("business: commands are under way")

// receipt says how many events were handled, and what their handlers commanded
// carried out.
func (l *link) receipt(ctx context.Context, reg *registration) error {
	handled := reg.handled.Load()
	if l.gate.barrier(ctx) != nil {
		return errUncertain
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	reg.expects = append(reg.expects, false)
	return l.send(protocol.Cmd_Unregister, &protocol.UnregisterReq{ConnId: wire.Receipt(handled)})
}

// leave unregisters. left is closed when the gateway has answered: nothing
// comes after that.
func (l *link) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leaving = true
	if l.conn != nil && l.reg != nil {
		l.reg.expects = append(l.reg.expects, true)
		if l.send(protocol.Cmd_Unregister, &protocol.UnregisterReq{ConnId: l.reg.connID}) == nil {
			return
		}
	}
	l.quit()
	l.leftOnce.Do(func() { close(l.left) })
}

// end sends the last receipt, by which the gateway knows that nothing is in
// doubt, and ends the connection, by which it knows that this process has done.
func (l *link) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn == nil || l.reg == nil {
		l.quit()
		return
	}
	// Without it, events count as in doubt that are not.
	_ = l.send(protocol.Cmd_Unregister, &protocol.UnregisterReq{ConnId: wire.Receipt(l.reg.handled.Load())})
	// Only half of it, as the gateway must read the receipt before it ends its
	// own half.
	if half, ok := l.conn.(interface{ CloseWrite() error }); !ok || half.CloseWrite() != nil {
		_ = l.conn.Close()
	}
}

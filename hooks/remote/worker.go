package remote

import (
	"errors"
	"net"
	"net/netip"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/sluicegate/sluice/internal/wire"
	"github.com/sluicegate/sluice/protocol"
)

// workerConn is one connection to the worker listener.
type workerConn struct {
	r     *Router
	conn  net.Conn
	guest bool // it may prove the secret, and need not
	outbox

	ended chan struct{} // closed when it has
	proc  *process      // the registration, once there is one; it is kept when it leaves
}

// addWorker serves a connection on goroutines of its own.
func (r *Router) addWorker(conn net.Conn, guest bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.workers) >= r.cfg.Worker.MaxConns || r.stopping {
		return false
	}
	w := &workerConn{r: r, conn: conn, guest: guest, outbox: newOutbox(r.cfg.Queue, r.cfg.QueueEvents), ended: make(chan struct{})}
	r.workers[w] = struct{}{}
	r.serving.Go(w.serve)
	return true
}

// serve returns when the connection has ended.
func (w *workerConn) serve() {
	w.r.logOpened("worker", w.conn)
	written := make(chan error, 1)
	go func() {
		err := w.writeAll()
		w.stopWriting()
		if err != nil {
			_ = cut(w.conn) // it ends the reading, and says the rest
		}
		written <- err
	}()
	err := w.read()
	w.r.mu.Lock()
	w.closing, w.broken = true, true
	w.signal()
	w.r.mu.Unlock()
	_ = cut(w.conn)
	if werr := <-written; werr != nil {
		err = werr
	}
	w.depart(err)
}

// read takes packets until the connection ends.
func (w *workerConn) read() error {
	r, l := w.r, w.r.cfg.Worker
	src, err := r.worker.hear(w.conn, w.conn, w.guest)
	if err != nil {
		return err
	}
	rd := protocol.NewReader(src, l.ReceiveLimit, []byte(l.Heartbeat))
	for {
		if !rd.Ready() {
			if err := w.conn.SetReadDeadline(time.Now().Add(l.ReadDeadline)); err != nil {
				return err
			}
		}
		p, err := rd.Next()
		switch {
		case err != nil:
			if isFraming(err) {
				r.malformed()
			}
			return err
		case p.Heartbeat():
		case p.Cmd == protocol.Cmd_Register:
			err = w.register(p)
		case p.Cmd == protocol.Cmd_Unregister:
			err = w.unregister(p)
		default:
			r.malformed()
			return unknownCommand(p.Cmd, "worker")
		}
		if bad := (*bodyError)(nil); errors.As(err, &bad) {
			r.malformed()
			if n, ok := r.noise.notUnderstood.Next(); ok {
				r.log.Warn("command not understood", "listener", "worker", "remoteAddr", w.conn.RemoteAddr().String(), "error", err, "suppressed", n)
			}
		} else if err != nil {
			return err
		}
	}
}

func (r *Router) malformed() {
	r.mu.Lock()
	r.counts.malformed++
	r.mu.Unlock()
}

func (w *workerConn) register(p protocol.Packet) error {
	r := w.r
	var req protocol.RegisterReq
	resp := &protocol.RegisterResp{Code: protocol.RegisterResp_Success}
	var malformed error
	say := func() {}
	defer func() { say() }() // without the lock: a log may be slow, or ask for Stats
	r.mu.Lock()
	defer r.mu.Unlock()
	switch err := p.Unmarshal(&req); {
	case err != nil:
		malformed = &bodyError{err}
		resp.Code = protocol.RegisterResp_UnmarshalError
	case req.GetEvents()&knownEvents == 0:
		resp.Code = protocol.RegisterResp_InvalidEvent
	case w.proc != nil && w.proc.state == active:
		resp.Code = protocol.RegisterResp_DuplicateRegister
	default:
		resp.ConnId = r.connID(w.conn)
	}
	resp.Message = resp.Code.String()
	if err := w.reply(protocol.Cmd_Register, resp); err != nil {
		return err
	}
	if resp.Code == protocol.RegisterResp_Success && !r.stopping {
		r.births++
		if w.proc == nil {
			w.proc = &process{conn: w}
		}
		// One that comes back keeps its clients.
		p := w.proc
		p.birth, p.connID, p.events, p.state = r.births, resp.ConnId, req.GetEvents(), active
		p.since = time.Now()
		p.before = p.sent + uint64(w.events)
		r.active = append(r.active, w.proc)
		now := *p
		say = func() { r.logRegistered(w.conn, &now) }
		r.release()
	}
	return malformed
}

func (r *Router) connID(conn net.Conn) string {
	id := protocol.ConnID{Worker: r.worker.node, Time: uint32(time.Now().Unix())}
	if at, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err == nil {
		id.Business, _ = protocol.NodeFromAddr(at) // zero for what is not IPv4
	}
	return id.String()
}

// unregister is answered whatever it says: clients wait for that for ever.
func (w *workerConn) unregister(p protocol.Packet) error {
	r := w.r
	var req protocol.UnregisterReq
	err := p.Unmarshal(&req)
	if err != nil {
		err = &bodyError{err}
	}
	say := func() {}
	defer func() { say() }()
	r.mu.Lock()
	defer r.mu.Unlock()
	if n, ok := wire.ParseReceipt(req.GetConnId()); ok {
		if w.proc != nil {
			w.proc.receipts = true
			p := w.proc
			p.handled = max(p.before+min(n, 1<<62), p.handled)
		}
	} else if w.proc != nil && w.proc.state == active && w.proc.connID == req.GetConnId() {
		now := *w.proc
		say = func() { r.logUnregistered(w.conn, &now) }
		r.leave(w.proc)
		if r.cfg.Buffer > 0 {
			birth := w.proc.birth
			r.chores.Go(func() { r.settleAfter(w.proc, birth) })
		}
	}
	return errors.Join(err, w.reply(protocol.Cmd_Unregister, &protocol.UnregisterResp{}))
}

// stopWriting has nobody wait for room any more, as nothing makes any.
func (w *workerConn) stopWriting() {
	w.r.mu.Lock()
	defer w.r.mu.Unlock()
	w.broken = true
	w.signalRoom()
}

var errNoAnswer = errors.New("it asked on when nothing more was sent to it")

// reply queues an answer. If the peer does not take its answers, it waits,
// without the lock, so that the peer's commands wait too.
func (w *workerConn) reply(cmd protocol.Cmd_Number, m proto.Message) error {
	packet, err := protocol.AppendPacket(nil, cmd, m)
	if err != nil {
		return err
	}
	for !w.hasRoom(len(packet)) {
		if w.broken {
			return errNoAnswer
		}
		room := w.awaitRoom()
		w.r.mu.Unlock()
		<-room
		w.r.mu.Lock()
	}
	w.add(record{size: len(packet)}, packet)
	return nil
}

// writeAll sends what is queued until the connection ends.
func (w *workerConn) writeAll() error {
	r := w.r
	for range w.wake {
		for {
			r.mu.Lock()
			if w.broken {
				r.mu.Unlock()
				return nil
			}
			if len(w.waiting.records) == 0 {
				closing := w.closing
				r.mu.Unlock()
				if closing {
					return w.closeWrite()
				}
				break
			}
			b := w.take()
			r.mu.Unlock()

			done, err := write(w.conn, r.cfg.Worker.SendDeadline, b, w.account)
			r.mu.Lock()
			if err != nil {
				w.fail(b, done)
				r.mu.Unlock()
				return err
			}
			w.give(b)
			r.mu.Unlock()
		}
	}
	return nil
}

// account notes that packets were sent, which makes room for others.
func (w *workerConn) account(records []record) {
	w.r.mu.Lock()
	defer w.r.mu.Unlock()
	for _, rec := range records {
		w.unsent -= rec.size
		if rec.proc != nil {
			w.events--
			w.r.counts.queued--
			w.r.counts.sent++
			rec.proc.sent++
		}
	}
	w.signalRoom()
	w.r.release()
}

// fail puts the rest of b back before what waits.
func (w *workerConn) fail(b batch, done int) {
	at := 0
	for _, rec := range b.records[:done] {
		at += rec.size
	}
	rest := batch{
		bytes:   append(append([]byte(nil), b.bytes[at:]...), w.waiting.bytes...),
		records: append(append([]record(nil), b.records[done:]...), w.waiting.records...),
	}
	w.waiting, w.broken = rest, true
}

// closeWrite tells the peer that nothing more comes, and leaves it to it to end
// the connection: closing it with something unread would cut off what was sent.
// Over TLS it is the alert of that meaning, and the socket stays whole.
func (w *workerConn) closeWrite() error {
	if c, ok := w.conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return w.conn.Close()
}

// finish has what waits sent, and then the connection ended. The lock is held.
func (w *workerConn) finish() {
	if w.proc != nil {
		w.proc.state = gone
	}
	w.closing = true
	w.signal()
}

// depart takes a connection that has ended off the Router. Its clients wait
// for what its process has commanded, and begin anew with what it was not sent.
func (w *workerConn) depart(cause error) {
	r := w.r
	r.logEnd("worker", w.conn, cause)
	say := func() {}
	defer func() { say() }()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.workers, w)
	close(w.ended)
	w.signalRoom()

	p := w.proc
	if p == nil {
		return
	}
	registered := p.state == active
	if registered {
		r.leave(p)
	}
	var doubt uint64
	if p.receipts {
		doubt = p.sent - min(p.handled, p.sent)
		r.counts.inDoubt += int64(doubt)
	}
	unsent := w.unsentEvents()
	now := *p
	say = func() { r.logGone(w.conn, &now, registered, len(unsent), doubt, cause) }
	r.requeue(unsent)
	if p.state == leaving {
		if r.cfg.Buffer > 0 && !r.stopping {
			r.chores.Go(func() { r.settle(p) })
		} else {
			r.settled(p)
		}
	}
}

// unsentEvents returns the events that were not sent.
func (w *workerConn) unsentEvents() (all []held) {
	at, now := 0, time.Now()
	for _, rec := range w.waiting.records {
		if rec.proc != nil {
			packet := append([]byte(nil), w.waiting.bytes[at:at+rec.size]...)
			all = append(all, held{client: rec.client, kind: rec.kind, packet: packet, since: now})
		}
		at += rec.size
	}
	w.r.counts.queued -= len(all)
	w.waiting = batch{}
	return all
}

// leave takes a registration off those that get events.
func (r *Router) leave(p *process) {
	for i, q := range r.active {
		if q == p {
			r.active = append(r.active[:i:i], r.active[i+1:]...)
			break
		}
	}
	p.state = leaving
	if r.cfg.Buffer == 0 {
		p.state = gone
	}
}

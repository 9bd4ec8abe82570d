package gatewaytest

import (
	"context"
	"sync"

	"github.com/sluicegate/sluice/transport"
)

// A spy stands between the gateway and its transports. It remembers which
// connection is which client's, so that a test can ask for uniqIds, and ends the
// transports when they are to fail.
type spy struct {
	failed context.Context
	fail   context.CancelCauseFunc

	mu    sync.Mutex
	conns map[string]transport.Conn // by the peer's address
	ids   map[string]string         // likewise, once they are known
}

func newSpy() *spy {
	s := &spy{conns: make(map[string]transport.Conn), ids: make(map[string]string)}
	s.failed, s.fail = context.WithCancelCause(context.Background())
	return s
}

func (s *spy) wrap(ts []transport.Transport) []transport.Transport {
	wrapped := make([]transport.Transport, len(ts))
	for i, t := range ts {
		wrapped[i] = spied{t, s}
	}
	return wrapped
}

// uniqID returns the id of the client at addr, or "" if it has none yet.
func (s *spy) uniqID(addr string) string {
	s.mu.Lock()
	c, id := s.conns[addr], s.ids[addr]
	s.mu.Unlock()
	if c == nil || id != "" {
		return id
	}
	// It is set on the client's loop when an Admitter has let it in.
	if c.Loop().PostAlways(&question{s, c}) != nil {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ids[addr]
}

// opened reports whether the gateway was told of the connection from addr.
func (s *spy) opened(addr string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns[addr] != nil
}

// note remembers c's id, if it has one. It is called on c's loop.
func (s *spy) note(c transport.Conn) {
	id := c.Value().(interface{ UniqID() string }).UniqID()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[c.RemoteAddr().String()], s.ids[c.RemoteAddr().String()] = c, id
}

// A question is a Task that notes a client's id.
type question struct {
	spy  *spy
	conn transport.Conn
}

func (q *question) Run(int) (steps int, done bool) {
	q.spy.note(q.conn)
	return 1, true
}

func (q *question) Weight() (recipients, bytes int) { return 1, 0 }

func (q *question) Drop() {}

type spied struct {
	transport.Transport
	spy *spy
}

func (t spied) Serve(ctx context.Context, o transport.Options, h transport.Handler) error {
	serving, end := context.WithCancel(ctx)
	defer end()
	defer context.AfterFunc(t.spy.failed, end)()
	err := t.Transport.Serve(serving, o, spyHandler{h, t.spy})
	if ctx.Err() == nil && t.spy.failed.Err() != nil {
		return context.Cause(t.spy.failed)
	}
	return err
}

type spyHandler struct {
	transport.Handler
	spy *spy
}

func (h spyHandler) Open(c transport.Conn) {
	defer h.spy.note(c) // also when it panics
	h.Handler.Open(c)
}

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
}

func newSpy() *spy {
	s := &spy{conns: make(map[string]transport.Conn)}
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
	c := s.conns[addr]
	s.mu.Unlock()
	if c == nil {
		return ""
	}
	q := &question{conn: c, answer: make(chan string, 1)}
	if c.Loop().PostAlways(q) != nil {
		return ""
	}
	return <-q.answer
}

// A question asks for a client's id on its loop, which is where it is set.
type question struct {
	conn   transport.Conn
	answer chan string
}

func (q *question) Run(int) (steps int, done bool) {
	q.answer <- q.conn.Value().(interface{ UniqID() string }).UniqID()
	return 1, true
}

func (q *question) Weight() (recipients, bytes int) { return 1, 0 }

func (q *question) Drop() { q.answer <- "" }

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
	h.spy.mu.Lock()
	h.spy.conns[c.RemoteAddr().String()] = c
	h.spy.mu.Unlock()
	h.Handler.Open(c)
}

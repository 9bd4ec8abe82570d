//go:build unix

package attack

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/hooks/limit"
	"github.com/sluicegate/sluice/hooks/remote"
	"github.com/sluicegate/sluice/registry"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/gnet"
)

// A host is a gateway as a program has it: on sockets, with a limiter.
type host struct {
	*gateway.Gateway
	limiter *places
	reg     *audiences
	log     *closings
	answers *atomic.Int64
	bus     *remote.Router // nil without
	addr    string

	cancel context.CancelFunc
	ended  chan error
}

// answerTo is what the host's business code answers to a message. It is short
// whatever was sent, and tells whether it arrived whole.
func answerTo(data []byte) []byte {
	return fmt.Appendf(nil, "%d bytes %08x", len(data), crc32.ChecksumIEEE(data))
}

// answering is the host's business code. To "id" it answers with the client's id.
func answering(n *atomic.Int64) hooks.Router {
	return hooks.RouterFuncs{OnMessage: func(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
		answer := []byte(e.UniqID)
		if string(e.Data) != "id" {
			answer = answerTo(e.Data)
		}
		n.Add(1)
		_ = bus.SingleCast(ctx, e.UniqID, answer) // what it does not deliver is counted
	}}
}

// run runs a gateway. With a remote.Config it listens for business processes,
// and clients whose path is /remote are theirs.
func run(gc gateway.Config, rc *remote.Config) (*host, error) {
	h := &host{log: &closings{}, answers: new(atomic.Int64), ended: make(chan error, 1)}
	l, err := limit.New(limit.Config{OnOpen: 100_000, OnMessage: 10_000_000, MaxClients: 15_000, ClientMessages: 5_000_000})
	if err != nil {
		return nil, err
	}
	h.limiter, h.reg = &places{Limiter: l}, &audiences{Registry: registry.NewMemory()}
	gc.Transports = []transport.Transport{gnet.Listen("127.0.0.1:0", gnet.Loops(2))}
	gc.Limiter, gc.Registry, gc.Logger = h.limiter, h.reg, slog.New(h.log)
	gc.Router = answering(h.answers)
	gc.StuckAfter = -1 // it asks, too
	if rc != nil {
		rc.Worker.Addr, rc.Task.Addr, rc.Logger = "127.0.0.1:0", "127.0.0.1:0", gc.Logger
		if h.bus, err = remote.Listen(*rc); err != nil {
			return nil, err
		}
		here := gc.Router
		gc.Router = hooks.ByClient(func(e hooks.OpenEvent) hooks.Router {
			if e.Path == "/remote" {
				return h.bus
			}
			return here
		})
		gc.Hooks = append(gc.Hooks, h.bus)
	}
	if h.Gateway, err = gateway.New(gc); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	h.cancel = cancel
	go func() { h.ended <- h.Run(ctx) }()
	select {
	case <-h.Ready():
	case err := <-h.ended:
		cancel()
		return nil, fmt.Errorf("the gateway did not start: %w", err)
	}
	h.addr = h.Addrs()[0].String()
	return h, nil
}

// end stops the gateway.
func (h *host) end() error {
	h.cancel()
	select {
	case err := <-h.ended:
		return err
	case <-time.After(wait):
		return errors.New("run did not return")
	}
}

// sent is how many messages the gateway was given for clients, one for each of
// their recipients. Those of commands that name a client are not seen here but for
// the answers.
func (h *host) sent() int64 { return h.answers.Load() + h.reg.recipients.Load() }

// unbalanced says what the counters do not account for. more is how many messages
// business processes have sent to clients by name.
func (h *host) unbalanced(more int64) string {
	s := h.Stats()
	clients := int64(s.Clients)
	var in, out int64
	for reason, d := range s.Drops {
		switch reason {
		case hooks.DropLimited, hooks.DropClientLimited, hooks.DropBacklog:
			in += d.Messages
		case hooks.DropMalformed:
		default:
			out += d.Messages
		}
	}
	switch sent := h.sent() + more; {
	case s.Opened != s.Closed+clients:
		return fmt.Sprintf("%d clients opened, %d closed and %d open", s.Opened, s.Closed, clients)
	case s.Events != s.Opened+s.Closed+s.MessagesIn-in:
		return fmt.Sprintf("%d events of %d opens, %d closes and %d messages, of which %d were dropped", s.Events, s.Opened, s.Closed, s.MessagesIn, in)
	case s.MessagesOut+out != sent:
		return fmt.Sprintf("%d messages sent, %d of them written and %d dropped: %v", sent, s.MessagesOut, out, s.Drops)
	case h.limiter.taken.Load() != clients:
		return fmt.Sprintf("the limiter knows of %d clients, there are %d", h.limiter.taken.Load(), clients)
	}
	return ""
}

// places counts the clients that a limiter has admitted and not been told the end
// of.
type places struct {
	*limit.Limiter
	taken atomic.Int64
}

func (p *places) Open(ip netip.Addr) error {
	err := p.Limiter.Open(ip)
	if err == nil {
		p.taken.Add(1)
	}
	return err
}

func (p *places) Close(uniqID string, ip netip.Addr) {
	p.taken.Add(-1)
	p.Limiter.Close(uniqID, ip)
}

// audiences is a registry that counts the recipients of broadcasts and publishes.
type audiences struct {
	registry.Registry
	recipients atomic.Int64
}

func (r *audiences) Everyone(dst []registry.Audience) []registry.Audience {
	return r.count(len(dst), r.Registry.Everyone(dst))
}

func (r *audiences) Subscribers(dst []registry.Audience, topic string) []registry.Audience {
	return r.count(len(dst), r.Registry.Subscribers(dst, topic))
}

func (r *audiences) count(from int, as []registry.Audience) []registry.Audience {
	for _, a := range as[from:] {
		r.recipients.Add(int64(len(a.Clients())))
	}
	return as
}

// closings is a log that counts why clients were closed, as the gateway has it,
// and how many errors it was told of.
type closings struct {
	mu     sync.Mutex
	by     map[string]int
	errors []string
}

// Enabled implements slog.Handler.
func (c *closings) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements slog.Handler.
func (c *closings) Handle(_ context.Context, r slog.Record) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.Level >= slog.LevelError && len(c.errors) < 10 {
		c.errors = append(c.errors, r.Message)
	}
	if r.Message != "client closed" {
		return nil
	}
	var code, reason string
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "code":
			code = a.Value.String()
		case "reason":
			reason = a.Value.String()
		}
		return true
	})
	if c.by == nil {
		c.by = make(map[string]int)
	}
	c.by[code+" "+reason]++
	return nil
}

// WithAttrs implements slog.Handler.
func (c *closings) WithAttrs([]slog.Attr) slog.Handler { return c }

// WithGroup implements slog.Handler.
func (c *closings) WithGroup(string) slog.Handler { return c }

// of is how many clients were closed with a code and reason.
func (c *closings) of(code int, reason string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.by[fmt.Sprintf("%d %s", code, reason)]
}

func (c *closings) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Sprintf("%v, errors %q", c.by, c.errors)
}

// A server is a host under attack, with its witnesses.
type server struct {
	*host
	t       testing.TB
	watch   *witnesses
	rest    weight  // before the attack
	calm    waiting // of the witnesses then
	byName  int64   // messages that processes sent to clients by name
	stopped bool
}

// serve starts a server. It is stopped with the test, if not before.
func serve(t testing.TB, gc gateway.Config, rc *remote.Config) *server {
	t.Helper()
	h, err := run(gc, rc)
	must(t, err)
	s := &server{host: h, t: t}
	t.Cleanup(s.stop)
	s.watch = watch(t, h.addr)
	s.watch.settle()
	s.rest = weigh()
	s.watch.settle()
	s.calm = s.watch.take()
	return s
}

// settle lets the witnesses work for a while.
func (w *witnesses) settle() {
	_ = w.take()
	time.Sleep(300 * time.Millisecond)
}

// attack starts an attacker, which waits for its first word.
func (s *server) attack(role string, n int) *process {
	s.t.Helper()
	return start(s.t, role, s.addr, n, s.more()).polite()
}

// more is where business processes find the gateway.
func (s *server) more() string {
	if s.bus == nil {
		return ""
	}
	return s.bus.WorkerAddr().String() + " " + s.bus.TaskAddr().String()
}

// stop ends the witnesses and the gateway. After that the counters are exact
// without waiting for anything.
func (s *server) stop() {
	if s.stopped {
		return
	}
	s.stopped = true
	if s.watch != nil {
		s.watch.leave()
	}
	// A drain asks the registry for those who are left, which counts as sending
	// to them.
	for begin := time.Now(); s.Stats().Clients > 0 && time.Since(begin) < wait; {
		time.Sleep(time.Millisecond)
	}
	if err := s.end(); err != nil {
		s.t.Errorf("Run: %v", err)
	}
	if why := s.unbalanced(s.byName); why != "" && !s.t.Failed() {
		s.t.Errorf("at the end: %s", why)
	}
	if n := s.Stats().Clients; n != 0 {
		s.t.Errorf("at the end: %d clients", n)
	}
	if s.t.Failed() {
		s.t.Logf("closed: %v", s.log)
	}
}

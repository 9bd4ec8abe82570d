package business_test

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/protocol/business"
)

// logged is a log that can be read.
type logged struct {
	mu sync.Mutex
	strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Builder.Write(p)
}

func (l *logged) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.String(), text)
}

// wired is the configuration of a client with one lane over w.
func wired(w *wires) business.Config {
	cfg := config(nil)
	cfg.Gateways = []business.Gateway{{Task: "pipe"}}
	cfg.Dial = w.dial
	return cfg
}

// A command that each connection ends in is given up, and those behind it get
// their turn.
func TestCommandThatIsAlwaysCutOffIsDropped(t *testing.T) {
	w, log := newWires(t), new(logged)
	cfg := wired(w)
	cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
	c := run(t, cfg, false)
	conn := w.next()
	must(t, c.SingleCast(t.Context(), "x", []byte("fine")))
	same(t, "the first connection", take(t, conn, 1), []string{"fine"})
	must(t, c.SingleCast(t.Context(), "x", make([]byte, 1000)))
	for range 3 {
		_, err := io.ReadFull(conn, make([]byte, 100))
		must(t, err)
		conn.Close()
		conn = w.next()
	}
	must(t, c.SingleCast(t.Context(), "x", []byte("behind")))
	same(t, "the last connection", take(t, conn, 1), []string{"behind"})
	// What was written before the first cut may have been carried out.
	if s := c.Stats(); s.Dropped != 1 || s.Lost != 1 || s.Reconnects != 3 {
		t.Errorf("%+v, want one command dropped", s)
	}
	for _, want := range []string{"command dropped", "command=SingleCast", "attempts=3"} {
		if !log.has(want) {
			t.Errorf("the log has no %q", want)
		}
	}
}

// A connection that ends before it has taken anything of a command is no fault
// of the command.
func TestConnectionsThatTakeNothingDropNothing(t *testing.T) {
	w := newWires(t)
	c := run(t, wired(w), false)
	conn := w.next()
	must(t, c.SingleCast(t.Context(), "x", []byte("patient")))
	for range 5 {
		conn.Close()
		conn = w.next()
	}
	same(t, "the last connection", take(t, conn, 1), []string{"patient"})
	if s := c.Stats(); s.Dropped != 0 || s.Lost != 0 {
		t.Errorf("%+v, want nothing dropped", s)
	}
}

// A gateway ends connections over which more comes than it takes at once.
func TestCommandAboveTheGatewaysLimit(t *testing.T) {
	s := newSite(t)
	ids := make(chan string, 1)
	cfg := s.config(hooks.RouterFuncs{OnOpen: func(_ context.Context, _ hooks.Bus, e hooks.OpenEvent) { ids <- e.UniqID }})
	cfg.TaskConns, cfg.Wait = 1, wait
	c := run(t, cfg, true)
	client := s.dial()
	id := <-ids
	const huge = 32 << 20 // more than the sockets' buffers hold
	must(t, c.SingleCast(t.Context(), id, make([]byte, huge)))
	must(t, c.SingleCast(t.Context(), id, []byte("after")))
	expect(t, client, "after")
	if st := c.Stats(); st.Dropped != 1 {
		t.Errorf("%+v, want one command dropped", st)
	}
	// Whoever asks is told at once.
	_, err := c.CheckOnline(t.Context(), []string{strings.Repeat("x", huge)})
	if err == nil || !strings.Contains(err.Error(), "ended the connection within CheckOnline of ") {
		t.Errorf("a question: %v", err)
	}
	if on, err := c.CheckOnline(t.Context(), []string{id}); err != nil || len(on) != 1 {
		t.Errorf("the next question: %v, %v", on, err)
	}
	if st := c.Stats(); st.Dropped != 1 {
		t.Errorf("%+v, want no question among those dropped", st)
	}
}

// What a broken connection takes with it makes room, though nothing is sent.
func TestBrokenConnectionMakesRoom(t *testing.T) {
	w := newWires(t)
	cfg := wired(w)
	cfg.SendQueue, cfg.Wait = 1, time.Hour
	c := run(t, cfg, false)
	conn := w.next()
	ask := func() error { _, err := c.UniqIDs(t.Context()); return err }
	first := later(ask) // is being written
	_, err := io.ReadFull(conn, make([]byte, 1))
	must(t, err)
	second := later(ask) // fills the queue
	waits(t, second, "a question")
	command := later(func() error { return c.SingleCast(t.Context(), "x", []byte("behind")) })
	waits(t, command, "a command above SendQueue")
	conn.Close()
	conn = w.next()
	for _, asked := range []<-chan error{first, second} {
		if err := result(t, asked); err == nil || !strings.Contains(err.Error(), "broke before the answer") {
			t.Errorf("a question: %v", err)
		}
	}
	must(t, result(t, command))
	same(t, "the new connection", take(t, conn, 1), []string{"behind"})
}

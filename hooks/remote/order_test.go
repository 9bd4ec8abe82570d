package remote_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	ws "github.com/gorilla/websocket"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/hooks/remote"
	"github.com/sluicegate/sluice/internal/await"
	"github.com/sluicegate/sluice/protocol/business"
)

// echoProcess, as first argument, has the test binary be a business process
// that echoes, until it is told to stop.
const echoProcess = "echo-process"

func echo() hooks.Router {
	return hooks.RouterFuncs{OnMessage: func(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
		if err := bus.SingleCast(ctx, e.UniqID, e.Data); err != nil {
			fmt.Fprintln(os.Stderr, "echo:", err)
		}
	}}
}

func runEcho(worker, task string) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	c, err := business.New(business.Config{
		Gateways: []business.Gateway{{Worker: worker, Task: task}}, Router: echo(), MinBackoff: 10 * time.Millisecond,
	})
	if err == nil {
		err = c.Run(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "echo:", err)
		os.Exit(1)
	}
}

// process is a business process of its own.
type process struct {
	*exec.Cmd
	t testing.TB
}

// spawn starts a business process and waits until it has registered.
func (h *host) spawn() *process {
	h.t.Helper()
	n := h.rt.Stats().Processes
	cmd := exec.Command(os.Args[0], echoProcess, h.rt.WorkerAddr().String(), h.rt.TaskAddr().String())
	cmd.Stderr = os.Stderr
	must(h.t, cmd.Start())
	h.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	await.Until(h.t, func() string {
		if h.rt.Stats().Processes != n+1 {
			return "the business process has not registered"
		}
		return ""
	})
	return &process{Cmd: cmd, t: h.t}
}

// terminate asks a process to stop and waits until it has.
func (p *process) terminate() {
	p.t.Helper()
	must(p.t, p.Process.Signal(syscall.SIGTERM))
	if err := p.Wait(); err != nil {
		p.t.Errorf("the business process ended with %v", err)
	}
}

// crowd is clients that send numbered messages and check what comes back.
type crowd struct {
	h           *host
	n, each     int
	echoed      atomic.Int64
	lost, wrong atomic.Int64
	done        sync.WaitGroup
}

var each = flag.Int("each", 300, "messages of each client in TestOrder")

func (h *host) crowd() *crowd {
	c := &crowd{h: h, n: 1000, each: *each}
	if raceDetector || testing.Short() {
		c.n, c.each = 100, 300
	}
	return c
}

// window is how many messages of one client may be under way.
const window = 16

// start connects all clients and has them send.
func (c *crowd) start() {
	c.h.t.Helper()
	conns := make([]*ws.Conn, c.n)
	for i := range conns {
		conns[i] = c.h.connect("/", nil).Conn
	}
	for _, conn := range conns {
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Minute))
		var last atomic.Int64 // the number that came back last
		last.Store(-1)
		progress := make(chan struct{}, 1)
		c.done.Go(func() { c.read(conn, &last, progress) })
		c.done.Go(func() { c.write(conn, &last, progress) })
	}
}

// write sends the numbers. What is lost must not stop it for ever.
func (c *crowd) write(conn *ws.Conn, last *atomic.Int64, progress <-chan struct{}) {
	stalled := time.NewTimer(time.Hour)
	for i := range c.each + 1 {
		for int64(i)-last.Load() > window {
			stalled.Reset(500 * time.Millisecond)
			select {
			case <-progress:
				continue
			case <-stalled.C:
			}
			break
		}
		text := strconv.Itoa(i)
		if i == c.each {
			text = "end"
		}
		if conn.WriteMessage(ws.TextMessage, []byte(text)) != nil {
			c.wrong.Add(1)
			return
		}
	}
}

// read checks that numbers come back in order, and counts those that do not
// come.
func (c *crowd) read(conn *ws.Conn, last *atomic.Int64, progress chan<- struct{}) {
	next := 0
	for {
		_, b, err := conn.ReadMessage()
		if err != nil {
			c.h.t.Errorf("a client ended after %d messages: %v", next, err)
			c.wrong.Add(1)
			return
		}
		if string(b) == "end" {
			c.lost.Add(int64(c.each - next))
			return
		}
		n, err := strconv.Atoi(string(b))
		if err != nil || n < next {
			c.h.t.Errorf("a client got %q after %d", b, next-1)
			c.wrong.Add(1)
			return
		}
		c.lost.Add(int64(n - next))
		next = n + 1
		last.Store(int64(n))
		c.echoed.Add(1)
		select {
		case progress <- struct{}{}:
		default:
		}
	}
}

// after waits until a part of all messages has come back.
func (c *crowd) after(part float64) {
	c.h.t.Helper()
	want := int64(part * float64(c.n*c.each))
	deadline := time.Now().Add(5 * time.Minute)
	for c.echoed.Load() < want && c.wrong.Load() == 0 {
		if time.Now().After(deadline) {
			c.h.t.Fatalf("%d of %d messages came back; %+v", c.echoed.Load(), want, c.h.rt.Stats())
		}
		time.Sleep(time.Millisecond)
	}
}

// finish waits for the end and returns how many messages were lost.
func (c *crowd) finish() int64 {
	c.h.t.Helper()
	c.done.Wait()
	if got := c.echoed.Load() + c.lost.Load(); got != int64(c.n*c.each) && c.wrong.Load() == 0 {
		c.h.t.Errorf("%d messages came back or are missing, %d were sent", got, c.n*c.each)
	}
	return c.lost.Load()
}

func orderly() remote.Config {
	return remote.Config{Buffer: 64 << 20, BufferAge: time.Minute, Handover: 10 * time.Second}
}

// Messages of a thousand clients go through a business process and back, in
// order, whatever becomes of the process.
func TestOrder(t *testing.T) {
	nothingLost := func(t *testing.T, h *host, c *crowd) {
		t.Helper()
		if lost := c.finish(); lost != 0 || h.rt.FailedSends() != 0 {
			t.Errorf("%d messages lost, %d counted; %+v", lost, h.rt.FailedSends(), h.rt.Stats())
		}
	}
	for name, inline := range map[string]bool{"inline": true, "workers": false} {
		t.Run("one process "+name, func(t *testing.T) {
			h := startTCP(t, orderly(), gateway.Config{Inline: inline})
			h.spawn()
			c := h.crowd()
			c.start()
			nothingLost(t, h, c)
		})
	}
	t.Run("a second registers, the first unregisters", func(t *testing.T) {
		h := startTCP(t, orderly(), gateway.Config{Inline: true})
		first := h.spawn()
		c := h.crowd()
		c.start()
		c.after(0.2)
		h.spawn()
		c.after(0.4)
		first.terminate()
		nothingLost(t, h, c)
	})
	t.Run("rolling restart", func(t *testing.T) {
		h := startTCP(t, orderly(), gateway.Config{Inline: true})
		p := h.spawn()
		c := h.crowd()
		c.start()
		for _, part := range []float64{0.2, 0.4, 0.6, 0.8} {
			c.after(part)
			p.terminate()
			p = h.spawn()
		}
		nothingLost(t, h, c)
	})
	t.Run("the first is killed", func(t *testing.T) {
		h := startTCP(t, orderly(), gateway.Config{Inline: true})
		first := h.spawn()
		c := h.crowd()
		c.start()
		c.after(0.2)
		h.spawn()
		c.after(0.4)
		must(t, first.Process.Kill())
		_ = first.Wait() // it says that it was killed
		lost := c.finish()
		s := h.rt.Stats()
		t.Logf("%d of %d messages lost, %d counted as failed or in doubt", lost, c.n*c.each, h.rt.FailedSends())
		if lost > h.rt.FailedSends() {
			t.Errorf("%d messages lost, only %d counted; %+v", lost, h.rt.FailedSends(), s)
		}
		if s.InDoubt > int64(4*window*c.n) { // under way, and not yet reported
			t.Errorf("%d in doubt with %d under way", s.InDoubt, window*c.n)
		}
	})
}

// Events are the same in process, through package business, and for a client
// that knows nothing of ours.
func TestDifferentialEvents(t *testing.T) {
	seen := make(map[string][]string)
	for _, kind := range []string{"in process", "SDK", "raw"} {
		t.Run(kind, func(t *testing.T) {
			events := make(chan string, 100)
			note := func(id string, e any) { events <- strings.ReplaceAll(fmt.Sprintf("%T%+v", e, e), id, "ID") }
			recorder := hooks.RouterFuncs{
				OnOpen: func(_ context.Context, _ hooks.Bus, e hooks.OpenEvent) {
					e.Path = "" // the wire does not have it
					note(e.UniqID, e)
				},
				OnMessage: func(_ context.Context, _ hooks.Bus, e hooks.MessageEvent) { note(e.UniqID, e) },
				OnClose: func(_ context.Context, _ hooks.Bus, e hooks.CloseEvent) {
					e.Code, e.Reason, e.Remote = 0, "", false // nor these
					note(e.UniqID, e)
				},
			}
			cfg := gateway.Config{}
			if kind == "in process" {
				cfg.Router = recorder
			}
			h := start(t, remote.Config{}, cfg)
			switch kind {
			case "SDK":
				h.serve(t, recorder)
			case "raw":
				w, _ := h.worker(allEvents)
				go w.record(recorder)
			}
			next := func() { // what one thing that a client does leads to
				t.Helper()
				select {
				case e := <-events:
					seen[kind] = append(seen[kind], e)
				case <-time.After(wait):
					t.Fatal("an event is missing")
				}
			}
			ctx := t.Context()
			a := h.connect("/ws?token=a%20b&c", map[string][]string{"X-Forwarded-For": {"192.0.2.1, 192.0.2.2"}, "X-Real-Ip": {"192.0.2.3"}})
			next()
			ids, err := h.UniqIDs(ctx)
			must(t, err)
			a.send("first")
			next()
			must(t, h.UpdateConnInfo(ctx, hooks.ConnInfoUpdate{UniqID: ids[0], NewSession: "session", NewCustomerID: "customer", NewTopics: []string{"topic"}}))
			a.send("~6YOt5rW35piO~") // is not for business
			must(t, a.WriteMessage(ws.BinaryMessage, []byte{0, 0xff, 1}))
			next()
			a.send("")
			next()
			must(t, h.ForceOffline(ctx, ids, nil))
			next()
			b := h.connect("/", nil)
			next()
			must(t, b.Close())
			next()
		})
	}
	for _, kind := range []string{"SDK", "raw"} {
		if fmt.Sprint(seen[kind]) != fmt.Sprint(seen["in process"]) {
			t.Errorf("%s:\n got %q\nwant %q", kind, seen[kind], seen["in process"])
		}
	}
}

// serve registers a Router of package business for the length of a test.
func (h *host) serve(t *testing.T, r hooks.Router) *business.Client {
	t.Helper()
	c, err := business.New(business.Config{
		Gateways: []business.Gateway{{Worker: h.rt.WorkerAddr().String(), Task: h.rt.TaskAddr().String()}}, Router: r,
	})
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		must(t, <-ended)
	})
	<-c.Ready()
	return c
}

package remote_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	peer "github.com/buexplain/netsvr-protocol-go/v6/netsvrProtocol"
	"google.golang.org/protobuf/proto"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/hooks/remote"
	"github.com/sluicegate/sluice/internal/await"
)

// event reads one event and describes it in a word: "open ID", "ID:data" or
// "close ID".
func (c *rawConn) event() string {
	c.t.Helper()
	cmd, body, err := c.next()
	must(c.t, err)
	switch cmd {
	case peer.Cmd_ConnOpen:
		var m peer.ConnOpen
		must(c.t, proto.Unmarshal(body, &m))
		return "open " + m.UniqId
	case peer.Cmd_ConnClose:
		var m peer.ConnClose
		must(c.t, proto.Unmarshal(body, &m))
		return "close " + m.UniqId
	case peer.Cmd_Transfer:
		var m peer.Transfer
		must(c.t, proto.Unmarshal(body, &m))
		return m.UniqId + ":" + string(m.Data)
	}
	c.t.Fatalf("unexpected command %v", cmd)
	return ""
}

func (c *rawConn) expectEvents(want ...string) {
	c.t.Helper()
	for _, w := range want {
		if got := c.event(); got != w {
			c.t.Fatalf("got event %q, want %q", got, w)
		}
	}
}

// expectNothing checks that a connection has been sent nothing: an answer comes
// first that was asked for just now.
func (c *rawConn) expectNothing() {
	c.t.Helper()
	c.send(peer.Cmd_Unregister, &peer.UnRegisterReq{ConnId: "nobody"})
	c.expect(peer.Cmd_Unregister, new(peer.UnRegisterResp))
}

func (c *rawConn) unregister(connID string) {
	c.t.Helper()
	c.send(peer.Cmd_Unregister, &peer.UnRegisterReq{ConnId: connID})
	c.expect(peer.Cmd_Unregister, new(peer.UnRegisterResp))
}

func (h *host) awaitForwarded(n int64) {
	h.t.Helper()
	await.Until(h.t, func() string {
		if got := h.routed(); got != n {
			return fmt.Sprintf("%d events forwarded, want %d", got, n)
		}
		return ""
	})
}

func buffered() remote.Config { return remote.Config{Buffer: 1 << 20, BufferAge: wait, Handover: wait} }

// A client's events stay with one process; new clients go to the one that has
// fewer.
func TestClientsKeepTheirProcess(t *testing.T) {
	h := start(t, remote.Config{}, gateway.Config{})
	first, _ := h.worker(allEvents)
	a, b := h.join(), h.join()
	first.expectEvents("open "+a.id, "open "+b.id)
	second, _ := h.worker(allEvents)
	c, d := h.join(), h.join()
	second.expectEvents("open "+c.id, "open "+d.id)
	e := h.join() // two and two: either will do
	for i := range 3 {
		for _, cl := range []*client{a, b, c, d} {
			cl.send(fmt.Sprint(i))
		}
		for range 2 {
			if who := first.event(); !strings.Contains(who+" ", a.id) && !strings.Contains(who, b.id) && !strings.Contains(who, e.id) {
				t.Errorf("the first process got %s", who)
			}
		}
	}
	must(t, a.Close())
	must(t, c.Close())
}

// While nobody is registered, events wait, in order.
func TestEventsWaitForAProcess(t *testing.T) {
	h := start(t, buffered(), gateway.Config{})
	a, b := h.join(), h.join()
	a.send("1")
	h.awaitForwarded(3)
	b.send("2")
	h.awaitForwarded(4)
	a.send("3")
	h.awaitForwarded(5)
	must(t, b.Close())
	h.awaitForwarded(6)
	await.Until(t, func() string {
		if s := h.rt.Stats(); s.Waiting != 6 || s.WaitingBytes < 6*64 {
			return fmt.Sprintf("%+v, want 6 waiting", s)
		}
		return ""
	})
	w, _ := h.worker(allEvents)
	w.expectEvents("open "+a.id, "open "+b.id, a.id+":1", b.id+":2", a.id+":3", "close "+b.id)
	a.send("4")
	w.expectEvents(a.id + ":4")
	if s := h.rt.Stats(); s.Waiting != 0 || s.WaitingBytes != 0 || h.rt.FailedSends() != 0 {
		t.Errorf("%+v", s)
	}
}

// Each kind of event waits for a process that wants it, and holds up no other.
func TestKindsWaitByThemselves(t *testing.T) {
	h := start(t, buffered(), gateway.Config{})
	a := h.join()
	a.send("1")
	messages, _ := h.worker(peer.Event_OnMessage)
	messages.expectEvents(a.id + ":1")
	a.send("2")
	messages.expectEvents(a.id + ":2")
	opens, _ := h.worker(peer.Event_OnOpen)
	opens.expectEvents("open " + a.id)
	must(t, a.Close())
	h.awaitForwarded(4)
	closes, _ := h.worker(peer.Event_OnClose)
	closes.expectEvents("close " + a.id)
}

// What waits too long, or is too much, is dropped and counted.
func TestBufferBounds(t *testing.T) {
	t.Run("off", func(t *testing.T) {
		h := start(t, remote.Config{}, gateway.Config{})
		a := h.join()
		a.send("1")
		await.Until(t, func() string {
			if s := h.rt.Stats(); s.DroppedUnclaimed != 2 {
				return fmt.Sprintf("%+v", s)
			}
			return ""
		})
		if h.Gateway.Stats().FailedSends != 2 {
			t.Errorf("the gateway counts %d failed sends", h.Gateway.Stats().FailedSends)
		}
		w, _ := h.worker(allEvents)
		a.send("2")
		w.expectEvents(a.id + ":2")
	})
	t.Run("age", func(t *testing.T) {
		h := start(t, remote.Config{Buffer: 1 << 20, BufferAge: 20 * time.Millisecond}, gateway.Config{})
		a := h.join()
		a.send("1")
		await.Until(t, func() string {
			if s := h.rt.Stats(); s.DroppedUnclaimed != 2 || s.Waiting != 0 || s.WaitingBytes != 0 {
				return fmt.Sprintf("%+v", s)
			}
			return ""
		})
		w, _ := h.worker(allEvents)
		a.send("2")
		w.expectEvents(a.id + ":2")
	})
	t.Run("bytes", func(t *testing.T) {
		h := start(t, remote.Config{Buffer: 1000, BufferAge: wait}, gateway.Config{})
		a := h.join()
		for i := range 10 {
			a.send(fmt.Sprint(i) + strings.Repeat("x", 100))
		}
		await.Until(t, func() string {
			s := h.rt.Stats()
			if s.DroppedFull+int64(s.Waiting) != 11 {
				return fmt.Sprintf("%+v", s)
			}
			return ""
		})
		s := h.rt.Stats()
		if s.WaitingBytes > 1000 || s.WaitingBytes < 700 || s.DroppedFull == 0 {
			t.Errorf("%+v", s)
		}
		w, _ := h.worker(allEvents)
		w.expectEvents("open " + a.id)
		for i := range s.Waiting - 1 {
			if got := w.event(); !strings.HasPrefix(got, a.id+":"+fmt.Sprint(i)) {
				t.Errorf("event %d is %.40q: it is the newest that are dropped", i, got)
			}
		}
	})
}

// The clients of a process that has unregistered wait until it has ended its
// connection, and then go on at another one.
func TestUnregisteredProcessFinishesFirst(t *testing.T) {
	h := start(t, buffered(), gateway.Config{})
	first, id := h.worker(allEvents)
	a := h.join()
	a.send("1")
	first.expectEvents("open "+a.id, a.id+":1")
	second, _ := h.worker(allEvents)
	first.unregister(id)
	a.send("2")
	h.awaitForwarded(3)
	first.expectNothing()
	second.expectNothing()
	b := h.join() // new clients need not wait
	second.expectEvents("open " + b.id)
	must(t, first.Close())
	second.expectEvents(a.id + ":2")
	a.send("3")
	second.expectEvents(a.id + ":3")
}

// A process that stays connected is waited for a bounded time.
func TestHandoverEnds(t *testing.T) {
	cfg := buffered()
	cfg.Handover = 50 * time.Millisecond
	h := start(t, cfg, gateway.Config{})
	first, id := h.worker(allEvents)
	a := h.join()
	first.expectEvents("open " + a.id)
	first.unregister(id)
	a.send("1")
	second, _ := h.worker(allEvents)
	second.expectEvents(a.id + ":1")
	first.expectNothing()
}

// A process that registers again gets its clients back.
func TestRegisterAgain(t *testing.T) {
	h := start(t, buffered(), gateway.Config{})
	first, id := h.worker(allEvents)
	a := h.join()
	first.expectEvents("open " + a.id)
	first.unregister(id)
	a.send("1")
	h.awaitForwarded(2)
	h.worker(allEvents)
	first.register(allEvents)
	first.expectEvents(a.id + ":1")
}

// What a process that died was never sent goes to another, before anything
// later.
func TestUnsentEventsMove(t *testing.T) {
	for name, inline := range map[string]bool{"workers": false, "inline": true} {
		t.Run(name, func(t *testing.T) {
			cfg := buffered()
			cfg.Queue, cfg.Buffer = 64<<20, 64<<20
			h := start(t, cfg, gateway.Config{Inline: inline, InboxLimit: 64 << 20})
			first, _ := h.worker(allEvents)
			a := h.join()
			first.expectEvents("open " + a.id)
			// It reads no more, and its socket fills.
			const n = 100
			large := strings.Repeat("x", 100<<10)
			for i := range n {
				a.send(fmt.Sprintf("%03d%s", i, large))
			}
			h.awaitForwarded(n + 1)
			second, _ := h.worker(allEvents)
			reset(first)
			a.send("last")
			var got []string
			for {
				e := strings.TrimPrefix(second.event(), a.id+":")
				if e == "last" {
					break
				}
				got = append(got, e[:3])
			}
			if len(got) == 0 || len(got) > n-1 || got[len(got)-1] != fmt.Sprintf("%03d", n-1) {
				t.Fatalf("the second process got %d events: %v", len(got), got)
			}
			for i, e := range got {
				if want := fmt.Sprintf("%03d", n-len(got)+i); e != want {
					t.Fatalf("event %d is %s, want %s", i, e, want)
				}
			}
			await.Until(t, func() string { // what is counted after it was written
				if s := h.rt.Stats(); s.Sent != int64(1+n+1) || s.Waiting != 0 || s.Queued != 0 {
					return fmt.Sprintf("%+v", s)
				}
				return ""
			})
		})
	}
}

// reset ends a connection the hard way, as a process that is killed with
// something unread does.
func reset(c *rawConn) {
	_ = c.Conn.(*net.TCPConn).SetLinger(0)
	_ = c.Close()
}

// A process that does not read fills its queue. On a loop what comes then goes
// to the buffer, and is dropped and counted when that is full; on workers the
// client's inbox fills instead.
func TestProcessThatDoesNotRead(t *testing.T) {
	const size, n = 64 << 10, 400
	flood := func(h *host) *client {
		a := h.join()
		for range n {
			if a.WriteMessage(2, make([]byte, size)) != nil {
				break // it was closed
			}
		}
		return a
	}
	cfg := buffered()
	cfg.Queue, cfg.Buffer = 1<<20, 1<<20
	t.Run("inline", func(t *testing.T) {
		h := start(t, cfg, gateway.Config{Inline: true})
		h.worker(allEvents)
		flood(h)
		h.awaitForwarded(n + 1)
		s := h.rt.Stats()
		if s.DroppedFull == 0 || s.Sent+int64(s.Queued)+int64(s.Waiting)+s.DroppedFull != n+1 || s.WaitingBytes > 1<<20 {
			t.Errorf("%+v", s)
		}
		b := h.join()
		b.send("still served")
	})
	t.Run("workers", func(t *testing.T) {
		h := start(t, cfg, gateway.Config{})
		w, _ := h.worker(allEvents)
		flood(h)
		await.Until(t, func() string {
			if h.Gateway.Stats().Drops[hooks.DropBacklog].Messages == 0 {
				return "the client was not closed"
			}
			return ""
		})
		if s := h.rt.Stats(); s.DroppedFull != 0 || s.Waiting != 0 {
			t.Errorf("%+v", s)
		}
		// It reads on, and gets everything that was taken, up to the close.
		for {
			if e := w.event(); strings.HasPrefix(e, "close ") {
				break
			}
		}
		await.Until(t, func() string {
			if s := h.rt.Stats(); s.Sent != h.Gateway.Stats().Events {
				return fmt.Sprintf("%d sent of %d events", s.Sent, h.Gateway.Stats().Events)
			}
			return ""
		})
	})
}

// A process that does not take what it is sent within the deadline is cut off.
func TestSendDeadline(t *testing.T) {
	cfg := buffered()
	cfg.Worker.SendDeadline = 50 * time.Millisecond
	cfg.Buffer = 64 << 20
	h := start(t, cfg, gateway.Config{Inline: true})
	h.worker(allEvents)
	a := h.join()
	for range 200 {
		must(t, a.WriteMessage(2, make([]byte, 64<<10)))
	}
	await.Until(t, func() string {
		if h.rt.Stats().Processes != 0 {
			return "the process is still registered"
		}
		return ""
	})
	if !strings.Contains(h.log.String(), "did not read") {
		t.Error("the log does not say why")
	}
}

func TestRoundRobin(t *testing.T) {
	cfg := buffered()
	cfg.Choice = remote.RoundRobin
	h := start(t, cfg, gateway.Config{})
	a := h.join()
	a.send("0")
	h.awaitForwarded(2)
	first, _ := h.worker(allEvents)
	first.expectEvents("open "+a.id, a.id+":0")
	second, _ := h.worker(allEvents)
	for i := range 4 {
		a.send(fmt.Sprint(i))
		h.awaitForwarded(int64(3 + i))
	}
	got := []string{first.event(), first.event(), second.event(), second.event()}
	slices.Sort(got)
	if want := []string{a.id + ":0", a.id + ":1", a.id + ":2", a.id + ":3"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// A Router that is shown messages only, as part of a mix, goes by the client's
// id and remembers nothing.
func TestMessagesOnly(t *testing.T) {
	rc := buffered()
	var h *host
	h = start(t, rc, gateway.Config{Router: hooks.ByMessage(func(hooks.MessageEvent) hooks.Router { return h.rt }, hooks.RouterFuncs{})})
	first, _ := h.worker(allEvents)
	second, _ := h.worker(allEvents)
	var clients []*client
	for range 8 {
		clients = append(clients, h.enlist())
	}
	total := 0
	events := make(chan string, 100)
	for name, w := range map[string]*rawConn{"first": first, "second": second} {
		go func() {
			for {
				cmd, body, err := w.next()
				if err != nil || cmd != peer.Cmd_Transfer {
					return
				}
				var m peer.Transfer
				_ = proto.Unmarshal(body, &m)
				events <- name + " " + m.UniqId
			}
		}()
	}
	seen := make(map[string]string)
	for range 5 {
		for _, c := range clients {
			c.send("x")
			total++
		}
	}
	for range total {
		select {
		case e := <-events:
			who, id, _ := strings.Cut(e, " ")
			if old, ok := seen[id]; ok && old != who {
				t.Fatalf("client %s went from the %s process to the %s", id, old, who)
			}
			seen[id] = who
		case <-time.After(wait):
			t.Fatal("events are missing")
		}
	}
	if n := remote.Known(h.rt); n != 0 {
		t.Errorf("%d clients are remembered", n)
	}
}

// Clients that are gone are forgotten, wherever their last event went.
func TestClientsAreForgotten(t *testing.T) {
	for name, cfg := range map[string]remote.Config{"buffer": buffered(), "no buffer": {}} {
		t.Run(name, func(t *testing.T) {
			h := start(t, cfg, gateway.Config{})
			leave := func(n int) {
				var cs []*client
				for range n {
					cs = append(cs, h.join())
				}
				for _, c := range cs {
					must(t, c.Close())
				}
				await.Until(t, func() string {
					if s := h.Stats(); s.Events != 2*s.Opened || s.Clients != 0 {
						return "the closes were not forwarded"
					}
					return ""
				})
			}
			leave(3) // nobody is registered
			w, id := h.worker(allEvents)
			leave(3)
			w.send(peer.Cmd_Unregister, &peer.UnRegisterReq{ConnId: id})
			leave(3)
			must(t, w.Close())
			last, _ := h.worker(allEvents)
			leave(3)
			await.Until(t, func() string {
				if n, s := remote.Known(h.rt), h.rt.Stats(); n != 0 || s.Waiting != 0 || s.WaitingBytes != 0 {
					return fmt.Sprintf("%d clients are remembered, %+v", n, s)
				}
				return ""
			})
			must(t, last.Close())
		})
	}
}

// A gateway that stops lets processes know of every client's end.
func TestStopSendsWhatWaits(t *testing.T) {
	h := start(t, buffered(), gateway.Config{})
	w, _ := h.worker(allEvents)
	a := h.join()
	a.send("1")
	w.expectEvents("open "+a.id, a.id+":1")
	stopped := make(chan error, 1)
	go func() { stopped <- h.stop() }()
	w.expectEvents("close " + a.id)
	w.expectEnd()
	must(t, w.Close())
	must(t, <-stopped)
	if s := h.rt.Stats(); s.Sent != 3 || h.rt.FailedSends() != 0 {
		t.Errorf("%+v", s)
	}
}

// What waits when the gateway stops is counted.
func TestStopCountsWhatIsLeft(t *testing.T) {
	h := start(t, buffered(), gateway.Config{})
	a := h.join()
	a.send("1")
	h.awaitForwarded(2)
	must(t, h.stop())
	if s := h.rt.Stats(); s.DroppedStopped != 3 || s.Waiting != 0 || s.WaitingBytes != 0 {
		t.Errorf("%+v", s)
	}
	h.rt.Message(context.Background(), h.Gateway, hooks.MessageEvent{UniqID: "late"})
	if s := h.rt.Stats(); s.DroppedStopped != 4 {
		t.Errorf("an event after the end: %+v", s)
	}
}

// record hands the events of a raw worker connection to a Router.
func (c *rawConn) record(r hooks.Router) {
	ctx := context.Background()
	for {
		cmd, body, err := c.next()
		if err != nil {
			return
		}
		switch cmd {
		case peer.Cmd_ConnOpen:
			var m peer.ConnOpen
			_ = proto.Unmarshal(body, &m)
			r.Open(ctx, nil, hooks.OpenEvent{
				UniqID: m.UniqId, RawQuery: m.RawQuery, XForwardedFor: m.XForwardedFor, XRealIP: m.XRealIp, RemoteAddr: m.RemoteAddr,
			})
		case peer.Cmd_Transfer:
			var m peer.Transfer
			_ = proto.Unmarshal(body, &m)
			r.Message(ctx, nil, hooks.MessageEvent{UniqID: m.UniqId, CustomerID: m.CustomerId, Session: m.Session, Topics: m.Topics, Data: m.Data})
		case peer.Cmd_ConnClose:
			var m peer.ConnClose
			_ = proto.Unmarshal(body, &m)
			r.Close(ctx, nil, hooks.CloseEvent{UniqID: m.UniqId, CustomerID: m.CustomerId, Session: m.Session, Topics: m.Topics})
		}
	}
}

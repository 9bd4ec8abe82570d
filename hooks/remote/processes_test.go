package remote_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	peer "github.com/buexplain/netsvr-protocol-go/v6/netsvrProtocol"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks/remote"
	"github.com/sluicegate/sluice/internal/await"
)

// A Router knows its processes: who they are, which clients they have, what waits.
func TestProcesses(t *testing.T) {
	h := start(t, buffered(), gateway.Config{})
	if all := h.rt.Processes(); len(all) != 0 {
		t.Errorf("before any has come: %+v", all)
	}
	first, id := h.worker(allEvents)
	a, b := h.join(), h.join()
	first.expectEvents("open "+a.id, "open "+b.id)
	second, _ := h.worker(peer.Event_OnMessage)
	a.send("1")
	first.expectEvents(a.id + ":1")
	processes := func(n int) []remote.ProcessInfo {
		t.Helper()
		all := h.rt.Processes()
		if len(all) != n {
			t.Fatalf("%d processes, want %d: %+v", len(all), n, all)
		}
		return all
	}
	// What a process has read can still be on the list for a moment.
	await.Until(t, func() string {
		if p := processes(2)[0]; p.QueuedEvents != 0 || p.QueuedBytes != 0 {
			return fmt.Sprintf("something waits: %+v", p)
		}
		return ""
	})
	all := processes(2)
	if p := all[0]; p.ConnID != id || p.RemoteAddr != first.LocalAddr().String() || !slices.Equal(p.Events, []string{"open", "message", "close"}) ||
		p.Clients != 2 || p.Leaving || p.Sent != 3 || time.Since(p.Since) > time.Minute {
		t.Errorf("the first is %+v", p)
	}
	if p := all[1]; p.RemoteAddr != second.LocalAddr().String() || !slices.Equal(p.Events, []string{"message"}) || p.Clients != 0 || p.Sent != 0 {
		t.Errorf("the second is %+v", p)
	}
	must(t, a.Close())
	first.expectEvents("close " + a.id)
	if p := processes(2)[0]; p.Clients != 1 {
		t.Errorf("with one client left it has %d", p.Clients)
	}

	// Its clients go to another, each counted once, whatever events it is for.
	third, _ := h.worker(allEvents)
	first.unregister(id)
	if p := processes(3)[0]; !p.Leaving {
		t.Errorf("it has unregistered: %+v", p)
	}
	must(t, first.Close())
	b.send("2")
	third.expectEvents(b.id + ":2")
	must(t, b.Close())
	third.expectEvents("close " + b.id)
	await.Until(t, func() string {
		for _, p := range processes(2) {
			if p.Clients != 0 {
				return fmt.Sprintf("without clients: %+v", p)
			}
		}
		return ""
	})
}

// What a process does not take waits, and is seen to.
func TestProcessQueue(t *testing.T) {
	h := start(t, remote.Config{Queue: 64 << 20}, gateway.Config{Inline: true, MaxMessage: 1 << 20})
	w, _ := h.worker(allEvents)
	c := h.join()
	w.expectEvents("open " + c.id)
	const size = 1 << 20
	for range 30 {
		c.send(strings.Repeat("x", size))
	}
	await.Until(t, func() string {
		p := h.rt.Processes()[0]
		if p.QueuedEvents == 0 || p.QueuedBytes < p.QueuedEvents*size || p.QueuedEvents != h.rt.Stats().Queued {
			return fmt.Sprintf("%+v", p)
		}
		return ""
	})
}

package remote_test

import (
	"strings"
	"testing"

	peer "github.com/buexplain/netsvr-protocol-go/v6/netsvrProtocol"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks/remote"
	"github.com/sluicegate/sluice/internal/await"
)

// awaitRecord waits for a record of an event that has all of texts.
func (h *host) awaitRecord(level, event string, texts ...string) {
	h.t.Helper()
	if strings.Contains(event, " ") {
		event = `"` + event + `"`
	}
	texts = append([]string{"level=" + level + " msg=" + event + " "}, texts...)
	await.Until(h.t, func() string {
	lines:
		for line := range strings.Lines(h.log.String()) {
			for _, text := range texts {
				if !strings.Contains(line, text) {
					continue lines
				}
			}
			return ""
		}
		return "no record has " + strings.Join(texts, ", ")
	})
}

// Who operates a gateway sees business processes come, leave and die.
func TestLogOfProcesses(t *testing.T) {
	h := start(t, remote.Config{}, gateway.Config{})
	task := dialRaw(t, h.rt.TaskAddr())
	h.awaitRecord("DEBUG", "business connection opened", "listener=task", "remoteAddr="+task.LocalAddr().String())
	_ = task.Close()
	h.awaitRecord("DEBUG", "business connection ended", "listener=task", "remoteAddr="+task.LocalAddr().String(), "error=EOF")

	leaves, id := h.worker(allEvents)
	addr := "remoteAddr=" + leaves.LocalAddr().String()
	h.awaitRecord("DEBUG", "business connection opened", "listener=worker", addr)
	h.awaitRecord("INFO", "business process registered", "connId="+id, addr, "wants=7", "suppressed=0")
	h.enlist()
	var open peer.ConnOpen
	leaves.expect(peer.Cmd_ConnOpen, &open)
	leaves.send(peer.Cmd_Unregister, &peer.UnRegisterReq{ConnId: id})
	leaves.expect(peer.Cmd_Unregister, new(peer.UnRegisterResp))
	h.awaitRecord("INFO", "business process unregistered", "connId="+id, addr)
	_ = leaves.Close()
	h.awaitRecord("INFO", "business process left", "connId="+id, addr, "error=EOF", "sent=1 unsent=0")

	dies, id := h.worker(allEvents)
	addr = "remoteAddr=" + dies.LocalAddr().String()
	_ = dies.Close()
	h.awaitRecord("WARN", "business process died", "connId="+id, addr, "error=EOF")
	if log := h.log.String(); strings.Count(log, "business process died") != 1 || strings.Count(log, "business process left") != 1 {
		t.Errorf("one has left, and another one died:\n%s", log)
	}
}

// A process that comes and goes all the time does not fill the log, nor does one
// that sends nonsense.
func TestLogOfProcessesIsSampled(t *testing.T) {
	h := start(t, remote.Config{}, gateway.Config{})
	const times = 150
	for range times {
		c, _ := h.worker(allEvents)
		_ = c.Close()
		h.await("gone", func() bool { return h.rt.Stats().Processes == 0 })
	}
	task := dialRaw(t, h.rt.TaskAddr())
	for range times {
		_, err := task.Write(packetOf(uint32(peer.Cmd_SingleCast), noMessage()))
		must(t, err)
	}
	h.await("malformed", func() bool { return h.rt.Stats().Malformed == times })
	for event, want := range map[string]struct{ least, most int }{
		"business process registered": {100, times - 10}, "business process died": {100, times - 10}, "command failed": {5, 20},
	} {
		if n := strings.Count(h.log.String(), event); n < want.least || n > want.most {
			t.Errorf("%d records of %q for %d times, want %d to %d", n, event, times, want.least, want.most)
		}
	}
}

// await waits until cond holds.
func (h *host) await(what string, cond func() bool) {
	h.t.Helper()
	await.Until(h.t, func() string {
		if cond() {
			return ""
		}
		return "not yet: " + what
	})
}

// What clients send to business processes, and these to clients, is in no record
// but those for debugging, and there only its beginning.
func TestLogHasNoBodies(t *testing.T) {
	const up, down = "marker-on-the-way-up", "marker-on-the-way-down"
	h := start(t, remote.Config{}, gateway.Config{})
	w, _ := h.worker(allEvents)
	c := h.connect("/?token="+up, nil)
	var open peer.ConnOpen
	w.expect(peer.Cmd_ConnOpen, &open)
	c.send(up + strings.Repeat("x", 64-len(up)) + up)
	var message peer.Transfer
	w.expect(peer.Cmd_Transfer, &message)
	if !strings.HasSuffix(string(message.Data), up) {
		t.Fatalf("the process got %q", message.Data)
	}
	task := dialRaw(t, h.rt.TaskAddr())
	task.send(peer.Cmd_SingleCast, &peer.SingleCast{UniqId: open.UniqId, Data: []byte(down)})
	c.expect(down)
	task.send(peer.Cmd_SingleCast, &peer.SingleCast{UniqId: "nobody", Data: []byte(down)})
	task.send(peer.Cmd_SingleCastBulk, &peer.SingleCastBulk{UniqIds: []string{open.UniqId, open.UniqId}, Data: [][]byte{[]byte(down)}})
	_, err := task.Write(packetOf(uint32(peer.Cmd_SingleCast), append(noMessage(), down...)))
	must(t, err)
	h.awaitRecord("WARN", "bulk command dropped")
	h.awaitRecord("WARN", "command failed", "command=SingleCast ")
	// Nobody is there for the rest: it is dropped.
	_ = w.Close()
	h.awaitRecord("WARN", "business process died")
	c.send("y" + up)
	h.awaitRecord("DEBUG", "message received", "data=y"+up)
	must(t, h.stop())

	seen := 0
	for line := range strings.Lines(h.log.String()) {
		if strings.Contains(line, down) {
			t.Errorf("what a process has sent is in the log: %s", line)
		}
		n := strings.Count(line, up)
		if n > 0 && !strings.Contains(line, `level=DEBUG msg="message received" `) || n > 1 {
			t.Errorf("what a client has sent is in the log: %s", line)
		}
		seen += n
	}
	if seen != 2 {
		t.Errorf("%d records have the beginnings of 2 messages", seen)
	}
}

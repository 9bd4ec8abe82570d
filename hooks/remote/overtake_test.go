package remote_test

import (
	"fmt"
	"strings"
	"testing"

	peer "github.com/buexplain/netsvr-protocol-go/v6/netsvrProtocol"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/internal/await"
)

// What a process that died has commanded is carried out before another process
// hears of its clients.
func TestCommandsOfTheDeadComeFirst(t *testing.T) {
	h := start(t, buffered(), gateway.Config{MailboxLimit: 64 << 20, WriteLimit: 64 << 20})
	first, _ := h.worker(allEvents)
	a := h.join()
	first.expectEvents("open " + a.id)
	second, _ := h.worker(allEvents)
	answered := make(chan struct{})
	go func() { // the second process answers what it hears of at once
		defer close(answered)
		second.expectEvents(a.id + ":hello")
		(&rawBus{c: dialRaw(t, h.rt.TaskAddr())}).c.send(peer.Cmd_SingleCast, &peer.SingleCast{UniqId: a.id, Data: []byte("new")})
	}()
	const n = 50_000
	var all []byte
	for i := range n {
		all = append(all, packet(peer.Cmd_SingleCast, &peer.SingleCast{UniqId: a.id, Data: fmt.Append(nil, "old ", i)})...)
	}
	old := dialRaw(t, h.rt.TaskAddr())
	read := make(chan error, 1)
	go func() {
		for i := range n {
			if got := a.read(); got != fmt.Sprint("old ", i) {
				read <- fmt.Errorf("got %q in the place of %d", got, i)
				return
			}
		}
		if got := a.read(); got != "new" {
			read <- fmt.Errorf("got %q last", got)
			return
		}
		read <- nil
	}()
	_, err := old.Write(all)
	must(t, err)
	reset(first)
	a.send("hello")
	must(t, <-read)
	<-answered
}

// Events that find no room in the queue of their process are not overtaken by
// smaller or later ones that do.
func TestNoRoomKeepsOrder(t *testing.T) {
	cfg := buffered()
	cfg.Queue, cfg.Buffer = 100<<10, 1<<30
	h := start(t, cfg, gateway.Config{Inline: true})
	w, _ := h.worker(allEvents)
	a := h.join()
	const n = 2000
	sizes := []int{70 << 10, 10, 40 << 10, 2000}
	sent := make(chan error, 1)
	go func() {
		for i := range n {
			text := fmt.Sprintf("%d %s", i, strings.Repeat("x", sizes[i%len(sizes)]))
			if err := a.WriteMessage(1, []byte(text)); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	// It begins to read when its socket is full and events wait.
	await.Until(t, func() string {
		if h.rt.Stats().Waiting < 100 {
			return "no events wait"
		}
		return ""
	})
	w.expectEvents("open " + a.id)
	for i := range n {
		if got := strings.TrimPrefix(w.event(), a.id+":"); !strings.HasPrefix(got, fmt.Sprint(i, " ")) {
			t.Fatalf("got %.20q in the place of %d", got, i)
		}
	}
	must(t, <-sent)
	if s := h.rt.Stats(); h.rt.FailedSends() != 0 || s.Waiting != 0 || s.WaitingBytes != 0 {
		t.Errorf("%+v", s)
	}
}

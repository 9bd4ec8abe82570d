package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/wsclient"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/websocket"
)

// testSlow covers clients that read slowly or not at all: contracts 4 and 5
// where they are hardest to keep.
func testSlow(t *testing.T, mk maker) {
	group(t, "slow readers", func(t *testing.T) {
		for _, c := range []struct {
			name string
			run  func(*testing.T, maker)
		}{
			{"one that reads nothing under a broadcast", deafAmongOthers},
			{"memory", deafMemory},
			{"one that reads steadily", steadyReader},
			{"one that stalls and resumes", stallAndResume},
			{"one that stalls and pings", stallAndPing},
			{"one that stalls and pings without end", stallAndFlood},
			{"one that stalls and is cut", stallAndCut},
			{"one that stalls for too long", stallsTooLong},
			{"dropping the newest", dropping(transport.SlowDropNewest)},
			{"dropping the oldest", dropping(transport.SlowDropOldest)},
			{"keeping the latest", latest},
			{"all together", memoryBudget},
		} {
			t.Run(c.name, func(t *testing.T) { c.run(t, mk) })
		}
	})
}

// block is the size of the messages that fill buffers.
const block = 64 << 10

// numbered is a message of size bytes that says its place in a sequence.
func numbered(i, size int) []byte {
	head := strconv.Itoa(i) + " "
	return append([]byte(head), bytes.Repeat([]byte{'x'}, size-len(head))...)
}

// numberOf is its place, or -1 if it is not whole.
func numberOf(data []byte, size int) int {
	head, _, _ := strings.Cut(string(data[:min(len(data), 20)]), " ")
	i, err := strconv.Atoi(head)
	if err != nil || len(data) != size || bytes.Trim(data[len(head)+1:], "x") != nil {
		return -1
	}
	return i
}

// deaf is a client that does not read, with as little room in its socket as the
// system allows.
func (s *scene) deaf() *peer {
	s.t.Helper()
	p := s.join()
	narrow(p.Conn.Conn)
	return p
}

// follow reads numbered messages until the connection ends, and returns how
// many came and what ended it. Each must follow the one before it.
func follow(p *peer, size int, each func(n int)) (n int, err error) {
	for {
		_, data, err := p.ReadMessage()
		if err != nil {
			return n, err
		}
		if got := numberOf(data, size); got != n {
			return n, fmt.Errorf("message %d came when %d was due (%d bytes)", got, n, len(data))
		}
		n++
		each(n)
	}
}

// deafAmongOthers: the client that reads nothing is closed with 1013 and
// counted, to the message; the others get everything, in time and in order.
func deafAmongOthers(t *testing.T, mk maker) {
	const others, size = 6, 32 << 10
	s := start(t, mk, gateway.Config{WriteLimit: 512 << 10})
	silent := s.deaf()
	arrived, errs := make(chan int, others), make(chan error, others)
	var peers []*peer
	for range others {
		p := s.join()
		peers = append(peers, p)
		go func() {
			_, err := follow(p, size, func(n int) { arrived <- n })
			errs <- err
		}()
	}
	sent := 0
	for s.Stats().Clients > others && sent < 2000 {
		must(t, s.Broadcast(t.Context(), numbered(sent, size)))
		sent++
		for range others {
			select {
			case n := <-arrived:
				if n != sent {
					t.Fatalf("somebody has %d messages when all must have %d", n, sent)
				}
			case err := <-errs:
				t.Fatalf("after %d messages: %v", sent, err)
			case <-time.After(patience):
				t.Fatalf("message %d did not reach everyone who reads", sent)
			}
		}
	}
	if s.Stats().Clients > others {
		t.Fatalf("the client was sent %d bytes it did not read, and is still there", sent*size)
	}
	// What the sockets held it can still read: the beginning, whole and in
	// order, and then why it ended.
	got, err := follow(silent, size, func(int) {})
	if ce := (*wsclient.CloseError)(nil); !errors.As(err, &ce) || ce.Code != websocket.CloseTryAgainLater || ce.Reason != "slow consumer" {
		t.Errorf("it ended with %v, want close 1013 \"slow consumer\"", err)
	}
	for _, p := range peers {
		must(t, p.WriteClose(websocket.CloseNormal, ""))
		if err := <-errs; !isClose(err, websocket.CloseNormal) {
			t.Error(err)
		}
	}
	s.settle()
	must(t, s.Stop())
	st := s.Stats()
	frame := int64(websocket.FrameSize(size))
	reached, each := int64(sent*others+got), int64(sent*(others+1))
	if st.MessagesOut != reached || st.BytesOut != reached*frame {
		t.Errorf("%d messages, %d bytes counted as written, want the %d that arrived, %d bytes", st.MessagesOut, st.BytesOut, reached, reached*frame)
	}
	// Once it is off the registry nothing is sent to it.
	if d := st.Drops[hooks.DropSlow]; total(st) != each || d.Messages == 0 || d.Bytes != d.Messages*frame {
		t.Errorf("written %d + dropped %+v, want %d together", st.MessagesOut, st.Drops, each)
	}
}

func isClose(err error, code int) bool {
	ce := (*wsclient.CloseError)(nil)
	return errors.As(err, &ce) && ce.Code == code
}

// deafMemory: what waits for clients that do not read is bounded by their
// limits, however much is sent.
func deafMemory(t *testing.T, mk maker) {
	const clients, limit = 12, 512 << 10
	// Besides its limit, a client may hold one write's worth, and a buffer.
	const bound = clients*(limit+4*block) + 8<<20
	s := start(t, mk, gateway.Config{WriteLimit: limit, MailboxLimit: 1 << 20})
	for range clients {
		s.deaf()
	}
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before, peak := heap(), int64(0)
	sent := 0
	for ; s.Stats().Clients > 0 && sent < 1000; sent++ {
		must(t, s.Broadcast(t.Context(), numbered(sent, block)))
		if sent%8 == 0 {
			peak = max(peak, heap()-before)
		}
	}
	if s.Stats().Clients > 0 {
		t.Fatalf("%d bytes to each, and clients that read none are still there", sent*block)
	}
	if peak > bound {
		t.Errorf("the heap grew by %d bytes for %d clients that do not read, want %d at most", peak, clients, bound)
	}
	t.Logf("%d MB to each of %d clients: the heap grew by %d kB", sent*block>>20, clients, peak>>10)
}

// steadyReader: a client may be as slow as it likes while what waits for it
// stays below its limit; it gets everything.
func steadyReader(t *testing.T, mk maker) {
	// What is under way is more than sockets hold, and what is sent in all is
	// more than may wait.
	const messages, window = 320, 128
	s := start(t, mk, gateway.Config{WriteLimit: 2 * window * block})
	p := s.deaf() // its small buffer is what makes it slow
	read, end := make(chan int, messages), make(chan error, 1)
	go func() {
		_, err := follow(p, block, func(n int) { read <- n })
		end <- err
	}()
	have := 0
	await := func(least int) {
		t.Helper()
		for have < least {
			select {
			case have = <-read:
			case err := <-end:
				t.Fatalf("after %d of %d messages: %v", have, messages, err)
			}
		}
	}
	for sent := range messages {
		await(sent - window)
		must(t, s.SingleCast(t.Context(), p.id, numbered(sent, block)))
	}
	await(messages)
	must(t, p.WriteClose(websocket.CloseNormal, ""))
	if err := <-end; !isClose(err, websocket.CloseNormal) {
		t.Error(err)
	}
	s.checkCounts(map[hooks.DropReason]int64{}, messages)
}

// checkCounts stops the gateway and checks that so many messages were written
// and so many dropped.
func (s *scene) checkCounts(drops map[hooks.DropReason]int64, written int64) {
	s.t.Helper()
	s.settle()
	must(s.t, s.Stop())
	st := s.Stats()
	if st.MessagesOut != written {
		s.t.Errorf("%d messages counted as written, want %d", st.MessagesOut, written)
	}
	for reason, d := range st.Drops {
		if d.Messages != drops[reason] {
			s.t.Errorf("%d messages dropped as %s, want %d", d.Messages, reason, drops[reason])
		}
	}
}

// stalled is how many blocks are more than sockets hold, so that a client which
// does not read has some of them waiting in the gateway.
const stalled = 160

// stall fills a deaf client's buffers without passing its limit. What waits is
// handed over by the mailbox's limit at the latest.
func (s *scene) stall() *peer {
	s.t.Helper()
	p := s.deaf()
	for i := range stalled {
		must(s.t, s.SingleCast(s.t.Context(), p.id, numbered(i, block)))
	}
	return p
}

// stallConfig has room for what stall sends.
func stallConfig() gateway.Config {
	return gateway.Config{WriteLimit: 2 * stalled * block, MailboxLimit: 1 << 20}
}

// stallAndResume: a client that reads again before its limit is passed has
// missed nothing.
func stallAndResume(t *testing.T, mk maker) {
	s := start(t, mk, stallConfig())
	p := s.stall()
	last := make(chan struct{})
	end := make(chan error, 1)
	go func() {
		_, err := follow(p, block, func(n int) {
			if n == stalled+1 {
				close(last)
			}
		})
		end <- err
	}()
	// One more, while the rest is on its way.
	must(t, s.SingleCast(t.Context(), p.id, numbered(stalled, block)))
	select {
	case <-last:
	case err := <-end:
		t.Fatal(err)
	}
	must(t, p.WriteClose(websocket.CloseNormal, ""))
	if err := <-end; !isClose(err, websocket.CloseNormal) {
		t.Error(err)
	}
	s.checkCounts(map[hooks.DropReason]int64{}, stalled+1)
}

// stallAndPing: a client that does not read is read from all the same, and its
// pings are answered when it reads again. (RFC 6455 5.5.2: as soon as is
// practical; one answer may do for several.)
func stallAndPing(t *testing.T, mk maker) {
	const pings = 3
	s := start(t, mk, stallConfig())
	p := s.stall()
	for i := range pings {
		must(t, p.WriteMessage(websocket.OpPing, []byte{byte(i)}))
	}
	s.Eventually("the pings are heard", func() bool { return s.Stats().Heartbeats == pings })
	p.send("a message") // echoed behind what waits
	next, ponged := 0, false
	for next < stalled+1 || !ponged {
		f, err := p.ReadFrame()
		must(t, err)
		switch {
		case f.Op == websocket.OpPong:
			ponged = ponged || bytes.Equal(f.Data, []byte{pings - 1})
			continue
		case next < stalled && numberOf(f.Data, block) != next, next == stalled && string(f.Data) != "a message":
			t.Fatalf("%.20q came when message %d was due", f.Data, next)
		}
		next++
	}
	p.leave()
	s.checkCounts(map[hooks.DropReason]int64{}, stalled+1)
}

// stallAndFlood: answers to pings wait like messages, and are bounded like
// them.
func stallAndFlood(t *testing.T, mk maker) {
	s := start(t, mk, gateway.Config{WriteLimit: 256 << 10})
	p, other := s.deaf(), s.join()
	ping := wsclient.AppendFrame(nil, wsclient.Frame{Fin: true, Op: websocket.OpPing, Data: bytes.Repeat([]byte{'p'}, 125)}, [4]byte{1, 2, 3, 4})
	pings := bytes.Repeat(ping, 500)
	var flooding sync.WaitGroup
	flooding.Go(func() {
		for {
			if _, err := p.Write(pings); err != nil {
				return
			}
		}
	})
	s.awaitClients(1)
	other.echoes("still served")
	_ = p.Close()
	flooding.Wait()
	other.leave()
	s.checkCounts(map[hooks.DropReason]int64{}, 1)
}

// stallAndCut: what waits for a client that is lost is counted, to the message,
// and so is what comes too late for it.
func stallAndCut(t *testing.T, mk maker) {
	const late = 5
	s := start(t, mk, stallConfig())
	p := s.stall()
	_ = p.Close()
	s.awaitClients(0)
	for range late {
		must(t, s.SingleCast(t.Context(), p.id, []byte("too late")))
	}
	s.settle()
	must(t, s.Stop())
	st := s.Stats()
	if lost := st.Drops[hooks.DropFailed].Messages + st.Drops[hooks.DropClosed].Messages; lost == 0 || lost+st.MessagesOut != stalled {
		t.Errorf("written %d + lost %d, want %d together", st.MessagesOut, lost, stalled)
	}
	if n := st.Drops[hooks.DropUnknown].Messages; n != late || total(st) != stalled+late {
		t.Errorf("written %d, dropped %+v, want %d in all, %d of them for nobody", st.MessagesOut, st.Drops, stalled+late, late)
	}
}

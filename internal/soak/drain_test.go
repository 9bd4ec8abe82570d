package soak

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/transport/websocket"
)

// 5,000 clients are sent away over 5 seconds: the closes are spread, every client
// sees the code, and nothing that was queued is lost.
func TestDrain(t *testing.T) {
	const clients, over, queued, parts = 5000, 5 * time.Second, 20, 10
	gw, stop := start(t, gateway.Config{DrainTime: over, HandshakeTimeout: patience})
	type end struct {
		at       time.Time
		messages int
		err      error
	}
	ends := make([]end, clients)
	var reading sync.WaitGroup
	for i := range clients {
		c, err := connect(gw, "/")
		if err != nil {
			t.Fatal(err)
		}
		reading.Go(func() {
			defer c.Close()
			for e := &ends[i]; ; e.messages++ {
				_, data, err := c.ReadMessage()
				if err != nil {
					e.at, e.err = time.Now(), err
					_ = c.WriteClose(websocket.CloseServiceRestart, "")
					return
				}
				if got, _, _ := bytes.Cut(data, []byte(" ")); string(got) != strconv.Itoa(e.messages) {
					e.err = fmt.Errorf("message %q came when %d was due", got, e.messages)
					return
				}
			}
		})
	}
	for gw.Stats().Clients < clients {
		time.Sleep(time.Millisecond)
	}
	for i := range queued {
		// Most of it is on its way out, or out, when the drain begins, and some is
		// not.
		for i == queued-2 && gw.Stats().MessagesOut < int64(i*clients) {
			time.Sleep(time.Millisecond)
		}
		message := append(strconv.AppendInt(nil, int64(i), 10), bytes.Repeat([]byte(" x"), 500)...)
		if err := gw.Broadcast(t.Context(), message); err != nil {
			t.Fatal(err)
		}
	}
	begin := time.Now()
	if err := gw.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	took := time.Since(begin)
	reading.Wait()
	if err := stop(); err != nil {
		t.Fatal(err)
	}

	var spread [parts]int
	for _, e := range ends {
		if closeCode(e.err) != websocket.CloseServiceRestart || e.messages != queued {
			t.Fatalf("a client got %d of %d messages and ended with %v", e.messages, queued, e.err)
		}
		spread[min(parts-1, int(e.at.Sub(begin)*parts/over))]++
	}
	t.Logf("%d clients in %v; closes in each tenth of %v: %v", clients, took.Round(time.Millisecond), over, spread)
	// Each client has its time. None is sent away before; a machine that is busy
	// elsewhere may be late with all of them.
	slices.SortFunc(ends, func(a, b end) int { return a.at.Compare(b.at) })
	for i, e := range ends {
		due := over * time.Duration(i) / clients
		if late := e.at.Sub(begin) - due; late < -over/50 || late > over/5 {
			t.Errorf("client %d of %d was closed after %v, %v after its time: %v in each tenth of the time",
				i, clients, e.at.Sub(begin).Round(time.Millisecond), late.Round(time.Millisecond), spread)
			break
		}
	}
	if took < over*9/10 || took > over+5*time.Second {
		t.Errorf("it took %v", took)
	}
	s := gw.Stats()
	if s.MessagesOut != clients*queued || s.Closed != clients {
		t.Errorf("%d messages written, %d clients closed: %+v", s.MessagesOut, s.Closed, s)
	}
	for reason, d := range s.Drops {
		if d != (gateway.DropCount{}) {
			t.Errorf("dropped as %s: %+v", reason, d)
		}
	}
}

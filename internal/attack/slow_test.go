//go:build unix

package attack

import (
	"fmt"
	"sync"
	"testing"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/await"
	"github.com/sluicegate/sluice/internal/wsclient"
	"github.com/sluicegate/sluice/transport/websocket"
)

// slowConsumer and slowReason are what a client is closed with that does not read.
const (
	slowConsumer = websocket.CloseTryAgainLater
	slowReason   = "slow consumer"
)

// A thousand readers stall under a broadcast. What waits for them are shared
// frames; each is closed when its limit is passed, and every message for each of
// them is counted, written or dropped. Those who read miss nothing and do not wait.
func TestStalledReaders(t *testing.T) {
	n := scaled(1000, 4)
	const limit, size, most, window = 512 << 10, 4 << 10, 4000, 8
	s := serve(t, gateway.Config{WriteLimit: limit}, nil)
	a := s.attack("stalled readers", n)
	message := make([]byte, size)
	for i := range message {
		message[i] = 'b'
	}
	sent := 0
	// Each frame is there once. For each client there is one write's worth in
	// the engine, which is 64 KiB and what a merged frame goes beyond that, in a
	// buffer that grew to a power of two and left smaller ones behind, and a list of
	// pointers, which may have grown to twice its length. Their ends are events,
	// for which workers come.
	const write, pointers = 256 << 10, limit / size * 8 * 2
	s.during("broadcast", bound{heap: int64(n)*(write+pointers) + 2*limit + 1<<20, goroutines: n}, func() {
		a.word()
		if got := a.count("stalled"); got != n {
			t.Fatalf("%d clients, want %d", got, n)
		}
		for ; s.Stats().Clients > witnessCount && sent < most; sent++ {
			must(t, s.Broadcast(t.Context(), message))
			// Not faster than those who read, and few ahead of them: an answer
			// waits behind what was sent before it, to a thousand clients each
			// time, and it is those who do not read that are to be no burden.
			await.Until(t, func() string {
				if got := s.watch.others(); got < (sent-window)*witnessCount {
					return fmt.Sprintf("the witnesses got %d of %d messages", got, sent*witnessCount)
				}
				return ""
			})
		}
		a.word() // it may read now, to see how it ended
	})
	if got := s.log.of(slowConsumer, slowReason); got != n {
		t.Errorf("%d of %d were closed as slow consumers after %d messages of %d bytes", got, n, sent, size)
	}
	// Sockets hold some more, and the last of the thousand is a few broadcasts late.
	if sent*size > 2*limit+window*size {
		t.Errorf("it took %d KiB to close all of them, each may have %d KiB waiting", sent*size>>10, limit>>10)
	}
	saw := a.count("told why")
	t.Logf("%d broadcasts; %d of %d saw the close frame in time", sent, saw, n)
	if d := s.Stats().Drops[hooks.DropSlow].Messages; d < int64(n)*limit/(2*size) {
		t.Errorf("%d messages counted as dropped, each of %d clients had %d waiting", d, n, limit/size)
	}
	await.Until(t, func() string {
		if got := s.watch.others(); got != sent*witnessCount {
			return fmt.Sprintf("the witnesses got %d of %d messages", got, sent*witnessCount)
		}
		return ""
	})
	s.over(a)
}

func stalledReaders(a *assault) error {
	conns := make([]*wsclient.Conn, a.n)
	if err := a.each(a.n, 50, func(i int) (err error) {
		conns[i], err = a.open(wsclient.Request{}, narrow)
		return err
	}); err != nil {
		return err
	}
	a.say("stalled", a.n)
	if err := a.await(); err != nil {
		return err
	}
	var told tallyOf
	var readers sync.WaitGroup
	for _, c := range conns {
		readers.Go(func() {
			told.add(closeCode(c))
			drop(c)
		})
	}
	readers.Wait()
	a.say("told why", told.of(slowConsumer))
	_ = told.of(websocket.CloseAbnormal)
	return told.rest()
}

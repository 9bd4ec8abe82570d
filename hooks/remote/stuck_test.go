package remote

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/sluicegate/sluice/internal/await"
	"github.com/sluicegate/sluice/protocol"
)

// However close a worker connection's last write and the next question come, it
// ends: who waits for room in its queue learns that there will be none.
func TestWorkerThatNeverReadsEnds(t *testing.T) {
	cfg := Config{Worker: Listener{Addr: "127.0.0.1:0", SendDeadline: time.Millisecond}, Queue: 64, Logger: slog.New(slog.DiscardHandler)}
	r, err := Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Discard() }()
	ask, err := protocol.AppendPacket(nil, protocol.Cmd_Unregister, nil)
	if err != nil {
		t.Fatal(err)
	}
	var crowd sync.WaitGroup
	defer crowd.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range 2 { // who wants the lock has it between any two others
		crowd.Go(func() {
			for ctx.Err() == nil {
				r.Stats()
			}
		})
	}
	asks := bytes.Repeat(ask, 100)
	for range 300 {
		peer, conn := net.Pipe() // it holds nothing, so that the first answer is stuck
		var err error
		if !r.addWorker(conn, false) {
			t.Fatal("it was turned away")
		}
		for err == nil { // until it is cut off
			_, err = peer.Write(asks)
		}
		await.Until(t, func() string {
			r.mu.Lock()
			defer r.mu.Unlock()
			if len(r.workers) != 0 {
				return "the connection has not ended"
			}
			return ""
		})
	}
}

package remote

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sluicegate/sluice/hooks"
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

// What a process was not sent that has unregistered, and ends its connection only
// when its clients have long gone to another, goes there at once.
func TestUnsentAfterHandover(t *testing.T) {
	cfg := Config{Worker: Listener{Addr: "127.0.0.1:0", SendDeadline: time.Hour}, Buffer: 1 << 20, BufferAge: time.Hour, Handover: time.Millisecond, Logger: slog.New(slog.DiscardHandler)}
	r, err := Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Discard() }()
	register := func() (peer net.Conn, rd *protocol.Reader) {
		peer, conn := net.Pipe()
		if !r.addWorker(conn, false) {
			t.Fatal("it was turned away")
		}
		ask, err := protocol.AppendPacket(nil, protocol.Cmd_Register, &protocol.RegisterReq{Events: knownEvents})
		if err == nil {
			_, err = peer.Write(ask)
		}
		rd = protocol.NewReader(peer, 1<<20, nil)
		if err == nil {
			_, err = rd.Next()
		}
		if err != nil {
			t.Fatal(err)
		}
		return peer, rd
	}
	first, _ := register()
	r.Open(t.Context(), nil, hooks.OpenEvent{UniqID: "x"})
	r.mu.Lock()
	p := r.active[0]
	connID := p.connID
	r.mu.Unlock()
	bye, err := protocol.AppendPacket(nil, protocol.Cmd_Unregister, &protocol.UnregisterReq{ConnId: connID})
	if err == nil {
		_, err = first.Write(bye)
	}
	if err != nil {
		t.Fatal(err)
	}
	second, rd := register()
	defer second.Close()
	await.Until(t, func() string {
		r.mu.Lock()
		defer r.mu.Unlock()
		if p.state != gone {
			return "its clients wait for it"
		}
		return ""
	})
	_ = first.Close()
	_ = second.SetReadDeadline(time.Now().Add(await.Patience))
	if got, err := rd.Next(); err != nil || got.Cmd != protocol.Cmd_ConnOpen {
		t.Fatalf("the second process got command %v, %v", got.Cmd, err)
	}
	_ = second.Close()
	r.serving.Wait()
	r.chores.Wait()
}

// curious is a log handler that asks the Router that it hears from.
type curious struct {
	slog.Handler
	r    **Router
	seen *[]string
}

func (c curious) Enabled(context.Context, slog.Level) bool { return true }

func (c curious) Handle(_ context.Context, rec slog.Record) error {
	_ = (*c.r).Stats()
	*c.seen = append(*c.seen, rec.Message)
	return nil
}

// Whoever writes the log may ask the Router, and be slow: nothing of it waits.
func TestLogMayAsk(t *testing.T) {
	var r *Router
	var seen []string
	done := make(chan struct{})
	go func() {
		defer close(done)
		r, _ = Listen(Config{Worker: Listener{Addr: "127.0.0.1:0"}, Logger: slog.New(curious{slog.DiscardHandler, &r, &seen})})
		peer, conn := net.Pipe()
		_ = r.addWorker(conn, false)
		rd := protocol.NewReader(peer, 1<<20, nil)
		ask, _ := protocol.AppendPacket(nil, protocol.Cmd_Register, &protocol.RegisterReq{Events: knownEvents})
		_, _ = peer.Write(ask)
		p, _ := rd.Next()
		var resp protocol.RegisterResp
		_ = p.Unmarshal(&resp)
		ask, _ = protocol.AppendPacket(nil, protocol.Cmd_Unregister, &protocol.UnregisterReq{ConnId: resp.GetConnId()})
		_, _ = peer.Write(ask)
		_, _ = rd.Next()
		_ = peer.Close()
		r.serving.Wait()
		r.chores.Wait()
		_ = r.Discard()
	}()
	select {
	case <-done:
	case <-time.After(await.Patience):
		t.Fatal("the Router waits for its log")
	}
	if want := []string{"business connection opened", "business process registered", "business process unregistered",
		"business connection ended", "business process left"}; !slices.Equal(seen, want) {
		t.Errorf("the log has %q, want %q", seen, want)
	}
}

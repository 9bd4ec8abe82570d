package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/transport/websocket"
)

// jam is a gateway whose loop stands still while a test wants it to: its Router
// breaks the promise that Inline asks for.
type jam struct {
	*host
	held, release chan struct{}
}

func newJam(t *testing.T, cfg gateway.Config) *jam {
	j := &jam{held: make(chan struct{}), release: make(chan struct{})}
	r := greeter()
	r.OnMessage = func(context.Context, hooks.Bus, hooks.MessageEvent) {
		j.held <- struct{}{}
		<-j.release
	}
	cfg.Router, cfg.Inline = r, true
	j.host, _ = startPipe(t, cfg)
	return j
}

// A command waits for room in an overloaded loop's mailbox, as long as its
// context and the gateway allow; then its message is dropped and counted. What
// was taken arrives, in order.
func TestOverload(t *testing.T) {
	j := newJam(t, gateway.Config{MailboxLimit: 4 << 10, OverloadWait: 20 * time.Millisecond})
	c := j.join()
	c.send("hold")
	<-j.held
	var taken []string
	fill := func() error {
		m := fmt.Sprint(len(taken))
		err := j.SingleCast(t.Context(), c.id, []byte(m+strings.Repeat(" ", 200)))
		if err == nil {
			taken = append(taken, m)
		}
		return err
	}
	var err error
	for err == nil && len(taken) < 1000 {
		err = fill()
	}
	if !errors.Is(err, hooks.ErrOverloaded) || len(taken) == 0 {
		t.Fatalf("after %d messages: %v", len(taken), err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := j.SingleCast(ctx, c.id, msg("impatient")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with an impatient context: %v", err)
	}
	if d := j.Stats().Drops[hooks.DropOverload]; d.Messages != 2 {
		t.Errorf("counted %+v, want 2 messages", d)
	}
	// Taking somebody offline does not fail for want of room: only the
	// farewell may.
	other, _ := j.UniqIDs(t.Context())
	if err := j.ForceOffline(t.Context(), other, msg("bye")); !errors.Is(err, hooks.ErrOverloaded) {
		t.Errorf("ForceOffline: %v", err)
	}
	close(j.release)
	var got []string
	for _, m := range c.expectClose(1008, "forceOffline") {
		got = append(got, strings.TrimSpace(m))
	}
	if !slices.Equal(got, taken) {
		t.Errorf("got %q, want what was taken: %q", got, taken)
	}
}

// A command that waits goes on when the loop does.
func TestOverloadPasses(t *testing.T) {
	j := newJam(t, gateway.Config{MailboxLimit: 4 << 10, OverloadWait: wait})
	c := j.join()
	c.send("hold")
	<-j.held
	const n = 100
	done := make(chan error, 1)
	go func() {
		var err error
		for i := range n {
			err = errors.Join(err, j.SingleCast(context.Background(), c.id, fmt.Appendf(nil, "%d%200s", i, "")))
		}
		done <- err
	}()
	close(j.release)
	for i := range n {
		if got := strings.TrimSpace(c.read()); got != fmt.Sprint(i) {
			t.Fatalf("message %d is %q", i, got)
		}
	}
	must(t, <-done)
}

// A handler on the loop itself is never made to wait for that loop.
func TestOverloadInline(t *testing.T) {
	result := make(chan error, 1)
	r := greeter()
	r.OnMessage = func(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
		var err error
		for i := 0; i < 10_000 && err == nil; i++ {
			err = bus.SingleCast(ctx, e.UniqID, make([]byte, 100))
		}
		result <- err
	}
	g, _ := startPipe(t, gateway.Config{Router: r, Inline: true, MailboxLimit: 4 << 10, OverloadWait: time.Hour})
	c := g.join()
	c.send("go")
	select {
	case err := <-result:
		if !errors.Is(err, hooks.ErrOverloaded) {
			t.Errorf("error %v", err)
		}
	case <-time.After(wait):
		t.Fatal("the loop waits for itself")
	}
}

// Delayed commands are bounded in number.
func TestGuestTimersAreBounded(t *testing.T) {
	g, _ := startPipe(t, gateway.Config{Router: greeter()})
	ids := slices.Repeat([]string{g.join().id}, 1<<16)
	must(t, g.ForceOfflineGuest(t.Context(), ids, time.Hour, nil))
	if err := g.ForceOfflineGuest(t.Context(), ids[:1], time.Hour, nil); !errors.Is(err, hooks.ErrOverloaded) {
		t.Errorf("one more: %v", err)
	}
}

// Clients with and without compression get the same messages, also when many
// are merged into one frame.
func TestCompressionOfMergedMessages(t *testing.T) {
	j := newJam(t, gateway.Config{Compression: 6, CompressionMin: 64})
	plain := j.join()
	d := j.dialer()
	d.EnableCompression = true
	conn, resp, err := d.Dial("ws://gateway.test/ws", nil)
	must(t, err)
	if !strings.Contains(resp.Header.Get("Sec-Websocket-Extensions"), "permessage-deflate") {
		t.Fatalf("compression was not agreed on: %v", resp.Header)
	}
	small := &client{Conn: conn, t: t}
	small.id = small.read()

	plain.send("hold")
	<-j.held
	var want []string
	before, plainBytes := j.Stats().BytesOut, 0
	for i := range 50 {
		m := fmt.Sprintf("%d ", i)
		if i%3 > 0 { // some are too short to be compressed
			m += strings.Repeat("compressible ", 20)
		}
		want = append(want, m)
		plainBytes += websocket.FrameSize(len(m))
		must(t, j.Broadcast(t.Context(), []byte(m)))
	}
	close(j.release)
	plain.expect(want...)
	small.expect(want...)
	must(t, j.stop())
	if sent := int(j.Stats().BytesOut - before); sent > plainBytes*3/2 {
		t.Errorf("%d bytes were written for twice %d: nothing was compressed", sent, plainBytes)
	}
}

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
	"github.com/sluicegate/sluice/gateway/gatewaytest"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/transport/websocket"
)

// A command waits for room in an overloaded loop's mailbox, as long as its
// context and the gateway allow; then its message is dropped and counted. What
// was taken arrives, in order.
func TestOverload(t *testing.T) {
	gw := gatewaytest.New(t, gateway.Config{MailboxLimit: 4 << 10, OverloadWait: 20 * time.Millisecond})
	c := gw.Connect("/")
	id, thaw := c.ID(), gw.Freeze()
	var taken []string
	var err error
	for err == nil && len(taken) < 1000 {
		m := fmt.Sprintf("%-200d", len(taken))
		if err = gw.SingleCast(t.Context(), id, []byte(m)); err == nil {
			taken = append(taken, m)
		}
	}
	if !errors.Is(err, hooks.ErrOverloaded) || len(taken) == 0 {
		t.Fatalf("after %d messages: %v", len(taken), err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := gw.SingleCast(ctx, id, msg("impatient")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with an impatient context: %v", err)
	}
	if d := gw.Stats().Drops[hooks.DropOverload]; d.Messages != 2 {
		t.Errorf("counted %+v, want 2 messages", d)
	}
	// Taking somebody offline does not fail for want of room: only the
	// farewell may.
	if err := gw.ForceOffline(t.Context(), []string{id}, msg("bye")); !errors.Is(err, hooks.ErrOverloaded) {
		t.Errorf("ForceOffline: %v", err)
	}
	thaw()
	if got := c.ExpectClose(1008, "forceOffline"); !slices.Equal(got, taken) {
		t.Errorf("got %q, want what was taken: %q", got, taken)
	}
}

// A command that waits goes on when the loop does.
func TestOverloadPasses(t *testing.T) {
	gw := gatewaytest.New(t, gateway.Config{MailboxLimit: 4 << 10, OverloadWait: wait})
	c := gw.Connect("/")
	id, thaw := c.ID(), gw.Freeze()
	const n = 100
	done := make(chan error, 1)
	go func() {
		var err error
		for i := range n {
			err = errors.Join(err, gw.SingleCast(context.Background(), id, fmt.Appendf(nil, "%-200d", i)))
		}
		done <- err
	}()
	thaw()
	for i := range n {
		c.Expect(fmt.Sprintf("%-200d", i))
	}
	must(t, <-done)
}

// A command of many parts waits once for a loop that is held up, not once for each.
func TestOverloadWaitsOnce(t *testing.T) {
	const parts, each = 100, 50 * time.Millisecond
	gw := gatewaytest.New(t, gateway.Config{MailboxLimit: 4 << 10, OverloadWait: each})
	c := gw.Connect("/")
	id := c.ID()
	must(t, gw.Subscribe(t.Context(), id, []string{"t"}, nil))
	gw.Settle()
	thaw := gw.Freeze()
	defer thaw()
	for gw.SingleCast(t.Context(), id, make([]byte, 1000)) == nil {
	}
	data, topics := make([][]byte, parts), make([]string, parts)
	for i := range data {
		data[i], topics[i] = make([]byte, 1000), "t"
	}
	for name, command := range map[string]func() error{
		"SingleCastBulk": func() error { return gw.SingleCastBulk(t.Context(), []string{id}, data) },
		"PublishBulk":    func() error { return gw.PublishBulk(t.Context(), []string{"t"}, data) },
		"Publish":        func() error { return gw.Publish(t.Context(), topics, data[0]) },
	} {
		before, begun := gw.Stats().Drops[hooks.DropOverload].Messages, time.Now()
		if err := command(); !errors.Is(err, hooks.ErrOverloaded) {
			t.Errorf("%s: %v", name, err)
		}
		if took := time.Since(begun); took < each || took > parts*each/2 {
			t.Errorf("%s waited for %v", name, took)
		}
		if n := gw.Stats().Drops[hooks.DropOverload].Messages - before; n != parts {
			t.Errorf("%s: %d messages are counted as dropped, want %d", name, n, parts)
		}
	}
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

// Delayed commands are bounded in number, and make room for others when their
// time has come.
func TestGuestTimersAreBounded(t *testing.T) {
	gw := gatewaytest.New(t, gateway.Config{})
	ids := slices.Repeat([]string{gw.Connect("/").ID()}, 1<<16)
	must(t, gw.ForceOfflineGuest(t.Context(), ids[1:], time.Hour, nil))
	must(t, gw.ForceOfflineGuest(t.Context(), ids[:1], time.Minute, nil))
	other := gw.Connect("/").ID()
	if err := gw.ForceOfflineGuest(t.Context(), []string{other}, time.Hour, nil); !errors.Is(err, hooks.ErrOverloaded) {
		t.Errorf("one more: %v", err)
	}
	gw.Advance(time.Minute)
	must(t, gw.ForceOfflineGuest(t.Context(), []string{other}, time.Hour, nil))
}

// Clients with and without compression get the same messages, also when many
// are merged into one frame.
func TestCompressionOfMergedMessages(t *testing.T) {
	g, p := startPipe(t, gateway.Config{Router: greeter(), Compression: 6, CompressionMin: 64})
	plain := g.join()
	d := g.dialer()
	d.EnableCompression = true
	conn, resp, err := d.Dial("ws://gateway.test/ws", nil)
	must(t, err)
	if !strings.Contains(resp.Header.Get("Sec-Websocket-Extensions"), "permessage-deflate") {
		t.Fatalf("compression was not agreed on: %v", resp.Header)
	}
	small := &client{Conn: conn, t: t}
	small.id = small.read()

	thaw := p.Freeze()
	var want []string
	before, plainBytes := g.Stats().BytesOut, 0
	for i := range 50 {
		m := fmt.Sprintf("%d ", i)
		if i%3 > 0 { // some are too short to be compressed
			m += strings.Repeat("compressible ", 20)
		}
		want = append(want, m)
		plainBytes += websocket.FrameSize(len(m))
		must(t, g.Broadcast(t.Context(), []byte(m)))
	}
	thaw()
	plain.expect(want...)
	small.expect(want...)
	must(t, g.stop())
	if sent := int(g.Stats().BytesOut - before); sent > plainBytes*3/2 {
		t.Errorf("%d bytes were written for twice %d: nothing was compressed", sent, plainBytes)
	}
}

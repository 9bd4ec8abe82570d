package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/protocol"
)

// bareBus does nothing of what it is told.
type bareBus struct{ hooks.Bus }

func (bareBus) Broadcast(context.Context, []byte) error                       { return nil }
func (bareBus) SingleCast(context.Context, string, []byte) error              { return nil }
func (bareBus) Publish(context.Context, []string, []byte) error               { return nil }
func (bareBus) SingleCastBulk(context.Context, []string, [][]byte) error      { return nil }
func (bareBus) Subscribe(context.Context, string, []string, []byte) error     { return nil }
func (bareBus) CheckOnline(_ context.Context, ids []string) ([]string, error) { return ids, nil }

// bareConn has the same bytes to read so many times, and takes what is written.
type bareConn struct {
	net.Conn
	bytes []byte
	at    int
	left  int
}

func (c *bareConn) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.bytes[c.at:])
	if c.at += n; c.at == len(c.bytes) {
		c.at = 0
		c.left--
	}
	return n, nil
}

func (c *bareConn) Write(p []byte) (int, error)      { return len(p), nil }
func (c *bareConn) SetReadDeadline(time.Time) error  { return nil }
func (c *bareConn) SetWriteDeadline(time.Time) error { return nil }

const someone = "7f00000117ae659200800001"

func listenForBench(b *testing.B, cfg Config) *Router {
	cfg.Worker.Addr, cfg.Task.Addr = "127.0.0.1:0", "127.0.0.1:0"
	cfg.Logger = slog.New(slog.DiscardHandler)
	r, err := Listen(cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = r.Discard() })
	r.run.Store(true)
	return r
}

// enlist registers so many processes that want all events.
func (r *Router) enlist(n int) []*workerConn {
	all := make([]*workerConn, n)
	for i := range all {
		all[i] = &workerConn{r: r, conn: new(bareConn), outbox: newOutbox(r.cfg.Queue, r.cfg.QueueEvents)}
		r.active = append(r.active, &process{conn: all[i], birth: uint64(i + 1), events: knownEvents})
	}
	return all
}

// BenchmarkForward forwards so many messages of a client to its process, until
// they are written together.
func BenchmarkForward(b *testing.B) {
	message := hooks.MessageEvent{
		UniqID: someone, CustomerID: "customer-1", Session: `{"name":"somebody"}`, Topics: []string{"all", "news"}, Data: make([]byte, 100),
	}
	for _, messages := range []int{1, 16} {
		b.Run(fmt.Sprint(messages), func(b *testing.B) {
			r := listenForBench(b, Config{})
			w := r.enlist(1)[0]
			flush := func() {
				r.mu.Lock()
				batch := w.take()
				r.mu.Unlock()
				if done, err := write(w.conn, time.Second, batch, w.account); done != len(batch.records) || err != nil {
					b.Fatal(done, err)
				}
				r.mu.Lock()
				w.give(batch)
				r.mu.Unlock()
			}
			ctx := b.Context()
			r.Open(ctx, nil, hooks.OpenEvent{UniqID: someone})
			flush()
			b.ReportAllocs()
			for b.Loop() {
				for range messages {
					r.Message(ctx, nil, message)
				}
				flush()
			}
			if n := r.Stats().Sent; n != int64(1+b.N*messages) {
				b.Fatalf("%d of %d events were sent", n, 1+b.N*messages)
			}
		})
	}
}

// BenchmarkChoose finds one of four processes for an event: that of a client whose
// Open was seen, that of one which was there before, and the next.
func BenchmarkChoose(b *testing.B) {
	for _, test := range []struct {
		name string
		cfg  Config
		seen kind
	}{
		{"tied", Config{}, kindOpen},
		{"hashed", Config{}, kindMessage},
		{"in turn", Config{Choice: RoundRobin}, kindOpen},
	} {
		b.Run(test.name, func(b *testing.B) {
			r := listenForBench(b, test.cfg)
			r.enlist(4)
			r.client(someone, test.seen)
			b.ReportAllocs()
			for b.Loop() {
				if r.choose(r.client(someone, kindMessage), kindMessage) == nil {
					b.Fatal("no process")
				}
			}
		})
	}
}

// BenchmarkTask carries out so many commands that have come together.
func BenchmarkTask(b *testing.B) {
	data := make([]byte, 100)
	for _, test := range []struct {
		cmd protocol.Cmd_Number
		m   proto.Message
	}{
		{protocol.Cmd_SingleCast, &protocol.SingleCast{UniqId: someone, Data: data}},
		{protocol.Cmd_SingleCastBulk, &protocol.SingleCastBulk{UniqIds: []string{someone, someone}, Data: [][]byte{data, data}}},
		{protocol.Cmd_Broadcast, &protocol.Broadcast{Data: data}},
		{protocol.Cmd_TopicPublish, &protocol.TopicPublish{Topics: []string{"news"}, Data: data}},
		{protocol.Cmd_TopicSubscribe, &protocol.TopicSubscribe{UniqId: someone, Topics: []string{"news"}}},
		{protocol.Cmd_CheckOnline, &protocol.CheckOnlineReq{UniqIds: []string{someone}}},
	} {
		packet, err := protocol.AppendPacket(nil, test.cmd, test.m)
		if err != nil {
			b.Fatal(err)
		}
		for _, commands := range []int{1, 16} {
			b.Run(fmt.Sprintf("%v/%d", test.cmd, commands), func(b *testing.B) {
				conn := &bareConn{left: b.N}
				for range commands {
					conn.bytes = append(conn.bytes, packet...)
				}
				t := &taskConn{r: listenForBench(b, Config{}), conn: conn, bus: bareBus{}}
				b.ReportAllocs()
				b.ResetTimer()
				if err := t.work(); !errors.Is(err, io.EOF) {
					b.Fatal(err)
				}
				if n := t.commands.Load(); n != int64(b.N*commands) {
					b.Fatalf("%d of %d commands were carried out", n, b.N*commands)
				}
			})
		}
	}
}

// BenchmarkExpire looks for events that have waited too long, among 10,000 of
// which none has.
func BenchmarkExpire(b *testing.B) {
	r := listenForBench(b, Config{Buffer: 16 << 20, BufferAge: time.Minute})
	for i := range 10_000 {
		r.Open(b.Context(), nil, hooks.OpenEvent{UniqID: fmt.Sprint(someone, i)})
	}
	then := time.Now().Add(-time.Hour)
	b.ReportAllocs()
	for b.Loop() {
		r.expire(then)
	}
	if n := r.Stats().Waiting; n != 10_000 {
		b.Fatalf("%d events wait", n)
	}
}

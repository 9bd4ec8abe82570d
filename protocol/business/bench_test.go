package business

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

// repeated is a stream of the same bytes, so many times.
type repeated struct {
	bytes []byte
	at    int
	left  int
}

func (r *repeated) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.bytes[r.at:])
	if r.at += n; r.at == len(r.bytes) {
		r.at = 0
		r.left--
	}
	return n, nil
}

// gateway is a connection to one that answers each write, if it has an answer.
type gateway struct {
	net.Conn
	answer  []byte
	answers chan []byte
}

func (g *gateway) Write(p []byte) (int, error) {
	if g.answer != nil {
		g.answers <- g.answer
	}
	return len(p), nil
}

func (g *gateway) Read(p []byte) (int, error) {
	if a, ok := <-g.answers; ok {
		return copy(p, a), nil
	}
	return 0, io.EOF
}

func (g *gateway) SetWriteDeadline(time.Time) error { return nil }

func packetOf(b *testing.B, cmd protocol.Cmd_Number, m proto.Message) []byte {
	b.Helper()
	p, err := protocol.AppendPacket(nil, cmd, m)
	if err != nil {
		b.Fatal(err)
	}
	return p
}

const someone = "7f00000117ae659200800001"

func newBench(b *testing.B, cfg Config) *Client {
	cfg.Gateways = []Gateway{{Worker: "nobody", Task: "nobody"}}
	cfg.Logger = slog.New(slog.DiscardHandler)
	c, err := New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	return c
}

// BenchmarkEvents reads so many messages that have come together, of as many
// clients, and has them handled.
func BenchmarkEvents(b *testing.B) {
	for _, messages := range []int{1, 16} {
		b.Run(fmt.Sprint(messages), func(b *testing.B) {
			c := newBench(b, Config{Router: hooks.RouterFuncs{}})
			in := &repeated{left: b.N}
			for i := range messages {
				in.bytes = append(in.bytes, packetOf(b, protocol.Cmd_Transfer, &protocol.Transfer{
					UniqId: fmt.Sprintf("%s%04x", someone, i), CustomerId: "customer-1", Session: `{"name":"somebody"}`,
					Topics: []string{"all", "news"}, Data: make([]byte, 100),
				})...)
			}
			reg := &registration{dirty: make(chan struct{}, 1)}
			rd := protocol.NewReader(in, 0, nil)
			b.ReportAllocs()
			b.ResetTimer()
			if err := c.gates[0].link.read(rd, reg); !errors.Is(err, io.EOF) {
				b.Fatal(err)
			}
			c.events.running.Wait()
			if n := reg.handled.Load(); n != uint64(b.N*messages) {
				b.Fatalf("%d of %d events were handled", n, b.N*messages)
			}
		})
	}
}

// connect has the first lane of c served by a gateway that gives this answer.
func (c *Client) connect(b *testing.B, answer []byte) {
	g := &gateway{answer: answer, answers: make(chan []byte, 1)}
	l := c.gates[0].lanes[0]
	l.conn = g
	gone, written, read := make(chan struct{}), make(chan error, 1), make(chan error, 1)
	go func() { written <- l.write(g, gone) }()
	go func() { read <- l.read(g) }()
	b.Cleanup(func() {
		close(gone)
		if err := <-written; err != nil {
			b.Error(err)
		}
		close(g.answers)
		if err := <-read; !errors.Is(err, io.EOF) {
			b.Error(err)
		}
	})
}

// BenchmarkSingleCast puts commands into a lane, whose connection takes them as
// fast as they come.
func BenchmarkSingleCast(b *testing.B) {
	c, data := newBench(b, Config{}), make([]byte, 100)
	c.connect(b, nil)
	b.ReportAllocs()
	for b.Loop() {
		if err := c.SingleCast(b.Context(), someone, data); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPublish does so with a command that concerns all gateways.
func BenchmarkPublish(b *testing.B) {
	c, data := newBench(b, Config{}), make([]byte, 100)
	c.connect(b, nil)
	topics := []string{"news"}
	b.ReportAllocs()
	for b.Loop() {
		if err := c.Publish(b.Context(), topics, data); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCheckOnline waits for each answer.
func BenchmarkCheckOnline(b *testing.B) {
	c := newBench(b, Config{})
	c.connect(b, packetOf(b, protocol.Cmd_CheckOnline, &protocol.CheckOnlineResp{UniqIds: []string{someone}}))
	ctx, ids := context.Background(), []string{someone}
	b.ReportAllocs()
	for b.Loop() {
		if online, err := c.CheckOnline(ctx, ids); len(online) != 1 || err != nil {
			b.Fatal(online, err)
		}
	}
}

package gateway

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/registry"
)

// BenchmarkBus is what commands cost that concern one client of 8,000.
func BenchmarkBus(b *testing.B) {
	const clients = 8000
	g := newBench(b, Config{}).crowd(b, clients)
	data, id, customer := make([]byte, 100), g.ids[clients/2], fmt.Sprint("customer-", clients/2)
	ids, many := g.ids[:16], slices.Repeat([][]byte{data}, 16)
	fields := hooks.ConnInfoFields{Session: true, CustomerID: true, Topics: true}
	var err error
	for _, test := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"SingleCast", func(ctx context.Context) error { return g.SingleCast(ctx, id, data) }},
		{"SingleCastUnknown", func(ctx context.Context) error { return g.SingleCast(ctx, "nobody", data) }},
		{"SingleCastByCustomerID", func(ctx context.Context) error { return g.SingleCastByCustomerID(ctx, customer, data) }},
		{"SingleCastBulk16", func(ctx context.Context) error { return g.SingleCastBulk(ctx, ids, many) }},
		{"SingleCastBulk16ToOne", func(ctx context.Context) error { return g.SingleCastBulk(ctx, ids[:1], many) }},
		{"Subscribe", func(ctx context.Context) error {
			if err := g.Subscribe(ctx, id, []string{"room"}, nil); err != nil {
				return err
			}
			return g.Unsubscribe(ctx, id, []string{"room"}, nil)
		}},
		{"UpdateConnInfo", func(ctx context.Context) error {
			return g.UpdateConnInfo(ctx, hooks.ConnInfoUpdate{UniqID: id, NewSession: `{"name":"somebody else"}`, Data: data})
		}},
		{"CheckOnline", func(ctx context.Context) error {
			_, err := g.CheckOnline(ctx, ids[:1])
			return err
		}},
		{"ConnInfo", func(ctx context.Context) error {
			_, err := g.ConnInfo(ctx, ids[:1], fields)
			return err
		}},
	} {
		b.Run(test.name, func(b *testing.B) {
			ctx := b.Context()
			b.ReportAllocs()
			for b.Loop() {
				if err = test.do(ctx); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkFanOut is one message of 100 bytes to all clients of two loops, until
// the last connection has it.
func BenchmarkFanOut(b *testing.B) {
	data := make([]byte, 100)
	for _, clients := range []int{1000, 8000} {
		g := newBench(b, Config{}).crowd(b, clients)
		for _, test := range []struct {
			name string
			do   func(context.Context) error
		}{
			{"Broadcast", func(ctx context.Context) error { return g.Broadcast(ctx, data) }},
			{"Publish", func(ctx context.Context) error { return g.Publish(ctx, []string{"news"}, data) }},
			{"Multicast", func(ctx context.Context) error { return g.Multicast(ctx, g.ids, data) }},
		} {
			b.Run(fmt.Sprintf("%s/%d", test.name, clients), func(b *testing.B) {
				ctx, before := b.Context(), g.sent()
				b.ReportAllocs()
				for b.Loop() {
					if err := test.do(ctx); err != nil {
						b.Fatal(err)
					}
				}
				if n := g.sent() - before; n != b.N*clients {
					b.Fatalf("%d deliveries of %d messages to %d clients", n, b.N, clients)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*clients), "ns/delivery")
			})
		}
	}
}

// BenchmarkMerge is 16 publishes to one topic, which its loop makes one of.
func BenchmarkMerge(b *testing.B) {
	const messages = 16
	g := newBench(b, Config{}).crowd(b, 1)
	frame := g.encode(make([]byte, 100))
	var as []registry.Audience
	b.ReportAllocs()
	for b.Loop() {
		var first *delivery
		for range messages {
			as = g.reg.Subscribers(as[:0], "news")
			d := &delivery{g: g.Gateway, frame: frame, to: as[0], clients: as[0].Clients(), bytes: size(frame) + taskOverhead}
			if first == nil {
				first = d
			} else if !first.Merge(d) {
				b.Fatal("not merged")
			}
		}
		first.Run(messages)
	}
	if n := g.sent(); n != b.N {
		b.Fatalf("%d frames for %d times %d messages", n, b.N, messages)
	}
}

// BenchmarkEncode makes the frame that all recipients share.
func BenchmarkEncode(b *testing.B) {
	for _, test := range []struct {
		name  string
		size  int
		level int
	}{{"plain/100", 100, 0}, {"deflated/1024", 1024, 1}} {
		b.Run(test.name, func(b *testing.B) {
			g := newBench(b, Config{Compression: test.level})
			g.deflating.Store(1)
			data := bytes.Repeat([]byte(`{"from":"somebody","text":"hello"},`), test.size)[:test.size]
			b.ReportAllocs()
			b.SetBytes(int64(test.size))
			for b.Loop() {
				if f := g.encode(data); (f.Deflated != nil) != (test.level > 0) {
					b.Fatal("compressed and should not be, or the reverse")
				}
			}
		})
	}
}

package admin

import (
	"fmt"
	"testing"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/gateway/gatewaytest"
	"github.com/sluicegate/sluice/hooks/metrics"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/pipe"
)

// BenchmarkSample is what happens once a second while nobody looks.
func BenchmarkSample(b *testing.B) {
	l := benchLive(b, nil)
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		l.sample(ctx)
	}
}

// BenchmarkTables is what happens every few seconds while somebody does, with as many
// topics as are looked at.
func BenchmarkTables(b *testing.B) {
	for _, n := range []int{1000, maxTopics} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			gw := gatewaytest.New(b, gateway.Config{Router: subscriber()})
			for i := 0; i < n; {
				id := gw.Connect("/").Read() // subscriber sends it
				var topics []string
				for ; i < n && len(topics) < 4096; i++ {
					topics = append(topics, fmt.Sprintf("a topic of some length %06d", i))
				}
				if err := gw.Subscribe(b.Context(), id, topics, nil); err != nil {
					b.Fatal(err)
				}
			}
			l, ctx := benchLive(b, gw.Gateway), b.Context()
			b.ReportAllocs()
			for b.Loop() {
				l.tabulate(ctx)
			}
			if len(l.table.Topics) != maxRows {
				b.Errorf("%d topics are shown", len(l.table.Topics))
			}
		})
	}
}

// benchLive is one that watches t, or a gateway that does not run.
func benchLive(b *testing.B, t target) *live {
	m := metrics.New(metrics.Config{})
	l, err := newLive(Config{Metrics: m, Logger: (&book{}).logger()})
	if err != nil {
		b.Fatal(err)
	}
	if t == nil {
		if t, err = gateway.New(gateway.Config{Transports: []transport.Transport{pipe.New()}, Hooks: []any{m}}); err != nil {
			b.Fatal(err)
		}
	}
	l.target = t
	return l
}

//go:build unix

package cluster_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks/cluster"
	"github.com/sluicegate/sluice/internal/await"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/pipe"
)

// crowd is nodes without clients, and NATS elsewhere.
type crowd struct {
	gateways []*gateway.Gateway
	clusters []*cluster.Cluster
	nats     *os.Process
	url      string
}

func newCrowd(b *testing.B, n int, change ...func(*cluster.Config)) *crowd {
	b.Helper()
	w := &crowd{}
	w.url, w.nats = engineElsewhere(b)
	for range n {
		cfg := cluster.Config{Servers: w.url, JoinWait: 20 * time.Millisecond, Linger: time.Hour}
		for _, f := range change {
			f(&cfg)
		}
		joined, err := cluster.New(cfg)
		must(b, err)
		gw, err := gateway.New(gateway.Config{
			Transports: []transport.Transport{pipe.New()}, Cluster: joined, Logger: slog.New(slog.DiscardHandler), DrainTime: -1,
		})
		must(b, err)
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- gw.Run(ctx) }()
		b.Cleanup(func() {
			cancel()
			must(b, <-ended)
		})
		<-gw.Ready()
		w.gateways, w.clusters = append(w.gateways, gw), append(w.clusters, joined)
	}
	for _, c := range w.clusters {
		await.Until(b, func() string {
			if len(c.Nodes()) != n {
				return "not all nodes are there"
			}
			return ""
		})
	}
	return w
}

// What a topic costs that a node wants: bytes in the node and in NATS, and time to tell
// NATS of them, at first and when the connection is there again after a cut.
func BenchmarkTopics(b *testing.B) {
	for _, n := range []int{10_000, 100_000, 1_000_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			if n > 100_000 && testing.Short() {
				b.Skip("a million topics take 20 seconds")
			}
			topics := make([]string, n)
			for i := range topics {
				topics[i] = "room:" + strconv.Itoa(i)
			}
			for range b.N {
				var way *cable
				w := newCrowd(b, 1, func(cfg *cluster.Config) {
					way = layCable(b, strings.TrimPrefix(cfg.Servers, "nats://"))
					cfg.Servers = way.url()
				})
				heap, rss := heapInUse(), residentOf(b, w.nats)
				begun := time.Now()
				for some := range slices.Chunk(topics, 4096) {
					w.clusters[0].Want(b.Context(), some)
				}
				told := time.Since(begun)
				heap, rss = heapInUse()-heap, residentOf(b, w.nats)-rss
				begun = time.Now()
				way.cut()
				way.mend()
				await.Until(b, func() string {
					if st := w.gateways[0].Stats().Cluster; st.Reconnects == 0 || !st.Connected {
						return "it is not back"
					}
					return ""
				})
				b.ReportMetric(float64(heap)/float64(n), "B/topic")
				b.ReportMetric(float64(rss)/float64(n), "nats-B/topic")
				b.ReportMetric(float64(n)/told.Seconds(), "topics/s")
				b.ReportMetric(time.Since(begun).Seconds(), "back-s")
				b.ReportMetric(0, "ns/op")
			}
		})
	}
}

// One question to all nodes.
func BenchmarkQuery(b *testing.B) {
	for _, n := range []int{2, 10, 50} {
		b.Run(strconv.Itoa(n)+" nodes", func(b *testing.B) {
			w := newCrowd(b, n)
			var took []time.Duration
			cpu, nats := ownTime(b), timeOf(b, w.nats)
			for b.Loop() {
				begun := time.Now()
				_, err := w.gateways[0].UniqIDCount(b.Context())
				must(b, err)
				took = append(took, time.Since(begun))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
			b.ReportMetric(float64((ownTime(b)-cpu).Nanoseconds())/1e3/float64(b.N)/float64(n), "cpu-µs/node")
			b.ReportMetric(float64((timeOf(b, w.nats)-nats).Nanoseconds())/1e3/float64(b.N)/float64(n), "nats-µs/node")
		})
	}
}

// A publish of 128 bytes to a topic that so many other nodes want: what it costs in
// NATS, and in all nodes together.
func BenchmarkNodes(b *testing.B) {
	for _, n := range []int{0, 1, 4, 16} {
		b.Run(fmt.Sprint(n, " listening"), func(b *testing.B) {
			w := newCrowd(b, n+1)
			for _, c := range w.clusters[1:] {
				c.Want(b.Context(), []string{"t"})
			}
			data := make([]byte, 128)
			received := func() (all int64) {
				for _, c := range w.clusters[1:] {
					all += c.Stats().Received
				}
				return all
			}
			begun := received()
			cpu, nats := ownTime(b), timeOf(b, w.nats)
			for i := range b.N {
				must(b, w.gateways[0].Publish(b.Context(), []string{"t"}, data))
				for i%1024 == 1023 && received()-begun < int64((i-1024)*n) {
					runtime.Gosched()
				}
			}
			await.Until(b, func() string {
				if st := w.clusters[0].Stats(); st.Outgoing > 0 || received()-begun < int64(b.N*n) {
					return "messages are under way"
				}
				return ""
			})
			b.ReportMetric(float64((ownTime(b)-cpu).Nanoseconds())/1e3/float64(b.N), "cpu-µs/op")
			b.ReportMetric(float64((timeOf(b, w.nats)-nats).Nanoseconds())/1e3/float64(b.N), "nats-µs/op")
		})
	}
}

// What 50 nodes at rest cost that tell each other a hundred times a second that they
// are there, for each such message at each node.
func BenchmarkHeartbeats(b *testing.B) {
	const n, every = 50, 10 * time.Millisecond
	w := newCrowd(b, n, func(cfg *cluster.Config) { cfg.Heartbeat, cfg.MissedHeartbeats = every, 1000 })
	received := func() (all int64) {
		for _, c := range w.clusters {
			all += c.Stats().Received
		}
		return all
	}
	cpu, nats, begun := ownTime(b), timeOf(b, w.nats), received()
	time.Sleep(2 * time.Second) // what is measured is rest
	came := float64(received() - begun)
	b.ReportMetric(float64((ownTime(b)-cpu).Nanoseconds())/1e3/came, "cpu-µs/beat")
	b.ReportMetric(float64((timeOf(b, w.nats)-nats).Nanoseconds())/1e3/came, "nats-µs/beat")
	b.ReportMetric(0, "ns/op")
}

func heapInUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// residentOf returns how much memory another process has, where the system says so.
func residentOf(t testing.TB, p *os.Process) int64 {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.Pid))
	if err != nil {
		return 0
	}
	var total, resident int64
	_, err = fmt.Sscan(string(stat), &total, &resident)
	must(t, err)
	return resident * int64(os.Getpagesize())
}

// How long after Subscribe has returned on one node what another publishes is heard
// there, where both are connected to one server, and to two of a NATS of three.
func BenchmarkPropagation(b *testing.B) {
	for _, servers := range []int{1, 3} {
		b.Run(fmt.Sprint(servers, " servers"), func(b *testing.B) {
			engines := startEngines(b, servers)
			there, here := join(b, quick(engines[0])), join(b, quick(engines[servers-1]))
			there.awaitNodes(b, 2)
			here.awaitNodes(b, 2)
			client := there.Connect("/ws")
			client.Expect(client.ID())
			var took []time.Duration
			missed := 0
			for b.Loop() {
				topic := []string{strconv.Itoa(len(took))}
				must(b, there.Subscribe(b.Context(), client.ID(), topic, nil))
				begun := time.Now()
				heard := make(chan string, 1)
				go func() { heard <- client.Read() }()
				sent, first := 0, ""
				for first == "" {
					must(b, here.Publish(b.Context(), topic, []byte(strconv.Itoa(sent))))
					sent++
					select {
					case first = <-heard:
					case <-time.After(50 * time.Microsecond):
					}
				}
				took = append(took, time.Since(begun))
				if first != "0" {
					missed++
				}
				must(b, there.Unsubscribe(b.Context(), client.ID(), topic, nil))
				must(b, here.SingleCast(b.Context(), client.ID(), []byte("end")))
				for client.Read() != "end" {
					continue
				}
			}
			slices.Sort(took)
			b.ReportMetric(float64(missed)/float64(len(took))*100, "missed-%")
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
		})
	}
}

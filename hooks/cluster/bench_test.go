//go:build unix

package cluster_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/hooks/cluster"
	"github.com/sluicegate/sluice/internal/await"
	"github.com/sluicegate/sluice/internal/wsclient"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/gnet"
)

// asEngine is the variable that makes a process of these benchmarks a nats-server, so
// that its work is not counted as the gateways'.
const asEngine = "SLUICE_TEST_ENGINE"

// runEngine is a nats-server that ends with its input.
func runEngine() {
	fmt.Println(startEngine(nobody{}).url())
	_, _ = os.Stdin.Read(make([]byte, 1))
}

// nobody is a testing.TB for a process that is none.
type nobody struct{ testing.TB }

func (nobody) Helper()           {}
func (nobody) Cleanup(func())    {}
func (nobody) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

// bench is two gateways, a client of each in the topic "t", and NATS elsewhere.
type bench struct {
	*testing.B
	gateways [2]*gateway.Gateway
	clients  [2]*wsclient.Conn
	nats     *os.Process
}

func newBench(b *testing.B, alone bool) *bench {
	w := &bench{B: b}
	var servers string
	if !alone {
		servers, w.nats = engineElsewhere(b)
	}
	for i := range w.gateways {
		cfg := gateway.Config{
			Transports: []transport.Transport{gnet.Listen("127.0.0.1:0")}, Router: hooks.RouterFuncs{OnOpen: townOpen},
			Logger: slog.New(slog.DiscardHandler), DrainTime: -1,
		}
		if !alone {
			joined, err := cluster.New(cluster.Config{Servers: servers, Linger: 50 * time.Millisecond})
			must(b, err)
			cfg.Cluster = joined
		}
		gw, err := gateway.New(cfg)
		must(b, err)
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- gw.Run(ctx) }()
		b.Cleanup(func() {
			cancel()
			must(b, <-ended)
		})
		<-gw.Ready()
		raw, err := net.Dial("tcp", gw.Addrs()[0].String())
		must(b, err)
		b.Cleanup(func() { _ = raw.Close() })
		conn, err := wsclient.Open(raw, wsclient.Request{})
		must(b, err)
		_, id, err := conn.ReadMessage()
		must(b, err)
		must(b, gw.Subscribe(ctx, strings.TrimPrefix(string(id), "id "), []string{"t"}, nil))
		w.gateways[i], w.clients[i] = gw, conn
	}
	if !alone {
		await.Until(b, func() string {
			if w.gateways[0].Stats().Cluster.Nodes != 2 || w.gateways[1].Stats().Cluster.Nodes != 2 {
				return "the nodes do not know each other"
			}
			return ""
		})
	}
	return w
}

// engineElsewhere starts a nats-server as a process of its own.
func engineElsewhere(b *testing.B) (url string, p *os.Process) {
	b.Helper()
	child := exec.Command(os.Args[0], "-test.run=^$")
	child.Env = append(os.Environ(), asEngine+"=1")
	in, err := child.StdinPipe()
	must(b, err)
	out, err := child.StdoutPipe()
	must(b, err)
	must(b, child.Start())
	b.Cleanup(func() {
		_ = in.Close()
		_ = child.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	must(b, err)
	return strings.TrimSpace(line), child.Process
}

// cases are where a publish on the first gateway is listened for.
func cases(b *testing.B, run func(w *bench, at int)) {
	for _, tc := range []struct {
		name  string
		alone bool
		at    int
	}{{"no cluster", true, 0}, {"own node", false, 0}, {"other node", false, 1}} {
		b.Run(tc.name, func(b *testing.B) { run(newBench(b, tc.alone), tc.at) })
	}
}

// From the call of Publish to the client's read, one message at a time.
func BenchmarkLatency(b *testing.B) {
	cases(b, func(w *bench, at int) {
		data := bytes.Repeat([]byte{'x'}, 128)
		took := make([]time.Duration, 0, w.N)
		for w.Loop() {
			begun := time.Now()
			must(w, w.gateways[0].Publish(w.Context(), []string{"t"}, data))
			_, _, err := w.clients[at].ReadMessage()
			must(w, err)
			took = append(took, time.Since(begun))
			if other := 1 - at; w.nats != nil { // it has one as well
				_, _, err := w.clients[other].ReadMessage()
				must(w, err)
			}
		}
		slices.Sort(took)
		w.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1e3, "p50-µs")
		w.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1e3, "p99-µs")
	})
}

// Processor time for a message of 128 bytes, with up to 1,024 under way: of both
// gateways, their clients and the publisher, and that of NATS beside it. What a
// message costs between nodes is "other node" less "no cluster", where a publish
// reaches one client in each.
func BenchmarkCPU(b *testing.B) {
	cases(b, func(w *bench, at int) {
		const window = 1024
		data := bytes.Repeat([]byte{'x'}, 128)
		if w.nats != nil { // one client listens, as without a cluster
			all := w.gateways[1-at]
			ids, err := all.Local().UniqIDs(w.Context())
			must(w, err)
			must(w, all.Unsubscribe(w.Context(), ids[0], []string{"t"}, nil))
			await.Until(w, func() string {
				if all.Stats().Cluster.Topics > 0 {
					return "the topic is still wanted where nobody listens"
				}
				return ""
			})
		}
		tokens := make(chan struct{}, window)
		done := make(chan error, 1)
		n := 0
		w.ResetTimer()
		self, nats := ownTime(w), timeOf(w, w.nats)
		go func() {
			for range w.N {
				if _, _, err := w.clients[at].ReadMessage(); err != nil {
					done <- err
					return
				}
				<-tokens
			}
			done <- nil
		}()
		for ; n < w.N; n++ {
			tokens <- struct{}{}
			must(w, w.gateways[0].Publish(w.Context(), []string{"t"}, data))
		}
		must(w, <-done)
		w.ReportMetric(float64((ownTime(w)-self).Nanoseconds())/1e3/float64(w.N), "cpu-µs/op")
		if w.nats != nil {
			w.ReportMetric(float64((timeOf(w, w.nats)-nats).Nanoseconds())/1e3/float64(w.N), "nats-µs/op")
		}
	})
}

func ownTime(t testing.TB) time.Duration {
	t.Helper()
	var u unix.Rusage
	must(t, unix.Getrusage(unix.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// timeOf returns the processor time that another process has taken, in hundredths of a
// second, where the system says so.
func timeOf(t testing.TB, p *os.Process) time.Duration {
	t.Helper()
	if p == nil {
		return 0
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	var user, system int64
	_, err = fmt.Sscan(fields[11]+" "+fields[12], &user, &system)
	must(t, err)
	return time.Duration(user+system) * 10 * time.Millisecond
}

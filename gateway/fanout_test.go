package gateway_test

import (
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/await"
	"github.com/sluicegate/sluice/transport/websocket"
)

// crowd is many clients whose bytes are only counted.
type crowd struct {
	*host
	n   int
	got atomic.Int64
	// want is how many bytes all of them must have when what was sent so
	// far has arrived; complete is signalled when they have.
	want     atomic.Int64
	complete chan struct{}
}

func newCrowd(tb testing.TB, n int, cfg gateway.Config) *crowd {
	c := &crowd{host: onGnet().start(tb, cfg), n: n, complete: make(chan struct{}, 1)}
	for range n {
		conn := c.raw()
		_ = conn.SetDeadline(time.Time{})
		_, err := io.WriteString(conn, upgrade+"\r\n")
		must(tb, err)
		readHead(tb, conn)
		go func() {
			buf := make([]byte, 4096)
			for {
				n, err := conn.Read(buf)
				if c.got.Add(int64(n)) >= c.want.Load() {
					select {
					case c.complete <- struct{}{}:
					default:
					}
				}
				if err != nil {
					return
				}
			}
		}()
	}
	return c
}

// readHead reads a response and not a byte more.
func readHead(tb testing.TB, conn net.Conn) {
	tb.Helper()
	var head []byte
	one := make([]byte, 1)
	for !strings.HasSuffix(string(head), "\r\n\r\n") {
		if _, err := conn.Read(one); err != nil {
			tb.Fatal(err)
		}
		head = append(head, one[0])
	}
	if !strings.Contains(string(head), " 101 ") {
		tb.Fatalf("handshake: %s", head)
	}
}

// sent notes a message that everybody is to get.
func (c *crowd) sent(size int) { c.want.Add(int64(c.n) * int64(websocket.FrameSize(size))) }

func (c *crowd) await() {
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	for c.got.Load() < c.want.Load() {
		select {
		case <-c.complete:
		case <-timeout.C:
			c.t.Fatalf("%d of %d bytes arrived", c.got.Load(), c.want.Load())
		}
	}
}

// Publishing allocates for the message, not for its recipients.
func TestFanoutAllocations(t *testing.T) {
	const clients, messages = 200, 500
	c := newCrowd(t, clients, gateway.Config{})
	c.awaitClients(clients)
	ids, err := c.UniqIDs(t.Context())
	must(t, err)
	for _, id := range ids {
		must(t, c.Subscribe(t.Context(), id, []string{"t"}, nil))
	}
	topics, data := []string{"t"}, make([]byte, 100)
	round := func(n int) {
		for i := range n {
			c.sent(len(data))
			must(t, c.Publish(t.Context(), topics, data))
			if i%16 == 15 {
				c.await()
			}
		}
		c.await()
	}
	round(messages) // buffers grow to their size
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	round(messages)
	runtime.ReadMemStats(&after)
	perMessage := float64(after.Mallocs-before.Mallocs) / messages
	t.Logf("%.1f allocations per message to %d clients", perMessage, clients)
	if perMessage > clients/5 {
		t.Errorf("%.1f allocations per message to %d clients", perMessage, clients)
	}
}

// BenchmarkPublish is one message to 1,000 clients on sockets, 16 under way at
// a time. What it allocates does not depend on their number.
func BenchmarkPublish(b *testing.B) {
	const clients = 1000
	c := newCrowd(b, clients, gateway.Config{})
	c.awaitClients(clients)
	data := make([]byte, 100)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		c.sent(len(data))
		must(b, c.Broadcast(b.Context(), data))
		if i%16 == 15 {
			c.await()
		}
	}
	c.await()
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/clients, "ns/delivery")
}

// One of a thousand clients stops reading while the others are broadcast to:
// it is closed and counted, its memory is bounded, and the others get
// everything.
func TestSlowReaderAmongThousand(t *testing.T) {
	const clients, limit = 1000, 1 << 20
	c := newCrowd(t, clients, gateway.Config{WriteLimit: limit})
	c.awaitClients(clients)
	before, err := c.UniqIDs(t.Context())
	must(t, err)

	p99 := func(rounds int, meanwhile func()) time.Duration {
		took := make([]time.Duration, rounds)
		for i := range took {
			if meanwhile != nil {
				meanwhile()
			}
			start := time.Now()
			c.sent(100)
			must(t, c.Broadcast(t.Context(), make([]byte, 100)))
			c.await()
			took[i] = time.Since(start)
		}
		slices.Sort(took)
		return took[rounds*99/100]
	}
	calm := p99(100, nil)

	slow := c.raw()
	_, err = io.WriteString(slow, upgrade+"\r\n")
	must(t, err)
	readHead(t, slow) // and never reads again
	c.awaitClients(clients + 1)
	after, err := c.UniqIDs(t.Context())
	must(t, err)
	slowID := after[slices.IndexFunc(after, func(id string) bool { return !slices.Contains(before, id) })]

	var heap runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&heap)
	was, peak := heap.HeapAlloc, uint64(0)
	big := make([]byte, 64<<10)
	troubled := p99(100, func() {
		// What it alone is sent fills its sockets' buffers soon.
		must(t, c.SingleCast(t.Context(), slowID, big))
		runtime.ReadMemStats(&heap)
		peak = max(peak, heap.HeapAlloc)
	})
	await.Until(t, func() string {
		if c.Stats().Drops[hooks.DropSlow].Messages == 0 {
			return "the slow client was not closed"
		}
		return ""
	})
	c.awaitClients(clients)
	if grown := int64(peak) - int64(was); grown > 8*limit {
		t.Errorf("the heap grew by %d bytes", grown)
	}
	t.Logf("p99 of a broadcast to %d clients: %v, with a slow reader %v; heap grew by %d kB at most", clients, calm, troubled, (int64(peak)-int64(was))>>10)
}

//go:build unix

package attack

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks/remote"
	"github.com/sluicegate/sluice/internal/await"
	"github.com/sluicegate/sluice/internal/wsclient"
)

// descriptors is what the process of this attack may open.
const descriptors = 400

// state is what a gateway in a child tells of itself.
type state struct {
	Stats      gateway.Stats
	Tasks      int
	Heap       int64
	Goroutines int
	Unbalanced string
}

// Many more connect than there are descriptors, and so do business processes. Who
// is in stays and is served as before; the others are turned away, and there is
// room again when the attack is over.
func TestDescriptorExhaustion(t *testing.T) {
	n := scaled(3000, 2)
	p := start(t, "few descriptors", "", 0, "")
	p.word()
	addr, task := p.hear("addr"), p.hear("task")
	look := func() (st state) {
		t.Helper()
		p.word()
		must(t, json.Unmarshal([]byte(p.hear("state")), &st))
		return st
	}
	w := watch(t, addr)
	w.settle()
	calm := w.take()
	before := look()

	a := start(t, "connections", addr, n, "").polite()
	a.word()
	a.count("connected")
	// Business processes have those that are spare, but for the last.
	for range 100 {
		c, err := net.Dial("tcp", task)
		must(t, err)
		defer c.Close()
	}
	await.Until(t, func() string {
		if n := look().Tasks; n == 0 || n > 64-16 {
			return fmt.Sprintf("%d task connections with 64 descriptors to spare", n)
		}
		return ""
	})
	full := look()
	turned := a.count("turned away")
	waited := w.take()
	t.Logf("%d of %d turned away; %d clients and %d task connections; heap +%d KiB, goroutines +%d; witnesses %v; in the calm %v",
		turned, n, full.Stats.Clients, full.Tasks, (full.Heap-before.Heap)>>10, full.Goroutines-before.Goroutines, waited, calm)
	if turned < n-descriptors || turned == n {
		t.Errorf("%d of %d were turned away with %d descriptors", turned, n, descriptors)
	}
	if full.Stats.Clients > descriptors-64 || full.Stats.Clients <= witnessCount {
		t.Errorf("%d clients with %d descriptors", full.Stats.Clients, descriptors)
	}
	if most := waited.bearable(calm); waited.p99 > most {
		t.Errorf("the witnesses waited for %v at the 99th percentile, want %v at most", waited.p99, most)
	}
	// Each task connection has a goroutine. What else there is are workers, of which
	// the witnesses, one message at a time, need one each at most.
	more := full.Goroutines - before.Goroutines - full.Tasks
	if grown := full.Heap - before.Heap; grown > spareHeap || more > witnessCount {
		t.Errorf("the heap has grown by %d KiB, and there are %d more goroutines besides those of %d task connections", grown>>10, more, full.Tasks)
	}
	must(t, a.end())

	await.Until(t, func() string {
		if got := look().Stats.Clients; got != witnessCount {
			return fmt.Sprintf("%d clients, want %d", got, witnessCount)
		}
		return ""
	})
	c, err := net.Dial("tcp", addr)
	must(t, err)
	begun := time.Now()
	_ = c.SetDeadline(begun.Add(wait))
	next, err := wsclient.Open(c, wsclient.Request{})
	must(t, err)
	if _, err := ask(next, "at last"); err != nil || time.Since(begun) > time.Second {
		t.Errorf("a new client was served after %v, %v", time.Since(begun), err)
	}
	_ = next.Close()
	w.leave()
	await.Until(t, func() string {
		if st := look(); st.Stats.Clients != 0 || st.Unbalanced != "" {
			return fmt.Sprintf("%d clients; %s", st.Stats.Clients, st.Unbalanced)
		}
		return ""
	})
	must(t, p.end())
}

// fewDescriptors is a gateway with few descriptors. It tells its state whenever it
// is asked.
func fewDescriptors(a *assault) error {
	limit := unix.Rlimit{Cur: descriptors, Max: descriptors}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	h, err := run(gateway.Config{}, &remote.Config{})
	if err != nil {
		return err
	}
	a.tell("addr", h.addr)
	a.tell("task", h.bus.TaskAddr().String())
	for {
		select {
		case <-a.words:
			w := weigh()
			b, err := json.Marshal(state{Stats: h.Stats(), Tasks: h.bus.Stats().Tasks, Heap: w.heap, Goroutines: w.goroutines, Unbalanced: h.unbalanced(0)})
			if err != nil {
				return err
			}
			a.tell("state", string(b))
		case err := <-h.ended:
			return fmt.Errorf("the gateway has ended: %w", err)
		case <-a.ctx.Done():
			return h.end()
		}
	}
}

// connections connects, shakes hands and stays.
func connections(a *assault) error {
	var got tallyOf
	err := a.each(a.n, 32, func(int) error {
		c, _ := a.dial()
		if c == nil {
			got.add(0)
			return nil
		}
		_ = c.SetDeadline(time.Now().Add(wait))
		if conn, _ := wsclient.Open(c, wsclient.Request{}); conn == nil {
			got.add(0)
			drop(c)
			return nil
		}
		got.add(1)
		return nil
	})
	a.say("connected", got.of(1))
	a.say("turned away", got.of(0))
	return errors.Join(a.await(), err)
}

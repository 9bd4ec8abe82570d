//go:build unix

package attack

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"sync"
	"time"

	"github.com/sluicegate/sluice/internal/await"
	"github.com/sluicegate/sluice/internal/wsclient"
)

// A weight is what a process is made of, in part.
type weight struct {
	heap       int64 // bytes in use after a collection
	goroutines int
}

func weigh() weight {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return weight{heap: int64(m.HeapAlloc), goroutines: runtime.NumGoroutine()}
}

// A bound is what an attack may cost.
type bound struct {
	// heap is how much the heap may grow by, in bytes.
	heap int64
	// goroutines is how many there may be more.
	goroutines int
}

const (
	// spareHeap is what anything may take: buffers that are kept for the next
	// connection, and the test's own notes.
	spareHeap = 8 << 20
	// spareGoroutines is how many may come and go at any time: workers.
	spareGoroutines = 2*witnessCount + 16
)

// during runs a part of an attack and asserts what it may cost meanwhile. A
// monitoring system asks for the metrics now and then, as one does.
func (s *server) during(name string, b bound, attack func()) {
	s.t.Helper()
	_ = s.watch.take()
	peak := weight{heap: s.rest.heap, goroutines: s.rest.goroutines}
	done := make(chan struct{})
	var sampler sync.WaitGroup
	sample := func() {
		w := weigh()
		// What was made during the collection counts as in use, and on a busy
		// machine that may be all that there is. What is held stays.
		for range 4 {
			if w.heap-s.rest.heap <= b.heap+spareHeap {
				break
			}
			w.heap = min(w.heap, weigh().heap)
		}
		peak.heap, peak.goroutines = max(peak.heap, w.heap), max(peak.goroutines, w.goroutines)
		_, _ = s.Metrics(context.Background())
	}
	sampler.Go(func() {
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				sample()
			}
		}
	})
	begun := time.Now()
	func() {
		defer sampler.Wait()
		defer close(done)
		attack()
	}()
	took := time.Since(begun)
	waited := s.watch.take()
	sample()
	most := waited.bearable(s.calm)
	grown, more := peak.heap-s.rest.heap, peak.goroutines-s.rest.goroutines
	s.t.Logf("%s: %v; heap +%d KiB of %d KiB, goroutines +%d; witnesses %v; in the calm %v",
		name, took.Round(time.Millisecond), grown>>10, (b.heap+spareHeap)>>10, more, waited, s.calm)
	if grown > b.heap+spareHeap {
		s.t.Errorf("%s: the heap grew by %d KiB, want %d KiB at most", name, grown>>10, (b.heap+spareHeap)>>10)
	}
	if more > b.goroutines+spareGoroutines {
		s.t.Errorf("%s: %d more goroutines, want %d at most", name, more, b.goroutines+spareGoroutines)
	}
	if waited.p99 > most {
		s.t.Errorf("%s: the witnesses waited for %v at the 99th percentile, want %v at most", name, waited.p99, most)
	}
}

// over ends the attackers and asserts that nothing is left of them: the witnesses
// are all there is, everything is accounted for, memory is free again, and whoever
// comes next is served at once.
func (s *server) over(attackers ...*process) {
	s.t.Helper()
	for _, p := range attackers {
		must(s.t, p.end())
	}
	await.Until(s.t, func() string {
		if n := s.Stats().Clients; n != witnessCount {
			return fmt.Sprintf("%d clients are left, %d of them witnesses", n, witnessCount)
		}
		return ""
	})
	begun := time.Now()
	c, err := net.Dial("tcp", s.addr)
	must(s.t, err)
	defer c.Close()
	_ = c.SetDeadline(begun.Add(wait))
	next, err := wsclient.Open(c, wsclient.Request{})
	must(s.t, err)
	const text = "is anybody there?"
	if answer, err := ask(next, text); err != nil || answer != string(answerTo([]byte(text))) {
		s.t.Errorf("a new client was answered %q, %v", answer, err)
	}
	if took := time.Since(begun); took > time.Second {
		s.t.Errorf("a new client was served after %v", took)
	}
	_ = next.Close()
	await.Until(s.t, func() string {
		w := weigh()
		switch grown := w.heap - s.rest.heap; {
		case grown > spareHeap:
			return fmt.Sprintf("the heap is still %d KiB larger than before", grown>>10)
		case w.goroutines > s.rest.goroutines+spareGoroutines:
			return fmt.Sprintf("%d goroutines, before there were %d", w.goroutines, s.rest.goroutines)
		}
		return ""
	})
	s.t.Logf("afterwards: heap +%d KiB", (weigh().heap-s.rest.heap)>>10)
	s.stop()
	if errs := s.log.errors; len(errs) > 0 {
		s.t.Errorf("the gateway has logged errors: %q", errs)
	}
}

package trim

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"time"
)

func TestDue(t *testing.T) {
	for _, test := range []struct {
		name  string
		grown []uint64 // between looks
		want  int      // times that memory is trimmed
	}{
		{"at rest from the start", []uint64{0, 0, 100, 0}, 0},
		{"busy", []uint64{worth, worth, calm, worth}, 0},
		{"busy, then at rest", []uint64{worth, worth, calm - 1, 0, 0}, 1},
		{"twice", []uint64{worth, 0, worth, 0, 0}, 2},
		{"a little all the time", []uint64{calm - 1, calm - 1, calm - 1}, 0},
		{"a little for long", slowly(3 * worth), 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := watch{last: 1000}
			at, got := w.last, 0
			for _, n := range test.grown {
				at += n
				if w.due(at) {
					got++
					at += 100 // which trimming takes
					w.trimmed(at)
				}
			}
			if got != test.want {
				t.Errorf("trimmed %d times, want %d", got, test.want)
			}
		})
	}
}

// slowly is how a program allocates so much that is never busy.
func slowly(bytes int) (grown []uint64) {
	for range bytes / (calm / 2) {
		grown = append(grown, calm/2)
	}
	return grown[:len(grown)-1]
}

// What was in use and is not any more goes back to the system.
func TestWhenIdle(t *testing.T) {
	const size = 64 << 20
	var m runtime.MemStats
	released := func() uint64 { runtime.ReadMemStats(&m); return m.HeapSys - m.HeapReleased }
	before := released()
	held := make([]byte, size)
	for i := 0; i < len(held); i += 4096 {
		held[i] = 1
	}
	if got := released(); got < before+size/2 {
		t.Fatalf("the heap has %d bytes of the system, before there were %d", got, before)
	}
	runtime.KeepAlive(held)
	ctx, cancel := context.WithCancel(context.Background())
	var trimmer sync.WaitGroup
	trimmer.Go(func() { WhenIdle(ctx) }) // also what was allocated before
	defer trimmer.Wait()
	defer cancel()
	for begin := time.Now(); released() > before+size/2; time.Sleep(look) {
		if time.Since(begin) > 30*time.Second {
			t.Fatalf("the heap still has %d bytes of the system, before there were %d", m.HeapSys-m.HeapReleased, before)
		}
	}
}

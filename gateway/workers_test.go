package gateway

import (
	"context"
	"sync"
	"testing"
	"time"
)

// burst has n events handled at the same time, and waits until all workers rest.
func burst(t *testing.T, w *workers, n int, all *sync.WaitGroup) {
	t.Helper()
	all.Add(n)
	for range n {
		w.submit(new(peer))
	}
	if _, err := w.Await(t.Context(), false); err != nil {
		t.Fatal(err)
	}
}

// waitForCrew waits until there are n workers.
func waitForCrew(t *testing.T, w *workers, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.rested.Broadcast()
	})()
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.crew != n {
		if ctx.Err() != nil {
			t.Fatalf("there are %d workers, %d of them idle, want %d", w.crew, w.idle, n)
		}
		w.rested.Wait()
	}
}

func TestWorkersStayForTheNextBurst(t *testing.T) {
	const many = 50
	var all sync.WaitGroup
	w := newWorkers(2*many, func(*shift, *peer) bool {
		all.Done()
		all.Wait()
		return false
	})
	defer func() {
		if !w.stop(time.Minute) {
			t.Error("they do not end")
		}
	}()
	w.while = time.Hour
	burst(t, w, many, &all)
	before := w.onShift()
	burst(t, w, many, &all)
	there := make(map[*shift]bool)
	for _, s := range before {
		there[s] = true
	}
	for _, s := range w.onShift() {
		if !there[s] {
			t.Fatal("a worker was hired where fifty were idle")
		}
	}
	if len(before) != many {
		t.Errorf("%d workers for %d events at once", len(before), many)
	}

	w.mu.Lock()
	w.while = time.Millisecond
	w.trimmer.Reset(w.while)
	w.mu.Unlock()
	waitForCrew(t, w, w.keep)
	burst(t, w, many, &all) // as many as before come again
	waitForCrew(t, w, w.keep)
}

// Those that are needed within every while are not sent away.
func TestNeededWorkersAreKept(t *testing.T) {
	const many, needed = 50, 20
	var all sync.WaitGroup
	w := newWorkers(many, func(*shift, *peer) bool {
		all.Done()
		all.Wait()
		return false
	})
	defer w.stop(time.Minute)
	w.while = time.Hour
	burst(t, w, many, &all)
	w.trim() // a new while begins
	burst(t, w, needed, &all)
	w.trim()
	waitForCrew(t, w, needed+w.keep)
	w.trim()
	waitForCrew(t, w, w.keep)
}

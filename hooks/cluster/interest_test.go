package cluster

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicegate/sluice/hooks"
)

func names(es []*entry) (all []string) {
	for _, e := range es {
		all = append(all, e.topic)
	}
	slices.Sort(all)
	return all
}

// Who wants a topic waits until NATS has it, and only for that.
func TestInterestWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newInterest(time.Second)
		wants := func(topics ...string) chan bool {
			done := make(chan bool)
			go func() {
				i.want(t.Context(), topics, true)
				close(done)
			}()
			synctest.Wait()
			return done
		}
		ended := func(done chan bool) bool {
			synctest.Wait()
			select {
			case <-done:
				return true
			default:
				return false
			}
		}
		first := wants("a", "", "a", "b")
		fresh, stale, p := i.changes()
		if got := names(fresh); !slices.Equal(got, []string{"a", "b"}) || stale != nil || len(i.wake) != 1 || i.size() != 2 {
			t.Fatalf("%v are fresh, %v are stale", got, names(stale))
		}
		second, third := wants("b", "c"), wants("c")
		i.want(hooks.WithoutWaiting(t.Context()), []string{"b"}, true) // returns
		i.want(t.Context(), []string{"b"}, false)                      // NATS is away: returns
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		i.want(short, []string{"b"}, true)
		if ended(first) {
			t.Fatal("NATS was not told yet")
		}
		i.settle(fresh, p)
		if !ended(first) || ended(second) || ended(third) {
			t.Fatalf("ended: %v, %v, %v", ended(first), ended(second), ended(third))
		}
		fresh, _, p = i.changes()
		if got := names(fresh); !slices.Equal(got, []string{"c"}) {
			t.Fatalf("%v are fresh", got)
		}
		i.settle(fresh, p)
		if !ended(second) || !ended(third) {
			t.Error("NATS has them all")
		}
		if !ended(wants("a", "b", "c")) {
			t.Error("NATS has had them before")
		}

		last := wants("d")
		i.close()
		if !ended(last) || !ended(wants("e")) {
			t.Error("there is nothing to wait for when it has ended")
		}
	})
}

// One that NATS has not been told of stays until it has: told that it left before
// it came, NATS would have it for ever.
func TestInterestLeavesWhatIsTold(t *testing.T) {
	i := newInterest(time.Second)
	i.want(t.Context(), []string{"a"}, false)
	later := time.Now().Add(2 * time.Second)
	i.leave(i.due(later), nil, later)
	fresh, stale, p := i.changes()
	if len(fresh) != 1 || len(stale) != 0 {
		t.Fatalf("%v are fresh, %v are stale", names(fresh), names(stale))
	}
	i.settle(fresh, p)
	later = later.Add(2 * time.Second)
	i.leave(i.due(later), nil, later)
	if _, stale, _ = i.changes(); len(stale) != 1 || i.size() != 0 {
		t.Errorf("%v are stale, and there are %d", names(stale), i.size())
	}
}

// A topic goes when it has had no subscriber for a while, and nobody wants it.
func TestInterestLingers(t *testing.T) {
	i := newInterest(time.Second)
	i.want(t.Context(), []string{"a", "b", "c"}, false)
	i.settle(i.fresh, i.pending)
	i.changes()
	begun := time.Now()
	if due := i.due(begun); len(due) > 0 {
		t.Fatalf("%v are looked at already", due)
	}
	later := begun.Add(2 * time.Second)
	due := i.due(later)
	if slices.Sort(due); !slices.Equal(due, []string{"a", "b", "c"}) {
		t.Fatalf("%v are looked at", due)
	}
	if again := i.due(later); len(again) > 0 {
		t.Errorf("%v are looked at twice", again)
	}
	i.unwant([]string{"c", "unknown"}) // while the registry is asked
	i.leave(append(due, "unknown"), map[string]int{"a": 1}, later)
	_, stale, _ := i.changes()
	if got := names(stale); !slices.Equal(got, []string{"b"}) || i.size() != 2 {
		t.Errorf("%v have left, and there are %d", got, i.size())
	}
	if due := i.due(later); !slices.Equal(due, []string{"c"}) {
		t.Errorf("%v are looked at again", due)
	}

	// One that was wanted meanwhile stays, and is looked at again.
	i.leave([]string{"c"}, nil, begun)
	if _, stale, _ := i.changes(); len(stale) > 0 || i.size() != 2 {
		t.Errorf("%v have left", names(stale))
	}
	if due := i.due(later.Add(time.Second)); !slices.Equal(due, []string{"c"}) {
		t.Errorf("%v are looked at in the end", due)
	}
}

package loop

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/sluicegate/sluice/transport"
)

func TestPostsKeepTheirOrder(t *testing.T) {
	const posters, each = 8, 500
	k := newKit(t, func(o *transport.Options) { o.MailboxLimit = 1 << 30 })
	next := make([]int, posters)
	ran := 0
	var wg sync.WaitGroup
	for p := range posters {
		wg.Go(func() {
			for i := range each {
				if err := k.l.Post(do(func() {
					if next[p] != i {
						t.Errorf("poster %d: task %d ran when %d was due", p, i, next[p])
					}
					next[p]++
					ran++
				})); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	// The loop runs only when it is woken: a lost wake leaves tasks behind.
	for posting := true; posting; {
		select {
		case <-done:
			posting = false
		default:
		}
		k.settle()
	}
	k.settle()
	want(t, "tasks run", ran, posters*each)
	want(t, "bytes left", k.l.box.bytes, 0)
}

func TestWakesAtMostOncePerDrain(t *testing.T) {
	k := newKit(t)
	nop := func() *task { return do(func() {}) }
	for range 100 {
		k.post(nop())
	}
	want(t, "wakes for 100 posts", k.wakes(), 1)
	k.l.Woken()
	want(t, "wakes after the drain", k.wakes(), 0)

	s := k.open()
	k.h.onMessage = func(*Conn, string) {
		for range 3 {
			k.post(nop())
		}
		want(t, "wakes while the loop runs", k.wakes(), 0)
	}
	s.conn.Input(clientFrame(1, "hello"))
	want(t, "wakes after a little work", k.wakes(), 0)
	want(t, "tasks left", len(k.l.box.queue), 0)

	// A connection that ends inside a drain must not end the loop's being
	// busy, nor drain within the drain.
	inner := false
	k.post(&task{recipients: 50, run: func(int) (int, bool) {
		s.close()
		k.post(do(func() { inner = true }))
		want(t, "wakes after a nested end", k.wakes(), 0)
		if inner {
			t.Error("a task ran inside another")
		}
		return 1, true
	}})
	want(t, "wakes for a post at rest", k.wakes(), 1)
	k.l.Woken()
	if !inner {
		want(t, "wakes for what is left", k.wakes(), 1)
		k.l.Woken()
	}
	if !inner {
		t.Error("a task posted during a drain is lost")
	}
	want(t, "wakes at rest", k.wakes(), 0)
}

// A wake that is late, because an input event has done its work already, must
// neither be repeated nor hide a later one.
func TestLateWake(t *testing.T) {
	k := newKit(t)
	s := k.open()
	ran := 0
	k.post(do(func() { ran++ }))
	want(t, "wakes", k.wakes(), 1)
	s.conn.Input(clientFrame(1, "x")) // drains on its way out
	want(t, "ran", ran, 1)
	k.post(do(func() { ran++ }))
	want(t, "wakes while one is on its way", k.wakes(), 0)
	k.l.Woken()
	want(t, "ran", ran, 2)
	k.post(do(func() { ran++ }))
	want(t, "wakes for a later post", k.wakes(), 1)
}

func TestLargeWorkGetsADrainOfItsOwn(t *testing.T) {
	k := newKit(t)
	s := k.open()
	ran := false
	k.h.onMessage = func(*Conn, string) {
		k.post(&task{recipients: quickRecipients + 1, run: func(int) (int, bool) { ran = true; return 1, true }})
	}
	s.conn.Input(clientFrame(1, "x"))
	if ran {
		t.Error("large work ran at the end of an input event")
	}
	want(t, "asked again", k.e.asked.Load(), 1)
	want(t, "woken", k.e.wakes.Load(), 0)
	k.settle()
	if !ran {
		t.Error("large work was lost")
	}
}

func TestFullMailbox(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, func(o *transport.Options) { o.MailboxLimit = 100 })
		heavy := func(done func() bool) *task {
			return &task{bytes: 60, run: func(int) (int, bool) { return 1, done() }}
		}
		turns := 0
		k.post(heavy(func() bool { return true }))
		k.post(heavy(func() bool { turns++; return turns == 2 }))
		if err := k.l.Post(heavy(nil)); !errors.Is(err, transport.ErrMailboxFull) {
			t.Fatalf("a post to a full mailbox: %v", err)
		}
		forced := &task{bytes: 7, run: func(int) (int, bool) { return 1, true }}
		if err := k.l.PostAlways(forced); err != nil {
			t.Fatal(err)
		}
		want(t, "bytes", k.l.box.bytes, 127)

		ctx, cancel := context.WithCancel(t.Context())
		canceled, waited := make(chan error, 1), make(chan error, 2)
		go func() { canceled <- k.l.Wait(ctx) }()
		for range 2 {
			go func() { waited <- k.l.Wait(t.Context()) }()
		}
		synctest.Wait()
		cancel()
		if err := <-canceled; !errors.Is(err, context.Canceled) {
			t.Errorf("a wait that was given up: %v", err)
		}
		if len(waited) > 0 {
			t.Fatal("a wait ended before there was room")
		}
		k.l.Woken()
		for range 2 {
			if err := <-waited; err != nil {
				t.Error(err)
			}
		}
		k.settle()
		want(t, "bytes when all is done", k.l.box.bytes, 0)
		if err := k.l.Wait(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestStopDropsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, func(o *transport.Options) { o.MailboxLimit = 10 })
		var order []string
		add := func(name string, run func(int) (int, bool)) *task {
			tk := &task{bytes: 10, run: run, drop: func() { order = append(order, name) }}
			if err := k.l.PostAlways(tk); err != nil {
				t.Fatal(err)
			}
			return tk
		}
		begun := add("begun", func(budget int) (int, bool) { return budget, false })
		behind := add("behind", func(int) (int, bool) { t.Error("ran"); return 1, true })
		k.l.Woken()
		waits := add("waits", behind.run)
		waiter := make(chan error, 1)
		go func() { waiter <- k.l.Wait(t.Context()) }()
		synctest.Wait()

		behind.drop = func() { order = append(order, "behind"); panic("a drop that panics") }
		k.l.Stop()
		<-waiter
		for _, tk := range []*task{begun, behind, waits} {
			want(t, "drops", tk.dropped, 1)
		}
		if len(order) != 3 || order[0] != "begun" || order[1] != "behind" || order[2] != "waits" {
			t.Errorf("dropped in the order %v", order)
		}
		for _, post := range []func(transport.Task) error{k.l.Post, k.l.PostAlways} {
			if err := post(waits); !errors.Is(err, transport.ErrStopped) {
				t.Errorf("a post after Stop: %v", err)
			}
		}
		if err := k.l.Wait(t.Context()); !errors.Is(err, transport.ErrStopped) {
			t.Errorf("a wait after Stop: %v", err)
		}
	})
}

// Bytes come back once, whatever becomes of a task.
func TestBytesComeBackOnce(t *testing.T) {
	turns := 0
	for name, tk := range map[string]*task{
		"done at once":     {run: func(int) (int, bool) { return 1, true }},
		"done in turns":    {run: func(int) (int, bool) { turns++; return appendBudget, turns%3 == 0 }},
		"panics":           {run: func(int) (int, bool) { panic("task") }},
		"takes no step":    {run: func(int) (int, bool) { return 0, true }},
		"stands for a lot": {recipients: 1 << 20, run: func(b int) (int, bool) { return b, true }},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKit(t)
			tk.bytes = 100
			for range 3 {
				k.post(tk)
			}
			k.settle()
			want(t, "bytes", k.l.box.bytes, 0)
			want(t, "recipients", k.l.box.recipients, 0)
		})
	}
}

// A task that says it is not done though it takes no steps is not asked for
// ever in one drain.
func TestIdleTaskDoesNotHoldTheLoop(t *testing.T) {
	k := newKit(t)
	calls := 0
	k.post(&task{run: func(int) (int, bool) { calls++; return 0, calls == 3*appendBudget }})
	k.l.Woken()
	want(t, "calls in one drain", calls, appendBudget)
	k.settle()
	want(t, "calls", calls, 3*appendBudget)
}

// merger adds its number to those behind it.
type merger struct {
	parts  []int
	begun  bool
	bytes  int
	refuse bool
	ran    *[][]int
	turns  int
}

func (m *merger) Run(budget int) (int, bool) {
	m.begun = true
	if m.turns--; m.turns >= 0 {
		return budget, false
	}
	*m.ran = append(*m.ran, m.parts)
	return 1, true
}
func (m *merger) Weight() (int, int) { return 1, m.bytes }
func (m *merger) Drop()              {}
func (m *merger) Merge(next transport.Task) bool {
	n, ok := next.(*merger)
	if !ok || m.begun || n.refuse {
		return false
	}
	m.parts = append(m.parts, n.parts...)
	m.bytes += n.bytes
	return true
}

func TestMerge(t *testing.T) {
	k := newKit(t)
	var ran [][]int
	part := func(n int) *merger { return &merger{parts: []int{n}, bytes: 10, ran: &ran} }
	first, slow, refused := part(1), part(4), part(6)
	slow.turns, refused.refuse = 2, true
	k.post(first)
	k.post(part(2))
	k.post(part(3))
	between := 0
	k.post(do(func() { between = len(ran) })) // cannot be merged: keeps its place
	k.post(slow)
	k.post(part(5))
	k.post(refused)
	k.post(part(7))
	k.l.Woken() // slow is begun, and must not take over what comes now
	k.post(part(8))
	k.settle()
	if got := len(ran); got != 4 {
		t.Fatalf("ran %v", ran)
	}
	for i, parts := range [][]int{{1, 2, 3}, {4, 5}, {6, 7}, {8}} {
		if len(ran[i]) != len(parts) || ran[i][0] != parts[0] {
			t.Errorf("run %d did %v, want %v", i, ran[i], parts)
		}
	}
	want(t, "runs before the task between", between, 1)
	want(t, "bytes", k.l.box.bytes, 0)
}

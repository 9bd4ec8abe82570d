package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sluicegate/sluice/hooks"
)

func out(n int) outgoing { return outgoing{data: make([]byte, n-messageOverhead)} }

// A queue holds what its limit allows, waits where it may, and says so where not.
func TestOutboxIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		o := newOutbox(1000)
		put := func(ctx context.Context, patience time.Duration, ms ...outgoing) error {
			return o.put(ctx, patience, ms...)
		}
		if err := put(ctx, 0, out(5000)); err != nil {
			t.Fatalf("an empty queue takes anything, and returned %v", err)
		}
		begun := time.Now()
		if err := put(hooks.WithoutWaiting(ctx), time.Hour, out(500)); !errors.Is(err, hooks.ErrOverloaded) || time.Since(begun) > 0 {
			t.Errorf("without waiting: %v after %v", err, time.Since(begun))
		}
		if err := put(ctx, time.Second, out(500)); !errors.Is(err, hooks.ErrOverloaded) || time.Since(begun) != time.Second {
			t.Errorf("with patience: %v after %v", err, time.Since(begun))
		}
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if err := put(short, time.Hour, out(500)); !errors.Is(err, hooks.ErrOverloaded) || time.Since(begun) != 2*time.Second {
			t.Errorf("with a deadline: %v after %v", err, time.Since(begun))
		}

		// Its bytes count until they are sent, and what waits goes on then.
		batch, more := o.take()
		if len(batch) != 1 || !more || o.waits() != 5000 {
			t.Fatalf("%d messages, %v, %d bytes", len(batch), more, o.waits())
		}
		done := make(chan error, 2)
		for range 2 {
			go func() { done <- put(ctx, time.Hour, out(300), out(300)) }()
		}
		synctest.Wait()
		if len(done) > 0 {
			t.Fatal("there was no room, and it did not wait")
		}
		o.sent(5000, batch)
		if err := <-done; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if len(done) > 0 || o.waits() != 600 {
			t.Fatalf("room for one was taken by two: %d bytes", o.waits())
		}
		batch, _ = o.take()
		o.sent(600, batch)
		if err := <-done; err != nil {
			t.Error(err)
		}

		// What is in when it closes comes out, and nothing else gets in.
		waiting := make(chan error, 1)
		go func() { waiting <- put(ctx, time.Hour, out(900)) }()
		synctest.Wait()
		o.close()
		o.close()
		if err := <-waiting; !errors.Is(err, hooks.ErrStopped) {
			t.Errorf("who waited was told %v", err)
		}
		if err := put(ctx, 0, out(200)); !errors.Is(err, hooks.ErrStopped) {
			t.Errorf("closed: %v", err)
		}
		if batch, more := o.take(); len(batch) != 2 || !more {
			t.Errorf("%d messages, %v", len(batch), more)
		}
		if batch, more := o.take(); len(batch) != 0 || more {
			t.Errorf("%d messages, %v", len(batch), more)
		}
	})
}

// Messages come out in the order in which they went in, those put together together,
// while others put and one takes.
func TestOutboxKeepsOrder(t *testing.T) {
	const putters, each = 4, 2000
	o := newOutbox(10_000)
	for p := range putters {
		go func() {
			for i := range each {
				a, b := fmt.Sprint(p, " ", 2*i), fmt.Sprint(p, " ", 2*i+1)
				if err := o.put(t.Context(), wait, outgoing{subject: a}, outgoing{subject: b}); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	next := make([]int, putters)
	last := -1
	for taken := 0; taken < 2*putters*each; {
		batch, more := o.take()
		if !more {
			t.Fatal("it has ended")
		}
		size := 0
		for _, m := range batch {
			var p, n int
			if _, err := fmt.Sscan(m.subject, &p, &n); err != nil {
				t.Fatal(err)
			}
			if n != next[p] || n%2 == 1 && last != p {
				t.Fatalf("message %d of %d came behind %d of %d", n, p, next[p]-1, last)
			}
			next[p], last = n+1, p
			size += m.size()
			taken++
		}
		o.sent(size, batch)
	}
	if o.waits() != 0 {
		t.Errorf("%d bytes are left", o.waits())
	}
}

// wait bounds what is awaited.
const wait = 20 * time.Second

// What has arrived is kept up to a limit, in its order; the rest is told.
func TestInbox(t *testing.T) {
	i := newInbox(1000)
	msg := func(n int) *nats.Msg { return &nats.Msg{Data: make([]byte, n-messageOverhead)} }
	all := []*nats.Msg{msg(400), msg(500), msg(200), msg(200)}
	if n := i.put(all[:1]); n != 0 || len(i.wake) != 1 {
		t.Fatalf("%d dropped, %d wake", n, len(i.wake))
	}
	if n := i.put(all[1:]); n != 2 || i.waits() != 900 {
		t.Fatalf("%d dropped, %d bytes", n, i.waits())
	}
	batch := i.take()
	if !slices.Equal(batch, all[:2]) || i.waits() != 900 {
		t.Fatalf("%d taken, %d bytes", len(batch), i.waits())
	}
	if n := i.put(all[2:3]); n != 1 {
		t.Error("what was taken and is not done has no bytes")
	}
	i.done(batch[0])
	if n := i.put(all[2:3]); n != 0 {
		t.Errorf("%d dropped of one for which there is room", n)
	}
	i.done(batch[1])
	i.reuse(batch)
	if batch = i.take(); !slices.Equal(batch, all[2:3]) {
		t.Errorf("%d taken", len(batch))
	}
	i.done(batch[0])
	i.reuse(batch)
	i.reuse(i.take())
	if i.waits() != 0 {
		t.Errorf("%d bytes are left", i.waits())
	}
	if n := i.put([]*nats.Msg{msg(5000)}); n != 0 {
		t.Error("an empty queue takes anything")
	}
}

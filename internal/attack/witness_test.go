//go:build unix

package attack

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sluicegate/sluice/internal/wsclient"
	"github.com/sluicegate/sluice/transport/websocket"
)

const (
	witnessCount = 20
	// held is what nobody waits for at the 99th percentile, whatever goes on;
	// the race detector takes its time too.
	held     = 500 * time.Millisecond
	heldRace = 700 * time.Millisecond
	// A loop that is held up for a second is found out on any machine.
	heldMost = 800 * time.Millisecond
)

// A waiting is how long witnesses waited.
type waiting struct {
	p99, worst time.Duration
	// late is by how much they began late, at the 99th percentile: what the
	// machine adds of itself, as other programs run on it.
	late time.Duration
}

func (w waiting) String() string {
	return fmt.Sprintf("p99 %v, worst %v, begun %v late", w.p99.Round(time.Millisecond), w.worst.Round(time.Millisecond), w.late.Round(time.Millisecond))
}

// bearable is what witnesses may wait for at the 99th percentile, given how long
// they waited when it was calm. A round trip has five hops from one thread to
// another, each of which may be as late as its beginning.
func (w waiting) bearable(calm waiting) time.Duration {
	least := held
	if raceDetector {
		least = heldRace
	}
	return min(max(least, 10*calm.p99), heldMost) + 5*w.late
}

// witnesses are clients that behave: each makes a round trip now and then and
// notes how long it took.
type witnesses struct {
	t     testing.TB
	crew  sync.WaitGroup
	stop  context.CancelFunc
	every time.Duration
	all   []*witness
}

type witness struct {
	*wsclient.Conn

	mu     sync.Mutex
	due    time.Time // of the round trip that comes, or is under way
	took   []time.Duration
	late   []time.Duration // by which they began
	others int             // messages that were not answers
	err    error
}

// watch connects the witnesses.
func watch(t testing.TB, addr string) *witnesses {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w := &witnesses{t: t, stop: cancel, every: 25 * time.Millisecond}
	if raceDetector {
		w.every *= 2
	}
	for range witnessCount {
		c, err := net.Dial("tcp", addr)
		must(t, err)
		conn, err := wsclient.Open(c, wsclient.Request{})
		must(t, err)
		one := &witness{Conn: conn, due: time.Now()}
		w.all = append(w.all, one)
		w.crew.Go(func() { one.run(ctx, w.every) })
	}
	t.Cleanup(w.leave)
	return w
}

// leave ends the witnesses.
func (w *witnesses) leave() {
	w.stop()
	w.crew.Wait()
	for _, one := range w.all {
		_ = one.Close()
		if one.err != nil {
			w.t.Errorf("a witness: %v", one.err)
		}
		one.err = nil
	}
}

// run makes round trips on a fixed schedule. One that takes longer makes those
// late that were due meanwhile, and they count as late: otherwise the longer
// everybody waits, the fewer would be seen to.
func (w *witness) run(ctx context.Context, every time.Duration) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			w.mu.Lock()
			w.late = append(w.late, max(0, time.Since(w.due)))
			w.mu.Unlock()
		}
		others, err := w.roundTrip(fmt.Sprint("witness ", n))
		now := time.Now()
		w.mu.Lock()
		w.others += others
		if w.err = err; err != nil {
			w.mu.Unlock()
			return
		}
		for ; !w.due.After(now); w.due = w.due.Add(every) {
			w.took = append(w.took, now.Sub(w.due))
		}
		timer.Reset(w.due.Sub(now))
		w.mu.Unlock()
	}
}

// roundTrip sends text and reads up to its answer.
func (w *witness) roundTrip(text string) (others int, err error) {
	_ = w.SetDeadline(time.Now().Add(wait))
	if err := w.WriteMessage(websocket.OpText, []byte(text)); err != nil {
		return 0, err
	}
	want := answerTo([]byte(text))
	for {
		_, data, err := w.ReadMessage()
		if err != nil {
			return others, err
		}
		if string(data) == string(want) {
			return others, nil
		}
		others++
	}
}

// take returns how long round trips took since it was called last, with those that
// are still under way.
func (w *witnesses) take() (took waiting) {
	var all, late []time.Duration
	now := time.Now()
	for _, one := range w.all {
		one.mu.Lock()
		all = append(all, one.took...)
		late = append(late, one.late...)
		one.took, one.late = one.took[:0], one.late[:0]
		for due := one.due; due.Before(now); due = due.Add(w.every) {
			all = append(all, now.Sub(due))
			one.due = due.Add(w.every)
		}
		one.mu.Unlock()
	}
	if len(all) > 0 {
		slices.Sort(all)
		took.p99, took.worst = all[len(all)*99/100], all[len(all)-1]
	}
	if len(late) > 0 {
		slices.Sort(late)
		took.late = late[len(late)*99/100]
	}
	return took
}

// others is how many messages the witnesses got besides their answers.
func (w *witnesses) others() (n int) {
	for _, one := range w.all {
		one.mu.Lock()
		n += one.others
		one.mu.Unlock()
	}
	return n
}

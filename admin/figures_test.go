package admin

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/transport"
)

func TestSampleOf(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_000)
	h := func(counts ...int64) transport.Histogram {
		return transport.Histogram{Bounds: []float64{1, 2}, Counts: counts}
	}
	before := figures{at: at, Stats: gateway.Stats{
		Opened: 5, MessagesIn: 100, LoopLag: h(7, 0, 0),
		Drops:  map[hooks.DropReason]gateway.DropCount{hooks.DropSlow: {Messages: 3}, hooks.DropClosed: {Messages: 2}},
		Closes: map[gateway.CloseKind]int64{{Code: 1000, Reason: "client"}: 1},
	}, handlers: h(1, 1, 0)}
	now := figures{at: at.Add(2 * time.Second), status: gateway.StatusDraining, Stats: gateway.Stats{
		Clients: 3, Opened: 9, MessagesIn: 101, MessagesOut: 3333, LoopLag: h(7, 0, 0), LoopLate: 1500 * time.Millisecond,
		Drops:   map[hooks.DropReason]gateway.DropCount{hooks.DropSlow: {Messages: 13}, hooks.DropClosed: {Messages: 2}},
		Closes:  map[gateway.CloseKind]int64{{Code: 1000, Reason: "client"}: 1, {Code: 1006, Reason: "lost"}: 4},
		Refused: map[gateway.RefuseReason]int64{"busy": 2},
	}, handlers: h(1, 5, 0)}
	want := sample{
		Time: now.at.UnixMilli(), Status: "draining", Clients: 3, Opened: 2, In: .5, Out: 1667,
		Drops: map[string]float64{"slow": 5}, Closes: map[string]float64{"1006 lost": 2}, Refused: map[string]float64{"busy": 1},
		Handled: 2, Handler: &times{P50: 1.5, P99: 1.99, Max: 2}, Late: 1.5,
	}
	if got := sampleOf(before, now); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got := sampleOf(now, now); got.In != 0 || got.Handler != nil { // a clock that stood still
		t.Errorf("%+v", got)
	}
	encode(sampleOf(figures{}, now))
}

func TestCut(t *testing.T) {
	for _, c := range []struct {
		s    string
		max  int
		want string
		left int
	}{
		{"short", 5, "short", 0},
		{"longer", 5, "longe…", 1},
		{"aé", 2, "a…", 2},
		{"a\x80\x80\x80\x80\x80", 5, "a…", 5},
		{"\x80bcdef", 5, "\uFFFDbcde…", 1},
	} {
		if got, left := cut(c.s, c.max); got != c.want || left != c.left {
			t.Errorf("%q to %d: %q, %d", c.s, c.max, got, left)
		}
	}
}

func TestLoopsOf(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_000)
	loops := func(n int64, sum float64) []gateway.LoopStats {
		return []gateway.LoopStats{{Transport: 1, LoopStats: transport.LoopStats{
			Index: 2, Connections: 3, Tasks: 4, MailboxBytes: 5,
			Flushes: transport.Histogram{Bounds: []float64{64}, Counts: []int64{n, n}, Sum: sum},
		}}}
	}
	before := figures{at: at, Stats: gateway.Stats{Loops: loops(10, 100)}}
	now := figures{at: at.Add(2 * time.Second), Stats: gateway.Stats{Loops: loops(15, 1100)}}
	want := loop{Transport: 1, Index: 2, Connections: 3, Tasks: 4, MailboxBytes: 5, Writes: 5, Written: 100}
	if got := loopsOf(before, now); len(got) != 1 || got[0] != want {
		t.Errorf("%+v", got)
	}
	want.Writes, want.Written = 0, 0 // what was before is not known
	if got := loopsOf(figures{}, now); len(got) != 1 || got[0] != want {
		t.Errorf("%+v", got)
	}
	now.Loops = slices.Repeat(now.Loops, 2*maxLoops)
	if got := loopsOf(before, now); len(got) != maxLoops {
		t.Errorf("%d rows", len(got))
	}
}

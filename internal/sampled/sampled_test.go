package sampled

import (
	"bytes"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// begin is when the tests' own time begins.
var begin = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// Each step is a time and how often something happens then. What is written says
// exactly what was left out before.
func TestSample(t *testing.T) {
	type step struct {
		at         time.Duration
		times      int
		written    int
		suppressed int64 // as the first that is written has it
	}
	const ms = time.Millisecond
	for name, tt := range map[string]struct {
		event *Event
		steps []step
	}{
		"a flood": {&Event{}, []step{
			{0, 1000, 5, 0}, {999 * ms, 10, 0, 0}, {1000 * ms, 10, 1, 1005}, {1999 * ms, 1, 0, 0}, {2000 * ms, 1, 1, 10}, {3000 * ms, 1, 1, 0},
		}},
		"a trickle": {&Event{}, []step{{0, 1, 1, 0}, {1000 * ms, 1, 1, 0}, {2000 * ms, 1, 1, 0}}},
		"a little too many": {&Event{}, []step{
			{0, 5, 5, 0}, {500 * ms, 1, 0, 0}, {1500 * ms, 1, 1, 1}, {1600 * ms, 1, 0, 0}, {2000 * ms, 1, 1, 1},
		}},
		"a quiet time":  {&Event{}, []step{{0, 7, 5, 0}, {time.Hour, 7, 5, 2}, {2 * time.Hour, 1, 1, 2}}},
		"a short quiet": {&Event{}, []step{{0, 7, 5, 0}, {3 * time.Second, 7, 3, 2}}},
		"one a minute":  {&Event{Burst: 1, Every: time.Minute}, []step{{0, 100, 1, 0}, {59 * time.Second, 1, 0, 0}, {time.Minute, 100, 1, 100}}},
		"a large burst": {&Event{Burst: 100}, []step{{0, 200, 100, 0}, {time.Second, 200, 1, 100}}},
		"a clock set back": {&Event{}, []step{
			{time.Hour, 4, 4, 0}, {0, 3, 0, 0}, {time.Hour, 3, 1, 3},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, s := range tt.steps {
				written, suppressed := 0, int64(0)
				for range s.times {
					n, ok := tt.event.At(begin.Add(s.at))
					if !ok {
						if n != 0 {
							t.Errorf("%v: %d suppressed, although nothing is written", s.at, n)
						}
						continue
					}
					if written++; written == 1 {
						suppressed = n
					} else if n != 0 {
						t.Errorf("%v: %d suppressed between two that were written at once", s.at, n)
					}
				}
				if written != s.written || suppressed != s.suppressed {
					t.Errorf("%v: %d of %d written and %d suppressed, want %d and %d", s.at, written, s.times, suppressed, s.written, s.suppressed)
				}
			}
		})
	}
}

func TestUnwritten(t *testing.T) {
	var e Event
	for range 8 {
		e.At(begin)
	}
	n, ok := e.At(begin.Add(time.Second))
	if !ok || n != 3 {
		t.Fatalf("%d, %v, want 3", n, ok)
	}
	e.Unwritten(n)
	if n, ok := e.At(begin.Add(2 * time.Second)); !ok || n != 4 {
		t.Errorf("%d, %v, want 4: the three, and the one that was not written", n, ok)
	}
}

// However many take part, what is written and what it says was left out is all.
func TestSampleIsExact(t *testing.T) {
	const goroutines, each = 8, 2000
	e := Event{Every: time.Microsecond}
	var told atomic.Int64
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			for range each {
				if n, ok := e.Next(); ok {
					told.Add(n + 1)
				}
			}
		})
	}
	all.Wait()
	n, ok := e.At(time.Now().Add(time.Hour))
	if !ok || told.Load()+n != goroutines*each {
		t.Errorf("%d told of, and %d left, of %d (%v)", told.Load(), n, goroutines*each, ok)
	}
}

func TestEventsAreApartAndFew(t *testing.T) {
	var es Events
	for range 10 {
		es.Of("often").At(begin)
	}
	if _, ok := es.Of("seldom").At(begin); !ok {
		t.Error("one name hides another")
	}
	if n, ok := es.Of("often").At(begin.Add(time.Second)); !ok || n != 5 {
		t.Errorf("%d, %v, want 5", n, ok)
	}
	for i := range 10 * maxNames {
		es.Of(strconv.Itoa(i))
	}
	if len(es.byName) != maxNames || es.Of("one more") != es.Of("and another") {
		t.Errorf("%d names are kept, want %d", len(es.byName), maxNames)
	}
}

// Whatever net/http says is one event, and there is no flood of it.
func TestErrorLog(t *testing.T) {
	var got bytes.Buffer
	l := ErrorLog(slog.New(slog.NewJSONHandler(&got, nil)))
	for range 100 {
		l.Printf("http: TLS handshake error from %s: %s", "127.0.0.1:1", "EOF")
	}
	records := slices.Collect(strings.Lines(got.String()))
	if len(records) < 5 || len(records) > 10 {
		t.Errorf("%d records of 100 lines", len(records))
	}
	for _, r := range records {
		if !strings.Contains(r, `"level":"WARN","msg":"http server error","text":"http: TLS handshake error from 127.0.0.1:1: EOF"`) {
			t.Error(r)
		}
	}
}

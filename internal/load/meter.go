package load

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sluicegate/sluice/internal/load/process"
)

// maxShards bounds the memory of a meter: each has some 200 kB for a class.
const maxShards = 16

// A meter measures a run. Classes are the things that take time in it, such as a
// delivery and a handshake; the leading ones are its operations.
type meter struct {
	epoch   time.Time // all times are since then
	classes []string
	counted int // so many classes are operations
	pid     int // of the server, 0 if it is not known
	shards  []*shard

	total  []*hdrhistogram.Histogram
	begun  time.Duration
	before process.Usage // when the measured phase began
	prev   process.Usage // at the last cut
	server *Server
	series []Second
	ops    int64
	err    error // of reading what the server uses
}

func newMeter(epoch time.Time, classes []string, counted, pid int) *meter {
	m := &meter{epoch: epoch, classes: classes, counted: counted, pid: pid}
	for range min(runtime.GOMAXPROCS(0), maxShards) {
		m.shards = append(m.shards, newShard(len(classes)))
	}
	m.total = histograms(len(classes))
	if pid != 0 {
		m.server = &Server{}
	}
	return m
}

func histograms(n int) []*hdrhistogram.Histogram {
	all := make([]*hdrhistogram.Histogram, n)
	for i := range all {
		all[i] = newHistogram()
	}
	return all
}

func (m *meter) now() time.Duration { return time.Since(m.epoch) }

// shard is where client i records.
func (m *meter) shard(i int) *shard { return m.shards[i%len(m.shards)] }

// read returns what the server has used, or zero if that is not known: then or
// from now on.
func (m *meter) read() process.Usage {
	if m.server == nil {
		return process.Usage{}
	}
	u, err := process.Read(m.pid)
	if err != nil {
		m.server, m.err = nil, err
	}
	return u
}

// begin begins the measured phase. What was recorded before counts as latency and
// not as operations.
func (m *meter) begin() {
	for _, s := range m.shards {
		s.cut(m.total)
	}
	m.before = m.read()
	m.prev, m.begun = m.before, m.now()
}

// cut ends a step of the series.
func (m *meter) cut() Second {
	step := histograms(len(m.classes))
	for _, s := range m.shards {
		s.cut(step)
	}
	now, used := m.now(), m.read()
	var ops int64
	for i, h := range step {
		m.total[i].Merge(h)
		if i < m.counted {
			ops += h.TotalCount()
		}
	}
	m.ops += ops
	for _, h := range step[1:max(1, m.counted)] {
		step[0].Merge(h)
	}
	first := latency("", step[0])
	s := Second{At: now - m.begun, Operations: ops, P50: first.P50, P90: first.P90, P99: first.P99, Max: first.Max}
	if m.server != nil {
		s.User, s.System, s.RSS = used.User-m.prev.User, used.System-m.prev.System, used.RSS
		m.server.RSSPeak = max(m.server.RSSPeak, used.RSS)
	}
	m.prev = used
	m.series = append(m.series, s)
	return s
}

// during measures the phase that play is, after begin, and cuts the series every
// second, which it tells progress of.
func (m *meter) during(ctx context.Context, play func(context.Context) error, progress func(Second)) error {
	played := make(chan error, 1)
	go func() { played <- play(ctx) }()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			progress(m.cut())
		case err := <-played:
			m.cut()
			return err
		}
	}
}

// report fills in what was measured.
func (m *meter) report(r *Result) {
	last := m.begun
	for _, s := range m.shards {
		last = max(last, s.last)
	}
	r.Took, r.Operations, r.Series = last-m.begun, m.ops, m.series
	if m.ops == 0 && len(m.series) > 0 {
		r.Took = m.series[len(m.series)-1].At
	}
	for i, name := range m.classes {
		r.Latencies = append(r.Latencies, latency(name, m.total[i]))
	}
	if m.server != nil {
		m.server.User, m.server.System = m.prev.User-m.before.User, m.prev.System-m.before.System
	}
	r.Server = m.server
	if m.err != nil && !errors.Is(m.err, process.ErrUnknown) {
		r.Notes = append(r.Notes, fmt.Sprintf("what the server used is not known: %v", m.err))
	}
}

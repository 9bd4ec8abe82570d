package admin

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/hooks/remote"
	"github.com/sluicegate/sluice/transport"
)

const (
	// tablePause is the least time between two tables, and tableEvery the usual.
	// They take a share of the time of 1 in tableShare at most.
	tablePause = time.Second
	tableEvery = 3 * time.Second
	tableShare = 50
	// maxRows bounds each table, and maxTopics the topics that are counted for
	// one: that holds the registry up.
	maxRows   = 20
	maxTopics = 20_000
	// maxProcesses and maxLoops bound what an operator has chosen the number of.
	maxProcesses, maxLoops = 100, 256
	// maxText bounds names in tables, in bytes.
	maxText = 256
)

// loopKey names a loop.
type loopKey struct{ transport, index int }

// tabling takes tables until ctx ends, while somebody looks.
func (l *live) tabling(ctx context.Context) {
	next := time.NewTimer(tableEvery)
	defer next.Stop()
	for {
		select {
		case <-next.C:
		case <-l.wake:
		case <-ctx.Done():
			return
		}
		every, begin := tableEvery, time.Now()
		if l.watched() {
			l.tabulate(ctx)
			every = max(every, tableShare*time.Since(begin))
		}
		next.Reset(every)
		select { // pages that come and go do not have it run all the time
		case <-time.After(tablePause):
		case <-ctx.Done():
			return
		}
	}
}

// tabulate takes the tables and sends them to all pages.
func (l *live) tabulate(ctx context.Context) {
	now := l.read()
	t := &tables{Type: "tables", Time: now.at.UnixMilli(), Totals: totalsOf(now)}
	l.topics(ctx, t)
	l.slow(ctx, t)
	if l.cfg.Remote != nil {
		t.Processes = processesOf(l.cfg.Remote.Processes())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	t.Loops = loopsOf(l.before, now)
	l.table = t
	l.publish(ctx, t)
}

func totalsOf(f figures) totals {
	t := totals{
		Opened: f.Opened, Closed: f.Closed, Heartbeats: f.Heartbeats, In: f.MessagesIn, Out: f.MessagesOut,
		BytesIn: f.BytesIn, BytesOut: f.BytesOut, Drops: make(map[string]int64), Closes: make(map[string]int64),
	}
	for reason, n := range f.Drops {
		if n.Messages > 0 {
			t.Drops[string(reason)] = n.Messages
		}
	}
	for kind, n := range f.Closes {
		if n > 0 {
			t.Closes[kind.String()] += n
		}
	}
	return t
}

// slow fills in the clients for whom most waits, unless a loop does not answer in
// time.
func (l *live) slow(ctx context.Context, t *tables) {
	ctx, cancel := context.WithTimeout(ctx, tablePause)
	defer cancel()
	found, err := l.target.SlowClients(ctx, maxRows)
	t.SlowCut = err != nil
	for _, c := range found {
		s := slow{UniqID: c.UniqID, Waiting: c.Waiting}
		s.CustomerID, _ = cut(c.CustomerID, maxText)
		t.Slow = append(t.Slow, s)
	}
}

// processesOf returns the rows of the first processes.
func processesOf(all []remote.ProcessInfo) (rows []process) {
	for _, p := range all[:min(len(all), maxProcesses)] {
		rows = append(rows, process{
			ID: p.ConnID, RemoteAddr: p.RemoteAddr, Events: p.Events, Clients: p.Clients,
			QueuedEvents: p.QueuedEvents, QueuedBytes: p.QueuedBytes, Sent: p.Sent, Since: p.Since.UnixMilli(), Leaving: p.Leaving,
		})
	}
	return rows
}

// loopsOf returns the rows of the first loops, with what they have written since
// before.
func loopsOf(before, now figures) (rows []loop) {
	seconds, flushes := now.at.Sub(before.at).Seconds(), make(map[loopKey]transport.Histogram)
	for _, s := range before.Loops {
		flushes[loopKey{s.Transport, s.Index}] = s.Flushes
	}
	for _, s := range now.Loops[:min(len(now.Loops), maxLoops)] {
		row := loop{
			Transport: s.Transport, Index: s.Index, Connections: s.Connections, Tasks: s.Tasks, MailboxBytes: s.MailboxBytes,
		}
		was, known := flushes[loopKey{s.Transport, s.Index}]
		if d := s.Flushes.Since(was); known && d.Count() > 0 && seconds > 0 {
			row.Writes, row.Written = round(float64(d.Count())/seconds), round(d.Sum/float64(d.Count()))
		}
		rows = append(rows, row)
	}
	return rows
}

// topics fills in the largest topics, of the clients of this gateway: the others of
// a cluster are not asked every few seconds.
func (l *live) topics(ctx context.Context, t *tables) {
	own := hooks.Local(l.target)
	if n, err := own.TopicCount(ctx); err != nil || n > maxTopics {
		t.TopicsCut = true
		return
	}
	counts, err := own.TopicUniqIDCounts(ctx, nil, true)
	if err != nil {
		t.TopicsCut = true
		return
	}
	top := make([]topic, 0, maxRows+1)
	for name, n := range counts {
		this := topic{name, n}
		if len(top) == maxRows && larger(top[maxRows-1], this) < 0 {
			continue
		}
		at, _ := slices.BinarySearchFunc(top, this, larger)
		top = slices.Insert(top, at, this)
		top = top[:min(len(top), maxRows)]
	}
	t.Topics = top
	for i := range t.Topics {
		t.Topics[i].Name, _ = cut(t.Topics[i].Name, maxText)
	}
}

// larger orders topics by size, and those of one size by name.
func larger(a, b topic) int {
	return cmp.Or(cmp.Compare(b.Clients, a.Clients), cmp.Compare(a.Name, b.Name))
}

package admin

import (
	"cmp"
	"context"
	"slices"
	"time"
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
	maxTopics = 50_000
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
	l.mu.Lock()
	defer l.mu.Unlock()
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
	return t
}

// topics fills in the largest topics.
func (l *live) topics(ctx context.Context, t *tables) {
	if n, err := l.target.TopicCount(ctx); err != nil || n > maxTopics {
		t.TopicsCut = true
		return
	}
	counts, err := l.target.TopicUniqIDCounts(ctx, nil, true)
	if err != nil {
		t.TopicsCut = true
		return
	}
	all := make([]topic, 0, len(counts))
	for name, n := range counts {
		all = append(all, topic{name, n})
	}
	slices.SortFunc(all, func(a, b topic) int {
		return cmp.Or(cmp.Compare(b.Clients, a.Clients), cmp.Compare(a.Name, b.Name))
	})
	t.Topics = all[:min(len(all), maxRows)]
	for i := range t.Topics {
		t.Topics[i].Name, _ = cut(t.Topics[i].Name, maxText)
	}
}

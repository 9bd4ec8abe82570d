package gateway

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/sluicegate/sluice/registry"
	"github.com/sluicegate/sluice/transport"
)

// A SlowClient is a client for whom something waits.
type SlowClient struct {
	// UniqID names the client.
	UniqID string
	// CustomerID is the customer that it belongs to, empty if none.
	CustomerID string
	// Waiting is how many bytes were sent to it and not yet taken by its
	// socket.
	Waiting int
}

// SlowClients returns those n clients for whom most waits, the worst first, and fewer
// if for others nothing does. It looks at every client, on the loops and between
// what else they do, which takes some milliseconds for 100,000. It waits for that
// until ctx ends, and must not be called on a loop. If a loop stops meanwhile, its
// clients are left out.
func (g *Gateway) SlowClients(ctx context.Context, n int) ([]SlowClient, error) {
	if n <= 0 {
		return nil, errors.New("gateway: SlowClients was asked for none; ask for one or more")
	}
	var all []SlowClient
	var searches []*search
	for _, a := range g.reg.Everyone(nil) {
		s := &search{g: g, audience: a, most: n, over: make(chan struct{})}
		if a.Loop().PostAlways(s) != nil {
			a.Release()
			continue
		}
		searches = append(searches, s)
	}
	for _, s := range searches {
		select {
		case <-s.over:
			all = append(all, s.found...)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	slices.SortFunc(all, slowest)
	return slices.Clip(all[:min(n, len(all))]), nil
}

func slowest(a, b SlowClient) int {
	return cmp.Or(b.Waiting-a.Waiting, cmp.Compare(a.UniqID, b.UniqID))
}

// A search looks for the slowest clients of one loop.
type search struct {
	g        *Gateway
	audience registry.Audience
	most     int
	next     int
	found    []SlowClient
	end      sync.Once
	over     chan struct{} // closed when found is complete
}

var _ transport.Task = (*search)(nil)

// Run implements transport.Task.
func (s *search) Run(budget int) (steps int, done bool) {
	clients := s.audience.Clients()
	end := min(len(clients), s.next+budget)
	steps = end - s.next
	for ; s.next < end; s.next++ {
		c := clients[s.next]
		waiting := c.Conn().Waiting()
		if waiting == 0 {
			continue
		}
		s.found = append(s.found, SlowClient{UniqID: c.UniqID(), CustomerID: s.g.reg.Info(c).CustomerID, Waiting: waiting})
		if len(s.found) >= 2*s.most {
			s.keepMost()
		}
	}
	if done = s.next == len(clients); done {
		s.keepMost()
		s.finish()
	}
	return steps, done
}

func (s *search) keepMost() {
	slices.SortFunc(s.found, slowest)
	s.found = s.found[:min(s.most, len(s.found))]
}

func (s *search) finish() {
	s.end.Do(func() {
		s.audience.Release()
		close(s.over)
	})
}

// Weight implements transport.Task.
func (s *search) Weight() (recipients, bytes int) { return len(s.audience.Clients()), 0 }

// Drop implements transport.Task.
func (s *search) Drop() { s.finish() }

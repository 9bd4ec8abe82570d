package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/sluicegate/sluice/hooks"
)

// join returns the Bus that the gateway's commands go to: its own, or that of its
// cluster.
func (g *Gateway) join() (hooks.Bus, error) {
	if g.cfg.Cluster == nil {
		return local{g}, nil
	}
	bus, err := g.cfg.Cluster.Join(hooks.Member{Node: g.cfg.Node, Local: local{g}, Logger: g.log})
	if err != nil {
		return nil, fmt.Errorf("gateway: Config.Cluster: %w", err)
	}
	return bus, nil
}

// enterCluster runs the cluster, if there is one, and returns when clients may be
// accepted, or ctx has ended, or a drain was asked for. leave ends it. If it ends by
// itself, stop is called.
func (g *Gateway) enterCluster(ctx context.Context, stop context.CancelCauseFunc) (leave func(), err error) {
	if g.cfg.Cluster == nil {
		return func() {}, nil
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ready, done := make(chan struct{}), make(chan struct{})
	var failed error // of Run; to be looked at when done is closed
	go func() {
		defer close(done)
		if failed = g.runCluster(running, sync.OnceFunc(func() { close(ready) })); failed == nil {
			failed = errors.New("the cluster ended before the gateway did")
		}
		failed = fmt.Errorf("gateway: Config.Cluster: %w", failed)
		if running.Err() == nil {
			g.advance(StatusDraining)
			stop(failed)
		}
	}()
	leave = func() {
		cancel()
		<-done
	}
	select {
	case <-done:
		cancel()
		return nil, failed
	case <-ready:
	case <-ctx.Done():
	case <-g.drainAsked:
	}
	return leave, nil
}

// runCluster turns a panic into an error.
func (g *Gateway) runCluster(ctx context.Context, ready func()) (err error) {
	defer g.rescue("cluster", "", func(e error) { err = e })
	return g.cfg.Cluster.Run(ctx, ready)
}

// want tells the cluster, if there is one, that a client is about to be subscribed
// to topics. It waits where ctx allows it until they are heard of.
func (g *Gateway) want(ctx context.Context, uniqID string, topics []string) {
	if g.cfg.Cluster == nil || len(topics) == 0 || g.tooLong(topics...) {
		return
	}
	if _, ok := g.reg.Lookup(uniqID); ok {
		g.cfg.Cluster.Want(ctx, topics)
	}
}

// wantFirst is want for what hooks have a client subscribed to from its beginning.
func (g *Gateway) wantFirst(ctx context.Context, o *origin) {
	if t := o.identity.Topics; g.cfg.Cluster != nil && len(t) > 0 && len(t) <= g.cfg.MaxTopics && !g.tooLong(t...) {
		g.cfg.Cluster.Want(ctx, t)
	}
}

// wantStill is told when the registry has the topics that were wanted before, which
// the cluster may have given up if that took long. It does not wait.
func (g *Gateway) wantStill(topics []string) {
	if g.cfg.Cluster != nil && len(topics) > 0 {
		g.cfg.Cluster.Want(g.inline, topics)
	}
}

// unwant tells the cluster, if there is one, that a client is no longer subscribed
// to topics.
func (g *Gateway) unwant(topics []string) {
	if g.cfg.Cluster != nil && len(topics) > 0 {
		g.cfg.Cluster.Unwant(topics)
	}
}

// topicsOf returns what a client subscribes to, if the cluster is to be told later.
func (g *Gateway) topicsOf(uniqID string) []string {
	if g.cfg.Cluster == nil {
		return nil
	}
	c, ok := g.reg.Lookup(uniqID)
	if !ok {
		return nil
	}
	return slices.Clone(g.reg.Info(c).Topics)
}

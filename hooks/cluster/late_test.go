package cluster_test

import (
	"context"
	"testing"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/await"
)

// chaperon subscribes each client to a topic when it may come in.
type chaperon struct {
	asked, let chan struct{}
	topic      string
}

func (c *chaperon) Admit(context.Context, hooks.OpenEvent) (hooks.Admission, error) {
	c.asked <- struct{}{}
	<-c.let
	return hooks.Admission{Identity: hooks.Identity{Topics: []string{c.topic}}}, nil
}

// A topic that is given up between the word that a client subscribes to it and the
// client's subscription, as its loop was held up, is wanted again.
func TestLateSubscription(t *testing.T) {
	e := startEngine(t)
	c := &chaperon{make(chan struct{}), make(chan struct{}), "t"}
	cfg := quick(e)
	cfg.Linger = 200 * time.Millisecond
	a := join(t, cfg, func(g *gateway.Config) { g.Hooks = []any{c} })
	b := join(t, quick(e))
	a.awaitNodes(t, 2)
	topics := func(n int) {
		await.Until(t, func() string {
			if a.Stats().Cluster.Topics != n {
				return "the node does not want as many topics as it should"
			}
			return ""
		})
	}
	client := a.Connect("/ws")
	<-c.asked
	thaw := a.Freeze()
	close(c.let)
	topics(1)
	topics(0) // nobody has come
	thaw()
	client.Expect(client.ID())
	topics(1)
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		client.Expect("news")
	}()
	for told := false; !told; { // interest spreads in its time
		must(t, b.Publish(t.Context(), []string{"t"}, []byte("news")))
		select {
		case <-heard:
			told = true
		case <-time.After(10 * time.Millisecond):
		}
	}
}

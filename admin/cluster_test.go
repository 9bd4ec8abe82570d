package admin

import (
	"fmt"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks/cluster"
	"github.com/sluicegate/sluice/internal/natstest"
)

// The page of one gateway of a cluster shows that gateway, and finds and acts on the
// clients of all.
func TestPageOfACluster(t *testing.T) {
	nats := natstest.Start(t).ClientURL()
	var sites []*site
	for range 2 {
		sites = append(sites, start(t, Config{Token: token, Actions: true}, func(g *gateway.Config) {
			c, err := cluster.New(cluster.Config{Servers: nats, Heartbeat: 100 * time.Millisecond, MissedHeartbeats: 100})
			must(t, err)
			g.Cluster = c
		}))
	}
	for _, s := range sites {
		for began := time.Now(); s.gw.Stats().Cluster.Nodes != 2; time.Sleep(time.Millisecond) {
			if time.Since(began) > wait {
				t.Fatal("the nodes do not know each other")
			}
		}
	}
	here, there := sites[0], sites[1]
	near := here.join(url.Values{"topic": {"news", "here"}, "customer": {"c"}})
	far := there.join(url.Values{"topic": {"news", "there"}, "customer": {"c"}})
	v := here.visit()

	var tb tables
	for len(tb.Topics) < 2 {
		tb = next[tables](v, "tables")
	}
	if !slices.Equal(tb.Topics, []topic{{"here", 1}, {"news", 1}}) {
		t.Errorf("topics: %+v", tb.Topics)
	}
	if s := next[sample](v, "sample"); s.Clients != 1 || s.Topics != 2 {
		t.Errorf("%+v", s)
	}

	if re := v.ask(request{Do: "find", UniqID: far.uniqID}); re.Error != "" || len(re.Clients) != 1 || fmt.Sprint(re.Clients[0].Topics) != "[news there]" {
		t.Errorf("find by uniqId: %+v", re)
	}
	if re := v.ask(request{Do: "find", CustomerID: "c"}); re.Error != "" || re.Total != 2 || len(re.Clients) != 2 {
		t.Errorf("find by customerId: %+v", re)
	}
	if re := v.ask(request{Do: "publish", Topic: "news", Text: "to all"}); re.Error != "" || re.Total != 2 {
		t.Errorf("publish to a topic: %+v", re)
	}
	if re := v.ask(request{Do: "publish", UniqID: far.uniqID, Text: "to one"}); re.Error != "" || re.Total != 1 {
		t.Errorf("publish to a client: %+v", re)
	}
	if re := v.ask(request{Do: "kick", UniqID: far.uniqID}); re.Error != "" {
		t.Errorf("kick: %+v", re)
	}
	if got := near.read(); got != "to all" {
		t.Error(got)
	}
	if got := far.read() + ", " + far.read(); got != "to all, to one" {
		t.Error(got)
	}
	if code := far.closed(); code != 1008 {
		t.Errorf("closed with %d", code)
	}
}

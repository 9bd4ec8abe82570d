package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/hooks/metrics"
	"github.com/sluicegate/sluice/hooks/remote"
	"github.com/sluicegate/sluice/protocol/business"
)

// A visitor speaks the page's protocol.
type visitor struct {
	*member
	hello hello
	ids   int64
}

// visit opens the page's WebSocket.
func (s *site) visit() *visitor {
	s.t.Helper()
	conn, _, err := websocket.DefaultDialer.Dial(strings.Replace(s.url, "http", "ws", 1)+"/live", http.Header{"Authorization": {"Bearer " + token}})
	must(s.t, err)
	s.t.Cleanup(func() { conn.Close() })
	v := &visitor{member: &member{t: s.t, conn: conn}}
	must(s.t, json.Unmarshal([]byte(v.read()), &v.hello))
	if v.hello.Type != "hello" {
		s.t.Fatalf("the first message is %q", v.hello.Type)
	}
	return v
}

// next returns the next message of a type, and passes over others.
func next[T any](v *visitor, kind string) (m T) {
	v.t.Helper()
	for {
		text := v.read()
		var head struct{ Type string }
		must(v.t, json.Unmarshal([]byte(text), &head))
		if head.Type == kind {
			must(v.t, json.Unmarshal([]byte(text), &m))
			return m
		}
	}
}

// ask sends a request and returns the reply.
func (v *visitor) ask(r request) reply {
	v.t.Helper()
	v.ids++
	r.ID = v.ids
	must(v.t, v.conn.WriteJSON(r))
	re := next[reply](v, "reply")
	if re.ID != r.ID {
		v.t.Fatalf("the reply is to %d, not %d", re.ID, r.ID)
	}
	return re
}

func TestLive(t *testing.T) {
	m := metrics.New(metrics.Config{})
	s := start(t, Config{Token: token, Name: "edge-1", Metrics: m}, func(g *gateway.Config) { g.Hooks = append(g.Hooks, m) })
	v := s.visit()
	if h := v.hello; h.Version != version || h.Name != "edge-1" || h.Actions || !h.Handlers || h.Processes || !h.Token || h.Interval != 1000 || h.Window != window {
		t.Errorf("%+v", h)
	}
	first := next[sample](v, "sample")
	if first.Status != "serving" || first.Clients != 0 || first.HeldLimit == 0 || first.Workers.Limit == 0 {
		t.Errorf("%+v", first)
	}

	// What clients do is in the next samples, and all of it.
	a := s.join(url.Values{"topic": {"news", "<b>"}, "customer": {"c1"}})
	s.join(url.Values{"topic": {"news"}})
	for range 20 {
		must(t, a.conn.WriteMessage(websocket.TextMessage, []byte("hello")))
		a.read()
	}
	must(t, s.gw.SingleCast(t.Context(), "nobody", []byte("x")))
	var opened, in, out, dropped, handled float64
	last, prev := sample{}, first
	for in < 19.9 || last.Clients != 2 {
		last = next[sample](v, "sample")
		took := float64(last.Time-prev.Time) / 1000
		opened, in, out, handled = opened+last.Opened*took, in+last.In*took, out+last.Out*took, handled+last.Handled*took
		dropped += last.Drops[string(hooks.DropUnknown)] * took
		prev = last
	}
	for name, c := range map[string][2]float64{"opened": {opened, 2}, "in": {in, 20}, "out": {out, 22}, "dropped": {dropped, 1}, "handled": {handled, 22}} {
		if c[0] < c[1]*.98 || c[0] > c[1]*1.02 {
			t.Errorf("%s: %v, want %v", name, c[0], c[1])
		}
	}
	if last.Customers != 1 || last.Topics != 2 {
		t.Errorf("%+v", last)
	}

	// The tables, for those who came before and those who come now.
	var tb tables
	for len(tb.Topics) < 2 {
		tb = next[tables](v, "tables")
	}
	if !slices.Equal(tb.Topics, []topic{{"news", 2}, {"<b>", 1}}) || tb.TopicsCut {
		t.Errorf("topics: %+v", tb.Topics)
	}
	if len(tb.Loops) != 1 || tb.Loops[0].Connections != 2 {
		t.Errorf("loops: %+v", tb.Loops)
	}
	if tb.Totals.In != 20 || tb.Totals.Opened != 2 || tb.Totals.Drops["unknown"] != 1 {
		t.Errorf("totals: %+v", tb.Totals)
	}
	w := s.visit()
	if w.hello.Tables == nil || len(w.hello.Tables.Topics) != 2 {
		t.Errorf("hello has the tables %+v", w.hello.Tables)
	}
	if n := len(w.hello.History); n == 0 || w.hello.History[n-1].Time < last.Time {
		t.Errorf("hello has a history of %d", n)
	}
	if after := next[sample](w, "sample"); after.Time <= w.hello.History[len(w.hello.History)-1].Time {
		t.Error("a sample is there twice")
	}

	// At the end, pages are told that it may come back.
	must(t, s.stop())
	if code := v.closed(); code != 1012 {
		t.Errorf("closed with %d", code)
	}
	if log := s.log.String(); log != "" { // the gateway of the pages is no gateway that an operator has
		t.Errorf("logged: %s", log)
	}
}

func TestFind(t *testing.T) {
	s := start(t, Config{Token: token})
	v := s.visit()
	topics := []string{}
	for i := range 60 {
		topics = append(topics, fmt.Sprintf("t%02d", i))
	}
	a := s.join(url.Values{"topic": topics, "customer": {"one"}, "session": {strings.Repeat("é", 600)}})
	for range 25 {
		s.join(url.Values{"customer": {"many"}, "topic": topics})
	}
	re := v.ask(request{Do: "find", UniqID: a.uniqID})
	if re.Error != "" || re.Total != 1 || len(re.Clients) != 1 {
		t.Fatalf("%+v", re)
	}
	c := re.Clients[0]
	if c.UniqID != a.uniqID || c.CustomerID != "one" || c.TopicCount != 60 || !slices.Equal(c.Topics, topics[:maxShown]) ||
		c.Session != strings.Repeat("é", maxSession/2)+"…" || c.SessionCut != 1200-maxSession {
		t.Errorf("%+v", c)
	}
	re = v.ask(request{Do: "find", CustomerID: "many"})
	if re.Error != "" || re.Total != 25 || len(re.Clients) != maxFound || len(re.Clients[0].Topics) != maxShownEach || re.Clients[0].CustomerID != "many" {
		t.Errorf("%d of %d", len(re.Clients), re.Total)
	}
	for _, r := range []request{{Do: "find", UniqID: "nobody"}, {Do: "find", CustomerID: "nobody"}} {
		if re := v.ask(r); re.Error != "" || re.Total != 0 || len(re.Clients) != 0 {
			t.Errorf("%+v: %+v", r, re)
		}
	}
}

func TestActions(t *testing.T) {
	s := start(t, Config{Token: token, Actions: true})
	v := s.visit()
	if !v.hello.Actions {
		t.Error("hello does not allow actions")
	}
	a, b := s.join(url.Values{"topic": {"news"}}), s.join(url.Values{"topic": {"news"}})
	if re := v.ask(request{Do: "publish", Topic: "news", Text: "to all"}); re.Error != "" || re.Total != 2 {
		t.Errorf("%+v", re)
	}
	if re := v.ask(request{Do: "publish", UniqID: a.uniqID, Text: "to a"}); re.Error != "" || re.Total != 1 {
		t.Errorf("%+v", re)
	}
	if got := a.read() + ", " + a.read(); got != "to all, to a" {
		t.Error(got)
	}
	if got := b.read(); got != "to all" {
		t.Error(got)
	}
	if re := v.ask(request{Do: "publish", Topic: "nobody's", Text: "to nobody"}); re.Error != "" || re.Total != 0 {
		t.Errorf("%+v", re)
	}
	if re := v.ask(request{Do: "kick", UniqID: a.uniqID}); re.Error != "" {
		t.Errorf("%+v", re)
	}
	if code := a.closed(); code != 1008 {
		t.Errorf("closed with %d", code)
	}
	if re := v.ask(request{Do: "kick", UniqID: a.uniqID}); re.Error != errNobody.Error() {
		t.Errorf("again: %+v", re)
	}
	for _, c := range []struct {
		r    request
		want error
	}{
		{request{Do: "publish", Topic: "news"}, errNoText},
		{request{Do: "publish", Text: "x"}, errNoTarget},
		{request{Do: "publish", Topic: "news", UniqID: b.uniqID, Text: "x"}, errNoTarget},
		{request{Do: "publish", UniqID: a.uniqID, Text: "x"}, errNobody},
		{request{Do: "publish", Topic: "news", Text: strings.Repeat("x", maxPublish+1)}, errText},
		{request{Do: "kick"}, errNoID},
		{request{Do: "find"}, errNoID},
		{request{Do: "dance"}, errRequest},
	} {
		if re := v.ask(c.r); re.Error != c.want.Error() {
			t.Errorf("%+v: %+v", c.r, re)
		}
	}
	log := s.log.String()
	if !strings.Contains(log, `msg="admin kick" remoteAddr=127.0.0.1 uniqId=`+a.uniqID) || !strings.Contains(log, `msg="admin publish" remoteAddr=127.0.0.1 topic=news bytes=6`) {
		t.Error(log)
	}
	if strings.Contains(log, "to all") {
		t.Errorf("a body is logged: %s", log)
	}
}

// What is not allowed is not done, whatever a page asks for.
func TestReadOnly(t *testing.T) {
	s := start(t, Config{Token: token})
	v, a := s.visit(), s.join(url.Values{"topic": {"news"}})
	for _, r := range []request{{Do: "kick", UniqID: a.uniqID}, {Do: "publish", Topic: "news", Text: "x"}, {Do: "publish", UniqID: a.uniqID, Text: "x"}} {
		if re := v.ask(r); re.Error != errReadOnly.Error() {
			t.Errorf("%+v: %+v", r, re)
		}
	}
	must(t, a.conn.WriteMessage(websocket.TextMessage, []byte("still here")))
	if got := a.read(); got != "still here" {
		t.Errorf("the client got %q", got)
	}
}

func TestPagesAreHeldWithinBounds(t *testing.T) {
	s := start(t, Config{Token: token})
	v := s.visit()
	must(t, v.conn.WriteMessage(websocket.TextMessage, []byte("no JSON")))
	if re := next[reply](v, "reply"); re.Error != errRequest.Error() {
		t.Errorf("%+v", re)
	}
	for range 2 * maxRequests {
		_ = v.conn.WriteJSON(request{Do: "find", UniqID: "x"}) // it is closed on the way
	}
	if code := v.closed(); code != 1013 {
		t.Errorf("closed with %d", code)
	}
	v = s.visit()
	must(t, v.conn.WriteMessage(websocket.TextMessage, make([]byte, 20<<10)))
	if code := v.closed(); code != 1009 {
		t.Errorf("a large message: closed with %d", code)
	}
	for range maxPages {
		s.visit()
	}
	h := http.Header{"Authorization": {"Bearer " + token}}
	at := strings.Replace(s.url, "http", "ws", 1) + "/live"
	if _, r, err := websocket.DefaultDialer.Dial(at, h); err == nil || r.StatusCode != 503 {
		t.Errorf("one page too many: %v", err)
	}
	h.Set("Origin", "https://evil.example")
	if _, r, err := websocket.DefaultDialer.Dial(at, h); err == nil || r.StatusCode != 403 {
		t.Errorf("another origin: %v", err)
	}
}

// A page does not outlive its cookie.
func TestPageExpires(t *testing.T) {
	s := start(t, Config{Token: token})
	s.adm.gate.now = func() time.Time { return time.Now().Add(2*time.Second - sessionTime) }
	c := signedIn(t, s.adm, ask{host: s.adm.Addr().String()})
	s.adm.gate.now = time.Now
	conn, _, err := websocket.DefaultDialer.Dial(strings.Replace(s.url, "http", "ws", 1)+"/live", http.Header{"Cookie": {c.Name + "=" + c.Value}})
	must(t, err)
	defer conn.Close()
	if code := (&member{t: t, conn: conn}).closed(); code != 1008 {
		t.Errorf("closed with %d", code)
	}
}

func TestProcesses(t *testing.T) {
	rt, err := remote.Listen(remote.Config{Worker: remote.Listener{Addr: "127.0.0.1:0"}, Task: remote.Listener{Addr: "127.0.0.1:0"}})
	must(t, err)
	s := start(t, Config{Token: token, Remote: rt}, func(g *gateway.Config) { g.Router = rt })
	v := s.visit()
	if !v.hello.Processes {
		t.Error("hello has no processes")
	}
	c, err := business.New(business.Config{
		Gateways: []business.Gateway{{Worker: rt.WorkerAddr().String(), Task: rt.TaskAddr().String()}}, Router: hooks.RouterFuncs{}, Logger: s.log.logger(),
	})
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	var tb tables
	for len(tb.Processes) == 0 {
		tb = next[tables](v, "tables")
	}
	if p := tb.Processes[0]; p.ID == "" || p.RemoteAddr == "" || len(p.Events) != 3 || p.Since == 0 {
		t.Errorf("%+v", p)
	}
	cancel()
	within(t, ended, "the process's end")
}

// A gateway of which only some is asked.
type someGateway struct {
	target
	topics int
	slow   error
}

func (g someGateway) Stats() gateway.Stats                    { return gateway.Stats{} }
func (g someGateway) Status() gateway.Status                  { return gateway.StatusServing }
func (g someGateway) TopicCount(context.Context) (int, error) { return g.topics, nil }
func (g someGateway) SlowClients(context.Context, int) ([]gateway.SlowClient, error) {
	return []gateway.SlowClient{{UniqID: "a", CustomerID: strings.Repeat("c", 1000), Waiting: 7}}, g.slow
}

func (g someGateway) TopicUniqIDCounts(context.Context, []string, bool) (map[string]int, error) {
	m := make(map[string]int)
	for i := range g.topics {
		m[fmt.Sprintf("%05d", i)+strings.Repeat("x", 1000)] = i
	}
	return m, nil
}

func TestTablesAreBounded(t *testing.T) {
	l, err := newLive(Config{Logger: (&book{}).logger()})
	must(t, err)
	for _, n := range []int{0, 1000, maxTopics + 1} {
		l.target = someGateway{topics: n}
		l.tabulate(t.Context())
		tb := l.table
		if want := min(n, maxRows); n <= maxTopics && (len(tb.Topics) != want || tb.TopicsCut) || n > maxTopics && (tb.Topics != nil || !tb.TopicsCut) {
			t.Errorf("%d topics: %d, %v", n, len(tb.Topics), tb.TopicsCut)
		}
		if len(tb.Topics) > 0 && (tb.Topics[0].Clients != n-1 || len(tb.Topics[0].Name) > maxText+3) {
			t.Errorf("%+v", tb.Topics[0])
		}
		if len(tb.Slow) != 1 || len(tb.Slow[0].CustomerID) > maxText+3 {
			t.Errorf("%+v", tb.Slow)
		}
	}
	l.target = someGateway{slow: errors.New("busy")}
	if l.tabulate(t.Context()); !l.table.SlowCut {
		t.Error("that a loop is busy is not said")
	}
	for range window + 10 {
		l.sample(t.Context())
	}
	if len(l.ring) != window {
		t.Errorf("%d samples are kept", len(l.ring))
	}
}

// A node of a cluster, of which the whole is asked by those who find somebody.
type someNode struct{ target }

func (someNode) Local() hooks.Bus { return someGateway{topics: 3} }

func (someNode) Stats() gateway.Stats   { return gateway.Stats{} }
func (someNode) Status() gateway.Status { return gateway.StatusServing }
func (someNode) SlowClients(context.Context, int) ([]gateway.SlowClient, error) {
	return nil, nil
}

func (someNode) ConnInfoByCustomerID(context.Context, []string, hooks.ConnInfoFields) (map[string][]hooks.ConnInfo, error) {
	return map[string][]hooks.ConnInfo{"c": {{UniqID: "a"}}}, errors.New("one does not answer")
}

func (someNode) ConnInfo(context.Context, []string, hooks.ConnInfoFields) (map[string]hooks.ConnInfo, error) {
	return map[string]hooks.ConnInfo{"a": {UniqID: "a"}}, nil
}

// What is taken again and again asks nobody else; what is asked for once shows what
// came of it.
func TestOfACluster(t *testing.T) {
	l, err := newLive(Config{Logger: (&book{}).logger()})
	must(t, err)
	l.target = someNode{}
	l.sample(t.Context())
	if l.tabulate(t.Context()); len(l.table.Topics) != 3 {
		t.Errorf("%+v", l.table)
	}
	re := l.answer(t.Context(), page{}, []byte(`{"do":"find","customerId":"c"}`))
	if len(re.Clients) != 1 || re.Total != 1 || re.Error != "one does not answer" {
		t.Errorf("%+v", re)
	}
}

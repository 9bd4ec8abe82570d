package cluster_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/hooks/cluster"
	"github.com/sluicegate/sluice/internal/await"
	"github.com/sluicegate/sluice/internal/wsclient"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/gnet"
	"github.com/sluicegate/sluice/transport/websocket"
)

// asNode is the variable that makes a process of this test one of its nodes.
const asNode = "SLUICE_TEST_NODE"

// runNode is a node by itself, which ends when its input does, or is killed.
func runNode(servers string) error {
	gw, err := newTown(cluster.Config{Servers: servers, Heartbeat: 100 * time.Millisecond, MissedHeartbeats: 20})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-gw.Ready()
		fmt.Println(gw.Addrs()[0])
		_, _ = os.Stdin.Read(make([]byte, 1))
		cancel()
	}()
	return gw.Run(ctx)
}

// newTown makes a gateway whose clients do to each other what their messages say.
func newTown(cfg cluster.Config) (*gateway.Gateway, error) {
	joined, err := cluster.New(cfg)
	if err != nil {
		return nil, err
	}
	return gateway.New(gateway.Config{
		Transports: []transport.Transport{gnet.Listen("127.0.0.1:0")},
		Router:     hooks.RouterFuncs{OnOpen: townOpen, OnMessage: townMessage},
		Hooks:      []any{townIdentity{}},
		Cluster:    joined, DrainTime: -1, Logger: slog.New(slog.DiscardHandler),
	})
}

type townIdentity struct{}

func (townIdentity) Authenticate(_ context.Context, r *http.Request) (hooks.Identity, error) {
	q := r.URL.Query()
	return hooks.Identity{CustomerID: q.Get("customer"), Topics: q["topic"]}, nil
}

func townOpen(ctx context.Context, bus hooks.Bus, e hooks.OpenEvent) {
	_ = bus.SingleCast(ctx, e.UniqID, []byte("id "+e.UniqID))
}

// townMessage carries out "<verb> <names> <data>" and acknowledges it.
func townMessage(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
	verb, rest, _ := strings.Cut(string(e.Data), " ")
	list, text, _ := strings.Cut(rest, " ")
	names, data := strings.Split(list, ","), []byte(text)
	var err error
	switch verb {
	case "publish":
		err = bus.Publish(ctx, names, data)
	case "bulk":
		err = bus.PublishBulk(ctx, names, slices.Repeat([][]byte{data}, len(names)))
	case "customer":
		err = bus.SingleCastByCustomerID(ctx, names[0], data)
	case "cast":
		err = bus.Multicast(ctx, names, data)
	case "all":
		err = bus.Broadcast(ctx, data)
	}
	answer := "done"
	if err != nil && !errors.Is(err, cluster.ErrAway) {
		answer = "failed " + err.Error()
	}
	_ = hooks.Local(bus).SingleCast(ctx, e.UniqID, []byte(answer))
}

// A town is nodes with many clients, all of whom may speak and note what they hear.
type town struct {
	t       *testing.T
	nodes   int
	people  []*person
	byID    map[string]*person
	topics  [][]*person
	owners  map[string][]*person
	reading sync.WaitGroup
	ended   chan *person // has heard every node's end
}

type person struct {
	*wsclient.Conn
	town     *town
	id       string
	node     int
	number   int
	customer string
	done     chan string // answers to what it said
	ready    chan struct{}

	mu       sync.Mutex
	heard    map[[2]int]bool // speaker and number
	last     map[int]int
	due      map[[2]int]bool // what it should hear
	ends     int
	faults   []string
	gone     error
	speaking int
}

func newTownOf(t *testing.T, addrs []string, perNode, topics int) *town {
	w := &town{
		t: t, nodes: len(addrs), byID: make(map[string]*person), topics: make([][]*person, topics),
		owners: make(map[string][]*person), ended: make(chan *person, len(addrs)*perNode),
	}
	for i := range len(addrs) * perNode {
		p := &person{
			town: w, number: i, node: i % len(addrs), customer: "customer" + strconv.Itoa(i/2),
			done: make(chan string, 1), ready: make(chan struct{}),
			heard: make(map[[2]int]bool), due: make(map[[2]int]bool), last: make(map[int]int),
		}
		of := []int{i % topics, (i*7 + 1) % topics}
		raw, err := net.Dial("tcp", addrs[p.node])
		must(t, err)
		_ = raw.SetDeadline(time.Now().Add(5 * time.Minute))
		p.Conn, err = wsclient.Open(raw, wsclient.Request{Target: fmt.Sprintf("/?customer=%s&topic=t%d&topic=t%d", p.customer, of[0], of[1])})
		must(t, err)
		w.people = append(w.people, p)
		w.owners[p.customer] = append(w.owners[p.customer], p)
		for _, topic := range slices.Compact(of) {
			w.topics[topic] = append(w.topics[topic], p)
		}
		w.reading.Go(p.listen)
	}
	for _, p := range w.people {
		<-p.ready
		w.byID[p.id] = p
	}
	return w
}

func (p *person) listen() {
	for {
		_, data, err := p.ReadMessage()
		p.mu.Lock()
		if err != nil {
			p.gone = err
			p.mu.Unlock()
			close(p.done)
			return
		}
		text := string(data)
		verb, rest, _ := strings.Cut(text, " ")
		switch verb {
		case "id":
			p.id = rest
			close(p.ready)
		case "done", "failed":
			p.done <- text
		case "end":
			if p.ends++; p.ends == p.town.nodes {
				p.town.ended <- p
			}
		default:
			from, _ := strconv.Atoi(verb)
			seq, err := strconv.Atoi(rest)
			if key := [2]int{from, seq}; err != nil || seq < p.last[from] || p.heard[key] && !p.twice(seq) {
				p.faults = append(p.faults, fmt.Sprintf("%q behind %d", text, p.last[from]))
			} else {
				p.heard[key] = true
				p.last[from] = seq
			}
		}
		p.mu.Unlock()
	}
}

// twice reports whether a client may hear of a message twice: it went to two topics.
func (p *person) twice(seq int) bool { return seq%10 == 7 || seq%10 == 8 }

// say has p say its next message, and notes who should hear it.
func (p *person) say(pick func(int) int) error {
	p.speaking++
	w, seq := p.town, p.speaking
	topic := func() int { return pick(len(w.topics)) }
	var verb, names string
	var to []*person
	switch {
	case seq%100 == 50:
		verb, names, to = "all", "-", w.people
	case seq%10 == 7 || seq%10 == 8:
		verb = map[bool]string{true: "publish", false: "bulk"}[seq%10 == 7]
		a, b := topic(), topic()
		names, to = fmt.Sprintf("t%d,t%d", a, b), append(slices.Clone(w.topics[a]), w.topics[b]...)
	case seq%10 == 9:
		c := w.people[pick(len(w.people))].customer
		verb, names, to = "customer", c, w.owners[c]
	case seq%10 == 0:
		for range 5 {
			to = append(to, w.people[pick(len(w.people))])
		}
		slices.SortFunc(to, func(a, b *person) int { return a.number - b.number })
		to = slices.Compact(to)
		var ids []string
		for _, o := range to {
			ids = append(ids, o.id)
		}
		verb, names = "cast", strings.Join(ids, ",")
	default:
		a := topic()
		verb, names, to = "publish", fmt.Sprintf("t%d", a), w.topics[a]
	}
	key := [2]int{p.number, seq}
	for _, o := range to {
		o.mu.Lock()
		o.due[key] = true
		o.mu.Unlock()
	}
	if err := p.WriteMessage(websocket.OpText, fmt.Appendf(nil, "%s %s %d %d", verb, names, p.number, seq)); err != nil {
		return err
	}
	answer, ok := <-p.done
	if !ok {
		return errGone
	}
	if answer != "done" {
		return errors.New(answer)
	}
	return nil
}

var errGone = errors.New("the client is gone")

// speakers are a few people of each node.
func (w *town) speakers(perNode int) []*person { return w.people[:perNode*w.nodes] }

// talk has people speak, so many times each, and calls midway when half is said. Those
// of a node that may go may be cut short.
func (w *town) talk(who []*person, times int, midway func(), mayGo int) {
	var half, all sync.WaitGroup
	half.Add(len(who))
	for _, p := range who {
		all.Go(func() {
			told := false
			arrive := func() {
				if !told {
					told = true
					half.Done()
				}
			}
			defer arrive()
			rnd := uint64(p.number)*2862933555777941757 + 3037000493
			pick := func(n int) int {
				rnd = rnd*6364136223846793005 + 1442695040888963407
				return int((rnd >> 33) % uint64(n))
			}
			for i := range times {
				if err := p.say(pick); err != nil {
					if p.node != mayGo {
						w.t.Errorf("client %d: %v", p.number, err)
					}
					return
				}
				if i == times/2 {
					arrive()
				}
			}
		})
	}
	half.Wait()
	midway()
	all.Wait()
}

// end has a person of each node that is there say the end, and waits until everybody
// of those has heard all.
func (w *town) end(there []int) {
	w.t.Helper()
	want := 0
	for _, p := range w.people {
		if slices.Contains(there, p.node) {
			want++
		}
		p.mu.Lock()
		p.ends = w.nodes - len(there)
		p.mu.Unlock()
	}
	for _, n := range there {
		p := w.people[n]
		must(w.t, p.WriteMessage(websocket.OpText, []byte("all - end")))
		<-p.done
	}
	timeout := time.After(3 * wait)
	for range want {
		select {
		case <-w.ended:
		case <-timeout:
			w.t.Fatal("not everybody has heard the end")
		}
	}
}

// audit checks what people of a node have heard of those of others: nothing twice, out
// of order or uncalled for. It returns the messages that the node has missed: those
// of which none of its people has heard that should have.
func (w *town) audit(node int, from func(node int) bool) (missed, heard int) {
	w.t.Helper()
	due, got := make(map[[2]int]int), make(map[[2]int]int)
	for _, p := range w.people {
		if p.node != node {
			continue
		}
		p.mu.Lock()
		for _, f := range p.faults {
			w.t.Errorf("client %d heard %s", p.number, f)
		}
		p.faults = nil
		for key := range p.heard {
			if !p.due[key] {
				w.t.Errorf("client %d heard %v, which was not for it", p.number, key)
			}
		}
		for key := range p.due {
			if !from(w.people[key[0]].node) {
				continue
			}
			due[key]++
			if p.heard[key] {
				got[key]++
			}
		}
		p.mu.Unlock()
	}
	for key, n := range due {
		switch got[key] {
		case n:
			heard += n
		case 0:
			missed++
		default:
			// A message to two topics, or in two parts of a bulk, is two messages.
			if s := key[1] % 10; s == 7 || s == 8 {
				missed++
				continue
			}
			w.t.Errorf("%d of %d people of node %d have heard %v", got[key], n, node, key)
		}
	}
	return missed, heard
}

// Three nodes, a thousand clients each, a thousand topics, and all ways to reach
// somebody: everybody hears everything once and in each speaker's order. Then a
// node is killed midway, which costs its own clients only; then NATS restarts
// midway, which costs what is counted.
func TestTown(t *testing.T) {
	perNode, topics, times := 1000, 1000, 300
	if raceDetector {
		perNode, topics, times = 200, 200, 100
	}
	e := startEngine(t)
	cfg := quick(e)
	var addrs []string
	var gateways []*gateway.Gateway
	for range 2 {
		gw, err := newTown(cfg)
		must(t, err)
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- gw.Run(ctx) }()
		t.Cleanup(func() {
			cancel()
			must(t, <-ended)
		})
		<-gw.Ready()
		gateways, addrs = append(gateways, gw), append(addrs, gw.Addrs()[0].String())
	}
	child, addr := startNode(t, e.url())
	addrs = append(addrs, addr)
	await.Until(t, func() string {
		for _, gw := range gateways {
			if gw.Stats().Cluster.Nodes != 3 {
				return "not all nodes are there"
			}
		}
		return ""
	})
	w := newTownOf(t, addrs, perNode, topics)
	t.Cleanup(func() {
		for _, p := range w.people {
			_ = p.Close()
		}
		w.reading.Wait()
	})
	speakers := w.speakers(10)
	anybody := func(int) bool { return true }

	begun := time.Now()
	w.talk(speakers, times, func() {}, -1)
	w.end([]int{0, 1, 2})
	total := 0
	for n := range 3 {
		missed, heard := w.audit(n, anybody)
		total += heard
		if missed != 0 {
			t.Errorf("node %d has missed %d messages", n, missed)
		}
	}
	t.Logf("calm: %d messages, heard %d times in %v", len(speakers)*times, total, time.Since(begun).Round(time.Millisecond))

	w.talk(speakers, times, func() {
		must(t, child.Process.Kill())
		_ = child.Wait()
	}, 2)
	w.end([]int{0, 1})
	for n := range 2 {
		if missed, _ := w.audit(n, func(from int) bool { return from != 2 }); missed != 0 {
			t.Errorf("as a node was killed, node %d has missed %d messages of those who live", n, missed)
		}
		if lost := gateways[n].Stats().Closed; lost != 0 {
			t.Errorf("as a node was killed, %d clients of node %d were closed", lost, n)
		}
	}
	speakers = slices.DeleteFunc(slices.Clone(speakers), func(p *person) bool { return p.node == 2 })
	await.Until(t, func() string {
		for _, gw := range gateways {
			if gw.Stats().Cluster.Nodes != 2 {
				return "the killed node was not missed"
			}
		}
		return ""
	})

	unheard := [2]int{}
	for n := range 2 {
		unheard[n], _ = w.audit(n, anybody) // of the killed node
	}
	w.talk(speakers, times*4, func() {
		e.stop()
		e.start()
	}, -1)
	await.Until(t, func() string {
		for _, gw := range gateways {
			if st := gw.Stats().Cluster; !st.Connected || st.Nodes != 2 {
				return "a node is not back"
			}
		}
		return ""
	})
	w.end([]int{0, 1})
	for n := range 2 {
		if missed, _ := w.audit(n, func(from int) bool { return from == n }); missed != 0 {
			t.Errorf("as NATS restarted, node %d has missed %d messages of its own", n, missed)
		}
		missed, _ := w.audit(n, anybody)
		lost := int64(missed - unheard[n])
		await.Until(t, func() string {
			if counted := gateways[n].Stats().Cluster.Missed + gateways[1-n].Stats().Cluster.Unsent; lost > counted {
				return fmt.Sprintf("node %d has missed %d messages, of which %d were counted", n, lost, counted)
			}
			return ""
		})
		t.Logf("as NATS restarted, node %d has missed %d messages; counted %d as missed, and %d as unsent by the other",
			n, lost, gateways[n].Stats().Cluster.Missed, gateways[1-n].Stats().Cluster.Unsent)
	}
}

// startNode starts a node as a process of its own.
func startNode(t *testing.T, servers string) (*exec.Cmd, string) {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^$")
	child.Env = append(os.Environ(), asNode+"="+servers)
	child.Stderr = os.Stderr
	in, err := child.StdinPipe()
	must(t, err)
	out, err := child.StdoutPipe()
	must(t, err)
	must(t, child.Start())
	t.Cleanup(func() {
		_ = in.Close()
		_ = child.Process.Kill()
		_ = child.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	must(t, err)
	return child, strings.TrimSpace(line)
}

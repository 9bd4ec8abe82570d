package soak

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/hooks/limit"
	"github.com/sluicegate/sluice/internal/wsclient"
	"github.com/sluicegate/sluice/registry"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/websocket"
)

// topics is how many there are; a client has two of them.
const topics = 50

// A world is a gateway under everything at once, and the books that are kept of
// it apart from its own.
type world struct {
	t  *testing.T
	gw *gateway.Gateway

	sent     atomic.Int64 // messages for clients, one for each that a command names or finds
	handled  atomic.Int64 // messages that the Router was given
	received atomic.Int64 // messages that clients have read
	opened   atomic.Int64
	closed   atomic.Int64

	mu  sync.Mutex
	ids []string // of clients that are open, more or less
}

// ledger counts, where a command takes them, whom it will send to.
type ledger struct {
	*registry.Memory
	sent *atomic.Int64
}

func (l ledger) count(before int, as []registry.Audience) []registry.Audience {
	for _, a := range as[before:] {
		l.sent.Add(int64(len(a.Clients())))
	}
	return as
}

func (l ledger) Everyone(dst []registry.Audience) []registry.Audience {
	return l.count(len(dst), l.Memory.Everyone(dst))
}

func (l ledger) Subscribers(dst []registry.Audience, topic string) []registry.Audience {
	n := len(dst)
	if dst = l.count(n, l.Memory.Subscribers(dst, topic)); len(dst) == n {
		l.sent.Add(1) // the gateway counts one for a topic that is not there
	}
	return dst
}

// Open implements hooks.Router.
func (w *world) Open(ctx context.Context, bus hooks.Bus, e hooks.OpenEvent) {
	w.opened.Add(1)
	w.mu.Lock()
	w.ids = append(w.ids, e.UniqID)
	w.mu.Unlock()
	n := rand.IntN(topics)
	w.sent.Add(1)
	err := bus.UpdateConnInfo(ctx, hooks.ConnInfoUpdate{
		UniqID: e.UniqID, NewSession: "session", NewCustomerID: "customer" + strconv.Itoa(n),
		NewTopics: []string{"t" + strconv.Itoa(n), "t" + strconv.Itoa((n+1)%topics), e.RawQuery}, Data: []byte("welcome"),
	})
	if err != nil && !errors.Is(err, hooks.ErrOverloaded) { // which is counted
		w.t.Errorf("UpdateConnInfo: %v", err)
	}
}

// Message implements hooks.Router: it echoes, and now and then does more.
func (w *world) Message(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
	w.handled.Add(1)
	w.sent.Add(1)
	_ = bus.SingleCast(ctx, e.UniqID, e.Data) // what is not taken is counted
	if len(e.Data) > 0 && e.Data[0]%16 == 0 && len(e.Topics) > 0 {
		_ = bus.Publish(ctx, e.Topics[:1], e.Data)
	}
}

// Close implements hooks.Router.
func (w *world) Close(_ context.Context, _ hooks.Bus, e hooks.CloseEvent) {
	w.closed.Add(1)
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, id := range w.ids {
		if id == e.UniqID {
			w.ids[i] = w.ids[len(w.ids)-1]
			w.ids = w.ids[:len(w.ids)-1]
			break
		}
	}
}

// some returns up to n ids.
func (w *world) some(n int) (ids []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for range min(n, len(w.ids)) {
		ids = append(ids, w.ids[rand.IntN(len(w.ids))])
	}
	return ids
}

// A manner is how a client behaves.
type manner struct {
	stays    bool          // to the end
	reads    time.Duration // pause between messages that it reads; negative: nothing at all
	writes   time.Duration // pause between its messages
	abrupt   bool          // hangs up without a word
	messages int           // that it writes before it goes
}

// client lives one life.
func (w *world) client(ctx context.Context, m manner) {
	target := "/"
	if m.reads != 0 {
		target = "/?slow"
	}
	c, err := connect(w.gw, target)
	if err != nil {
		if ctx.Err() == nil {
			w.t.Errorf("connect: %v", err)
		}
		return
	}
	defer c.Close()
	if m.reads != 0 {
		_ = c.Conn.(*net.TCPConn).SetReadBuffer(4 << 10) // so that it is slow soon
		// What sockets hold of it would take a minute to come through at the end.
		defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	}
	var reading sync.WaitGroup
	reading.Go(func() { w.read(ctx, c, m) })
	payload := bytes.Repeat([]byte{'x'}, 100)
	for i := 0; (m.stays || i < m.messages) && ctx.Err() == nil; i++ {
		payload[0] = byte('a' + i%26)
		if err := c.WriteMessage(websocket.OpText, payload[:20+rand.IntN(80)]); err != nil {
			break // the gateway has closed it
		}
		select {
		case <-time.After(m.writes/2 + rand.N(m.writes)):
		case <-ctx.Done():
		}
	}
	if !m.abrupt {
		_ = c.WriteClose(websocket.CloseNormal, "")
		reading.Wait()
		return
	}
	_ = c.Close()
	reading.Wait()
}

func (w *world) read(ctx context.Context, c *wsclient.Conn, m manner) {
	if m.reads < 0 {
		time.Sleep(3 * time.Second)
	}
	for {
		_, _, err := c.ReadMessage()
		if err != nil {
			if !m.abrupt && !isEnd(err) {
				w.t.Errorf("a client ended with %v", err)
			}
			// The gateway has begun the end: it is answered, so that it need not wait.
			_ = c.WriteClose(websocket.CloseNormal, "")
			return
		}
		w.received.Add(1)
		if m.reads > 0 && ctx.Err() == nil {
			time.Sleep(m.reads)
		}
	}
}

// command does what business code does from outside a handler.
func (w *world) command(ctx context.Context, turn int) {
	data := bytes.Repeat([]byte{'c'}, 50+rand.IntN(400))
	switch turn % 40 {
	case 0:
		_ = w.gw.Broadcast(ctx, data[:50])
	case 1, 2, 3:
		ids := append(w.some(50), "nobody")
		w.sent.Add(int64(len(ids)))
		_ = w.gw.Multicast(ctx, ids, data)
	case 4:
		_ = w.gw.ForceOffline(ctx, w.some(1), nil)
	case 5, 6:
		for _, id := range w.some(1) {
			topic := []string{"t" + strconv.Itoa(rand.IntN(topics)), "extra" + strconv.Itoa(rand.IntN(1000))}
			if err := w.gw.Subscribe(ctx, id, topic, nil); err != nil {
				w.t.Errorf("Subscribe: %v", err)
			}
		}
	case 7:
		_ = w.gw.DeleteTopics(ctx, []string{"extra" + strconv.Itoa(rand.IntN(1000))}, nil)
	case 8:
		if _, err := w.gw.TopicUniqIDCounts(ctx, nil, true); err != nil {
			w.t.Errorf("TopicUniqIDCounts: %v", err)
		}
	case 9, 10, 11, 12:
		_ = w.gw.PublishLatest(ctx, []string{"slow"}, strconv.Itoa(rand.IntN(3)), bytes.Repeat([]byte{'s'}, 16<<10))
	default:
		_ = w.gw.PublishLatest(ctx, []string{"t" + strconv.Itoa(rand.IntN(topics)), "extra" + strconv.Itoa(rand.IntN(2000))}, "key", data)
	}
}

// Everything at once, for a while: memory stays flat, the counters are exact, and
// all is gone in the end.
func TestSoak(t *testing.T) {
	clients, length := settings()
	for _, policy := range []transport.SlowPolicy{transport.SlowDropOldest, transport.SlowLatest} {
		t.Run(fmt.Sprint("policy ", policy), func(t *testing.T) { soak(t, policy, clients, length/2) })
	}
}

func soak(t *testing.T, policy transport.SlowPolicy, clients int, length time.Duration) {
	limiter, err := limit.New(limit.Config{ClientMessages: 20, ClientFirst: 30, OnMessage: 50_000})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t}
	reg := ledger{registry.NewMemory(), new(atomic.Int64)}
	gw, stop := start(t, gateway.Config{
		Router: w, Limiter: limiter, Registry: reg, Slow: policy, WriteLimit: 32 << 10, MailboxLimit: 1 << 20,
		OverloadWait: 50 * time.Millisecond, StallTimeout: 5 * time.Second, Compression: 1,
		DrainTime: 2 * time.Second,
	})
	w.gw = gw

	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			switch pace := time.Duration(clients) * time.Millisecond; {
			case i%10 == 0: // comes and goes
				for ctx.Err() == nil {
					w.client(ctx, manner{messages: 1 + rand.IntN(10), writes: pace / 2, abrupt: rand.IntN(4) == 0})
				}
			case i%50 == 1: // reads too slowly
				w.client(ctx, manner{stays: true, writes: pace, reads: 20 * time.Millisecond})
			case i%100 == 2: // reads nothing for a while, again and again
				for ctx.Err() == nil {
					w.client(ctx, manner{messages: 3, writes: pace, reads: -1})
				}
			case i%100 == 3: // sends too much
				w.client(ctx, manner{stays: true, writes: 20 * time.Millisecond})
			default:
				for ctx.Err() == nil { // it is put offline now and then
					w.client(ctx, manner{stays: true, writes: pace * 2})
				}
			}
		})
	}
	for range 2 {
		all.Go(func() {
			for turn := 0; ctx.Err() == nil; turn++ {
				w.command(context.Background(), turn)
				time.Sleep(time.Millisecond)
			}
		})
	}
	flat := w.weigh(ctx, length)
	all.Wait()
	ledgerSent := reg.sent.Load() // a drain asks the registry for everyone, too
	if err := stop(); err != nil {
		t.Error(err)
	}
	if flat != "" {
		t.Error(flat)
	}
	w.balance(w.sent.Load() + ledgerSent)
	reason := hooks.DropSlow
	if policy == transport.SlowLatest {
		reason = hooks.DropSuperseded
	}
	// Sockets take some megabytes before anybody is slow: not in every short run.
	if gw.Stats().Drops[reason].Messages == 0 && length >= time.Minute {
		t.Errorf("nobody was slow: nothing was dropped as %s", reason)
	}
}

// weigh watches memory and goroutines until ctx ends. It returns what grew.
func (w *world) weigh(ctx context.Context, length time.Duration) (grew string) {
	const looks = 24
	var bytes, routines []int64
	tick := time.NewTicker(length / looks)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			bytes = append(bytes, heap())
			routines = append(routines, int64(runtime.NumGoroutine()))
			continue
		case <-ctx.Done():
		}
		break
	}
	w.t.Logf("heap in kB over time: %v", inKB(bytes))
	w.t.Logf("goroutines over time: %v", routines)
	// The first third is for getting there.
	n := len(bytes) / 3
	if n == 0 {
		return "too short to tell"
	}
	if early, late := median(bytes[n:2*n]), median(bytes[2*n:]); late > early+early/4+4<<20 {
		return fmt.Sprintf("the heap grew from %d kB to %d kB", early>>10, late>>10)
	}
	if early, late := median(routines[n:2*n]), median(routines[2*n:]); late > early+early/4+100 {
		return fmt.Sprintf("there were %d goroutines, and then %d", early, late)
	}
	return ""
}

// balance compares the gateway's counters with the books.
func (w *world) balance(sent int64) {
	s := w.gw.Stats()
	var dropped int64
	for _, d := range s.Drops {
		dropped += d.Messages
	}
	w.t.Logf("%d clients came and went; %d messages for clients, %d read by them; %d from clients, %d handled; dropped %v",
		s.Opened, sent, w.received.Load(), s.MessagesIn, w.handled.Load(), s.Drops)
	if got, want := s.MessagesOut+w.handled.Load()+dropped, sent+s.MessagesIn; got != want {
		w.t.Errorf("written %d + handled %d + dropped %d = %d, want sent %d + received %d = %d",
			s.MessagesOut, w.handled.Load(), dropped, got, sent, s.MessagesIn, want)
	}
	// Those who hung up have not read all that their sockets took, or have read a
	// part of a write that failed.
	if n := w.received.Load(); n > s.MessagesOut+s.Drops[hooks.DropFailed].Messages {
		w.t.Errorf("clients have read %d messages, and only %d were written", n, s.MessagesOut)
	}
	if s.Clients != 0 || s.Opened != s.Closed || w.opened.Load() != s.Opened || w.closed.Load() != s.Closed || s.Held != 0 {
		w.t.Errorf("%d clients, %d opened, %d closed, %d bytes held; the Router saw %d and %d",
			s.Clients, s.Opened, s.Closed, s.Held, w.opened.Load(), w.closed.Load())
	}
	if s.MessagesIn == 0 || s.Drops[hooks.DropClientLimited].Messages == 0 || s.Drops[hooks.DropUnknown].Messages == 0 {
		w.t.Errorf("it was not much of a soak: %+v", s)
	}
}

func inKB(bytes []int64) (kB []int64) {
	for _, b := range bytes {
		kB = append(kB, b>>10)
	}
	return kB
}

func median(of []int64) int64 {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}

package room

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sluicegate/sluice/hooks"
)

// fakeBus is as much of a gateway as the handler uses, in memory. The nil
// interface inside makes a call of anything else panic.
type fakeBus struct {
	hooks.Bus

	mu    sync.Mutex
	conns map[string]*conn
	gone  []hooks.CloseEvent // connections forced offline whose Close is due
	// step, if set, is called before every command and query, without the
	// lock: tests let somebody else act there.
	step func()
}

type conn struct {
	info  hooks.ConnInfo
	inbox []map[string]any
}

func (b *fakeBus) lock() func() {
	if b.step != nil {
		b.step()
	}
	b.mu.Lock()
	return b.mu.Unlock
}

func (b *fakeBus) send(uniqID string, data []byte) {
	c, ok := b.conns[uniqID]
	if !ok || len(data) == 0 {
		return
	}
	var m map[string]any
	if err := json.Unmarshal(data, &m); err != nil {
		panic("not JSON: " + string(data))
	}
	c.inbox = append(c.inbox, m)
}

// each calls f for the connections that match, oldest id first.
func (b *fakeBus) each(match func(hooks.ConnInfo) bool, f func(*conn)) {
	for _, id := range slices.Sorted(maps.Keys(b.conns)) {
		if c := b.conns[id]; match(c.info) {
			f(c)
		}
	}
}

func (b *fakeBus) SingleCast(_ context.Context, uniqID string, data []byte) error {
	defer b.lock()()
	b.send(uniqID, data)
	return nil
}

func (b *fakeBus) Multicast(_ context.Context, uniqIDs []string, data []byte) error {
	defer b.lock()()
	for _, id := range uniqIDs {
		b.send(id, data)
	}
	return nil
}

func (b *fakeBus) Publish(_ context.Context, topics []string, data []byte) error {
	defer b.lock()()
	for _, t := range topics {
		b.each(holds(t), func(c *conn) { b.send(c.info.UniqID, data) })
	}
	return nil
}

func (b *fakeBus) Subscribe(_ context.Context, uniqID string, topics []string, data []byte) error {
	defer b.lock()()
	if c, ok := b.conns[uniqID]; ok {
		for _, t := range topics {
			if !slices.Contains(c.info.Topics, t) {
				c.info.Topics = append(slices.Clone(c.info.Topics), t)
			}
		}
		b.send(uniqID, data)
	}
	return nil
}

func (b *fakeBus) Unsubscribe(_ context.Context, uniqID string, topics []string, data []byte) error {
	defer b.lock()()
	if c, ok := b.conns[uniqID]; ok {
		c.info.Topics = slices.DeleteFunc(slices.Clone(c.info.Topics),
			func(t string) bool { return slices.Contains(topics, t) })
		b.send(uniqID, data)
	}
	return nil
}

func (b *fakeBus) UpdateConnInfo(_ context.Context, u hooks.ConnInfoUpdate) error {
	defer b.lock()()
	c, ok := b.conns[u.UniqID]
	if !ok {
		return nil
	}
	if u.NewSession != "" {
		c.info.Session = u.NewSession
	}
	if u.NewCustomerID != "" {
		c.info.CustomerID = u.NewCustomerID
	}
	if len(u.NewTopics) > 0 {
		c.info.Topics = slices.Clone(u.NewTopics)
	}
	b.send(u.UniqID, u.Data)
	return nil
}

func (b *fakeBus) DeleteConnInfo(_ context.Context, d hooks.ConnInfoDelete) error {
	defer b.lock()()
	c, ok := b.conns[d.UniqID]
	if !ok {
		return nil
	}
	if d.CustomerID {
		c.info.CustomerID = ""
	}
	if d.Session || d.Topics {
		panic("not used by the chat")
	}
	b.send(d.UniqID, d.Data)
	return nil
}

func (b *fakeBus) ForceOffline(_ context.Context, uniqIDs []string, data []byte) error {
	defer b.lock()()
	for _, id := range uniqIDs {
		b.send(id, data)
		b.drop(id)
	}
	return nil
}

// drop takes a connection off the lists and notes the Close that is due.
func (b *fakeBus) drop(uniqID string) {
	if c, ok := b.conns[uniqID]; ok {
		i := c.info
		b.gone = append(b.gone, hooks.CloseEvent{
			UniqID: i.UniqID, CustomerID: i.CustomerID, Session: i.Session, Topics: i.Topics,
		})
		delete(b.conns, uniqID)
	}
}

func (b *fakeBus) ForceOfflineGuest(_ context.Context, _ []string, delay time.Duration, _ []byte) error {
	if delay <= 0 {
		panic("guests need time")
	}
	return nil
}

func (b *fakeBus) ConnInfo(_ context.Context, uniqIDs []string, f hooks.ConnInfoFields) (map[string]hooks.ConnInfo, error) {
	defer b.lock()()
	found := map[string]hooks.ConnInfo{}
	for _, id := range uniqIDs {
		if c, ok := b.conns[id]; ok {
			found[id] = only(c.info, f)
		}
	}
	return found, nil
}

func (b *fakeBus) ConnInfoByCustomerID(_ context.Context, ids []string, f hooks.ConnInfoFields) (map[string][]hooks.ConnInfo, error) {
	defer b.lock()()
	found := map[string][]hooks.ConnInfo{}
	for _, id := range ids {
		b.each(func(i hooks.ConnInfo) bool { return i.CustomerID == id },
			func(c *conn) { found[id] = append(found[id], only(c.info, f)) })
	}
	return found, nil
}

func (b *fakeBus) TopicCustomerIDs(_ context.Context, topics []string) (map[string][]string, error) {
	defer b.lock()()
	found := map[string][]string{}
	for _, t := range topics {
		b.each(holds(t), func(c *conn) {
			if c.info.CustomerID != "" && !slices.Contains(found[t], c.info.CustomerID) {
				found[t] = append(found[t], c.info.CustomerID)
			}
		})
	}
	return found, nil
}

func (b *fakeBus) TopicCustomerIDCounts(ctx context.Context, topics []string, all bool) (map[string]int, error) {
	if all {
		topics = nil
		b.mu.Lock()
		for _, c := range b.conns {
			topics = append(topics, c.info.Topics...)
		}
		b.mu.Unlock()
	}
	lists, err := b.TopicCustomerIDs(ctx, topics)
	counts := map[string]int{}
	for t, ids := range lists {
		counts[t] = len(ids)
	}
	return counts, err
}

func holds(topic string) func(hooks.ConnInfo) bool {
	return func(i hooks.ConnInfo) bool { return slices.Contains(i.Topics, topic) }
}

// only leaves the fields that were asked for, as a gateway does.
func only(i hooks.ConnInfo, f hooks.ConnInfoFields) hooks.ConnInfo {
	var o hooks.ConnInfo
	if f.UniqID {
		o.UniqID = i.UniqID
	}
	if f.Session {
		o.Session = i.Session
	}
	if f.CustomerID {
		o.CustomerID = i.CustomerID
	}
	if f.Topics {
		o.Topics = i.Topics
	}
	return o
}

// world is a chat with its clients, seen from outside.
type world struct {
	t   *testing.T
	bus *fakeBus
	h   *Handler
}

func newWorld(t *testing.T) *world {
	return &world{t: t, bus: &fakeBus{conns: map[string]*conn{}}, h: New(nil)}
}

// open connects a client.
func (w *world) open(uniqID string) {
	w.bus.mu.Lock()
	w.bus.conns[uniqID] = &conn{info: hooks.ConnInfo{UniqID: uniqID}}
	w.bus.mu.Unlock()
	w.h.Open(w.t.Context(), w.bus, hooks.OpenEvent{UniqID: uniqID})
}

// send hands over a request, with what the connection holds now, and then
// whatever Close events have become due.
func (w *world) send(uniqID string, r Request) {
	data, _ := json.Marshal(r)
	w.raw(uniqID, string(data))
}

func (w *world) raw(uniqID, data string) {
	w.t.Helper()
	w.bus.mu.Lock()
	c, ok := w.bus.conns[uniqID]
	if !ok {
		w.bus.mu.Unlock()
		return
	}
	e := hooks.MessageEvent{
		UniqID: uniqID, CustomerID: c.info.CustomerID, Session: c.info.Session,
		Topics: c.info.Topics, Data: []byte(data),
	}
	w.bus.mu.Unlock()
	w.h.Message(w.t.Context(), w.bus, e)
	w.closeGone()
}

// vanish ends a connection as a lost network does.
func (w *world) vanish(uniqID string) {
	w.bus.mu.Lock()
	w.bus.drop(uniqID)
	w.bus.mu.Unlock()
	w.closeGone()
}

func (w *world) closeGone() {
	w.bus.mu.Lock()
	gone := w.bus.gone
	w.bus.gone = nil
	w.bus.mu.Unlock()
	for _, e := range gone {
		w.h.Close(w.t.Context(), w.bus, e)
	}
}

// enter connects a client under a nickname of the same name and joins rooms.
func (w *world) enter(nick string, rooms ...string) {
	w.open(nick)
	w.send(nick, Request{Type: TypeNick, Nick: nick})
	for _, r := range rooms {
		w.send(nick, Request{Type: TypeJoin, Room: r})
	}
}

// take returns what a client was sent and empties its inbox.
func (w *world) take(uniqID string) []map[string]any {
	w.bus.mu.Lock()
	defer w.bus.mu.Unlock()
	c, ok := w.bus.conns[uniqID]
	if !ok {
		return nil
	}
	got := c.inbox
	c.inbox = nil
	return got
}

// takeAll empties everybody's inbox.
func (w *world) takeAll() {
	for _, id := range slices.Collect(maps.Keys(w.bus.conns)) {
		w.take(id)
	}
}

// pick returns the messages of one type.
func pick(msgs []map[string]any, kind string) []map[string]any {
	return slices.DeleteFunc(slices.Clone(msgs), func(m map[string]any) bool { return m["type"] != kind })
}

// view plays a page: what it believes of a room's members after its messages.
func view(msgs []map[string]any, room string) map[string]bool {
	var seen map[string]bool
	for _, m := range msgs {
		if m["room"] != room {
			continue
		}
		switch m["type"] {
		case "members":
			seen = map[string]bool{}
			for _, v := range m["members"].([]any) {
				one := v.(map[string]any)
				seen[one["nick"].(string)] = one["host"].(bool)
			}
		case "presence":
			if seen == nil {
				continue
			}
			if m["in"].(bool) {
				seen[m["nick"].(string)] = m["host"].(bool)
			} else {
				delete(seen, m["nick"].(string))
			}
		case "left":
			seen = nil
		}
	}
	return seen
}

// stopped is a Bus whose queries fail.
type stopped struct{ *fakeBus }

func (stopped) TopicCustomerIDCounts(context.Context, []string, bool) (map[string]int, error) {
	return nil, hooks.ErrStopped
}

// Package bustest tests a [hooks.Bus]: that each command does what its doc comment
// says, whoever issues it and wherever the clients are. It is run on one gateway over
// each transport, and on several that are a cluster.
package bustest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/await"
	"github.com/sluicegate/sluice/internal/wsclient"
)

// patience bounds what is awaited: it is reached only if a promise is broken.
const patience = 20 * time.Second

// A World is a Bus and the clients that it reaches, none so far.
type World struct {
	// Bus is what is tested.
	Bus hooks.Bus
	// Dial connects to a gateway whose Router is a Greeter, another one at each
	// call if there are several. Closing the connection is up to the caller.
	Dial func() (net.Conn, error)
	// Unknown returns how many messages were counted for want of a client or, if
	// NamesCounted says so, of a customer or a topic.
	Unknown      func() int64
	NamesCounted bool
}

// Greeter is the Router of the gateways in a World: clients learn their uniqIds of it.
func Greeter() hooks.Router {
	return hooks.RouterFuncs{OnOpen: func(ctx context.Context, bus hooks.Bus, e hooks.OpenEvent) {
		_ = hooks.Local(bus).SingleCast(ctx, e.UniqID, []byte(e.UniqID))
	}}
}

// Test runs every case, as a subtest of t, each in a World that start makes.
func Test(t *testing.T, start func(t *testing.T) World) {
	for _, tc := range sends() {
		t.Run("sends/"+tc.name, func(t *testing.T) { tc.run(t, newCast(t, start(t))) })
	}
	t.Run("queries", func(t *testing.T) { queries(t, newCast(t, start(t))) })
	t.Run("UpdateConnInfo replaces", func(t *testing.T) { updateReplaces(t, newCast(t, start(t))) })
	for _, tc := range offlines() {
		t.Run("offline/"+tc.name, func(t *testing.T) { tc.run(t, newCast(t, start(t))) })
	}
	t.Run("order", func(t *testing.T) { Order(t, start(t)) })
	t.Run("own writes", func(t *testing.T) { OwnWrites(t, start(t)) })
}

// client is one that knows its id.
type client struct {
	*wsclient.Conn
	t  *testing.T
	id string
}

// join connects a client for the length of the test.
func (w World) join(t *testing.T) *client {
	t.Helper()
	raw, err := w.Dial()
	must(t, err)
	t.Cleanup(func() { _ = raw.Close() })
	_ = raw.SetDeadline(time.Now().Add(patience))
	conn, err := wsclient.Open(raw, wsclient.Request{Target: "/ws"})
	must(t, err)
	c := &client{Conn: conn, t: t}
	c.id = c.read()
	return c
}

func (c *client) read() string {
	c.t.Helper()
	_, data, err := c.ReadMessage()
	if err != nil {
		c.t.Fatalf("client %s: %v", c.id, err)
	}
	return string(data)
}

func (c *client) expect(want ...string) {
	c.t.Helper()
	for _, w := range want {
		if got := c.read(); got != w {
			c.t.Fatalf("client %s got %q, want %q", c.id, got, w)
		}
	}
}

// expectClose reads up to the close frame and returns the messages before it.
func (c *client) expectClose(code int, reason string) (before []string) {
	c.t.Helper()
	for {
		_, data, err := c.ReadMessage()
		if err == nil {
			before = append(before, string(data))
			continue
		}
		if e, ok := errors.AsType[*wsclient.CloseError](err); !ok || e.Code != code || e.Reason != reason {
			c.t.Fatalf("client %s ended with %v, want close %d %q", c.id, err, code, reason)
		}
		return before
	}
}

// cast is the company of a test: a, b and c are clients, customer1 has a and b, a and
// c are in topic x, b is in y.
type cast struct {
	World
	t       *testing.T
	ctx     context.Context
	a, b, c *client
}

func newCast(t *testing.T, w World) *cast {
	k := &cast{World: w, t: t, ctx: t.Context(), a: w.join(t), b: w.join(t), c: w.join(t)}
	for _, u := range []hooks.ConnInfoUpdate{
		{UniqID: k.a.id, NewCustomerID: "customer1", NewSession: "session a", NewTopics: []string{"x"}},
		{UniqID: k.b.id, NewCustomerID: "customer1", NewTopics: []string{"y"}},
		{UniqID: k.c.id, NewTopics: []string{"x"}},
	} {
		must(t, w.Bus.UpdateConnInfo(k.ctx, u))
	}
	return k
}

// expect checks that exactly these messages came: a mark that is sent last
// shows that nothing came besides.
func (k *cast) expect(a, b, c []string) {
	k.t.Helper()
	must(k.t, k.Bus.Broadcast(k.ctx, []byte("mark")))
	k.a.expect(append(a, "mark")...)
	k.b.expect(append(b, "mark")...)
	k.c.expect(append(c, "mark")...)
}

func (k *cast) awaitClients(n int) {
	k.t.Helper()
	await.Until(k.t, func() string {
		if got, err := k.Bus.UniqIDCount(k.ctx); err != nil || got != n {
			return fmt.Sprintf("%d clients, %v, want %d", got, err, n)
		}
		return ""
	})
}

func msg(s string) []byte { return []byte(s) }

func msgs(ss ...string) (all [][]byte) {
	for _, s := range ss {
		all = append(all, []byte(s))
	}
	return all
}

// must fails the test on an error.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

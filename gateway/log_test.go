package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	ws "github.com/gorilla/websocket"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/gateway/gatewaytest"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/hooks/limit"
	"github.com/sluicegate/sluice/internal/await"
)

// journal is a log whose records a test looks at.
type journal struct{ logbook }

func (j *journal) at(level slog.Level) *slog.Logger {
	return slog.New(slog.NewJSONHandler(j, &slog.HandlerOptions{Level: level}))
}

// of returns the records of an event.
func (j *journal) of(t testing.TB, event string) (records []map[string]any) {
	t.Helper()
	for line := range strings.Lines(j.String()) {
		var r map[string]any
		must(t, json.Unmarshal([]byte(line), &r))
		if r["msg"] == event {
			delete(r, "time")
			records = append(records, r)
		}
	}
	return records
}

// one returns the only record of an event, once there is one.
func (j *journal) one(t testing.TB, event string) map[string]any {
	t.Helper()
	await.Until(t, func() string {
		if len(j.of(t, event)) == 0 {
			return fmt.Sprintf("no %q in the log:\n%s", event, j)
		}
		return ""
	})
	all := j.of(t, event)
	if len(all) != 1 {
		t.Fatalf("%d records of %q", len(all), event)
	}
	return all[0]
}

// has fails the test unless a record has these attributes.
func has(t testing.TB, r map[string]any, want map[string]any) {
	t.Helper()
	for k, v := range want {
		if fmt.Sprint(r[k]) != fmt.Sprint(v) {
			t.Errorf("%v: %s is %v, want %v", r["msg"], k, r[k], v)
		}
	}
}

// A gateway's life, and a client's in it, can be followed in the log.
func TestLogOfALife(t *testing.T) {
	onEach(t, func(t *testing.T, h harness) {
		var j journal
		limiter, err := limit.New(limit.Config{})
		must(t, err)
		g := h.start(t, gateway.Config{Logger: j.at(slog.LevelDebug), Router: greeter(), Limiter: limiter})
		has(t, j.one(t, "gateway serving"), map[string]any{"level": "INFO", "addrs": g.Addrs()})
		c := g.join()
		has(t, j.one(t, "client opened"), map[string]any{"level": "DEBUG", "uniqId": c.id, "path": "/ws", "clientAddr": "127.0.0.1"})
		c.send("one\ntwo" + strings.Repeat("x", 100))
		has(t, j.one(t, "message received"), map[string]any{
			"level": "DEBUG", "uniqId": c.id, "bytes": 107, "data": `one\ntwo` + strings.Repeat("x", 57),
		})
		_, err = g.Limit(t.Context(), hooks.Limits{})
		must(t, err)
		_, err = g.Limit(t.Context(), hooks.Limits{OnMessage: 7})
		must(t, err)
		has(t, j.one(t, "limits changed"), map[string]any{"level": "INFO", "onOpen": 0, "onMessage": 7, "suppressed": 0})
		must(t, c.WriteControl(ws.CloseMessage, ws.FormatCloseMessage(4000, "bye\x1b[31m"), time.Now().Add(wait)))
		has(t, j.one(t, "client closed"), map[string]any{
			"level": "DEBUG", "uniqId": c.id, "code": 4000, "reason": `bye\x1b[31m`, "byClient": true,
		})
		other := g.join()
		_, _, _ = c.ReadMessage() // the answer
		ended := make(chan error, 1)
		go func() { ended <- g.stop() }()
		other.expectClose(1012, "restart")
		must(t, <-ended)
		has(t, j.one(t, "gateway draining"), map[string]any{"level": "INFO", "clients": 1})
		has(t, j.one(t, "gateway drained"), map[string]any{"level": "INFO", "clients": 1, "left": 0})
		has(t, j.one(t, "gateway stopped"), map[string]any{
			"level": "INFO", "reason": "drained", "opened": 2, "closed": 2, "received": 1, "sent": 2, "dropped": 0,
		})
		for _, r := range j.of(t, "client closed") {
			if r["uniqId"] == other.id {
				has(t, r, map[string]any{"code": 1012, "byClient": false})
			}
		}
	})
}

// What clients send is in no record unless debug is on, whatever becomes of it.
func TestLogHasNoBodies(t *testing.T) {
	const secret = "marker-of-this-test"
	payload := secret + strings.Repeat("x", 64-len(secret)) + secret + "\n"
	for level, times := range map[slog.Level]int{slog.LevelInfo: 0, slog.LevelDebug: 1} {
		t.Run(level.String(), func(t *testing.T) {
			for _, name := range []string{"gnet", "pipe"} {
				var j journal
				g := on(name).start(t, gateway.Config{
					Logger: j.at(level), Limiter: picky{}, MaxMessage: 1000, InboxLimit: 500,
					Hooks: []any{
						refuser(func(r *http.Request) error {
							if strings.Contains(r.URL.RawQuery, "refuse") {
								return errors.New("no")
							}
							return nil
						}),
						admitFunc(func() (hooks.Admission, error) {
							return hooks.Admission{Identity: hooks.Identity{Session: secret}}, nil
						}),
					},
					Router: hooks.RouterFuncs{
						OnOpen: greeter().OnOpen,
						OnMessage: func(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
							_ = bus.SingleCast(ctx, e.UniqID, e.Data)
							_ = bus.SingleCastBulk(ctx, []string{e.UniqID, e.UniqID}, [][]byte{e.Data})
							if bytes.HasSuffix(e.Data, []byte("panic")) {
								panic("a handler")
							}
						},
					},
				})
				if _, _, err := g.dialWith("/ws?token="+secret+"&refuse", nil); err == nil {
					t.Error("the handshake was not refused")
				}
				c := g.join()
				c.send(payload + "too much for the Limiter, " + strings.Repeat(".", 300))
				c.send(payload)
				c.expect(payload)
				must(t, c.WriteMessage(ws.BinaryMessage, []byte(payload+"panic")))
				c.expectClose(1011, "internal error")
				c = g.join()
				c.send(strings.Repeat(payload, 20)) // too big
				c.expectClose(1009, "message too big")
				c = g.join()
				must(t, c.WriteControl(ws.CloseMessage, ws.FormatCloseMessage(4000, payload), time.Now().Add(wait)))
				_, _, _ = c.ReadMessage() // the answer
				g.awaitClients(0)
				must(t, g.stop())

				j.one(t, "handshake refused")
				j.one(t, "handler panicked")
				if len(j.of(t, "bulk command dropped")) == 0 {
					t.Error("the bulk command was not dropped")
				}
				messages := 0
				for line := range strings.Lines(j.String()) {
					want := 0
					if strings.Contains(line, `"msg":"message received"`) || strings.Contains(line, `"code":4000`) {
						messages++
						want = 1 // as far as the first 64 bytes go
					}
					if got := strings.Count(line, secret); got != want {
						t.Errorf("%d times what clients sent, want %d: %s", got, want, line)
					}
				}
				if want := 4 * times; messages != want {
					t.Errorf("%d messages and closes with a reason logged, want %d:\n%s", messages, want, &j)
				}
			}
		})
	}
}

// picky is a Limiter that refuses some.
type picky struct{}

func (picky) Open(netip.Addr) error { return nil }

func (picky) Message(_ string, bytes int) error {
	if bytes > 300 {
		return hooks.ErrClientLimited
	}
	return nil
}

func (picky) Close(string, netip.Addr) {}

// What clients and business code can have happen as often as they like is logged a
// few times, and each record says how many were left out before it.
func TestLogIsSampled(t *testing.T) {
	var j journal
	var how string
	admitted := func() (hooks.Admission, error) {
		switch how {
		case "client not admitted":
			return hooks.Admission{}, errors.New("no")
		case "client not listed":
			return hooks.Admission{Identity: hooks.Identity{Session: "too long"}}, nil
		}
		return hooks.Admission{}, nil
	}
	limiter, err := limit.New(limit.Config{})
	must(t, err)
	gw := gatewaytest.New(t, gateway.Config{
		Logger: j.at(slog.LevelInfo), MaxSession: 1, Limiter: limiter,
		Hooks: []any{admitFunc(admitted), refuser(func(r *http.Request) error {
			if how == "handshake refused" {
				return errors.New("no")
			}
			return nil
		})},
		Router: hooks.RouterFuncs{OnMessage: func(context.Context, hooks.Bus, hooks.MessageEvent) { panic("handler") }},
	})
	turned := func(code int) func() { return func() { gw.Connect("/").ExpectClose(code, "internal error") } }
	causes := map[string]func(){
		"handshake refused": func() {
			if _, err := gw.TryConnect("/"); err == nil {
				t.Error("a client was let in")
			}
		},
		"client not admitted": turned(1011),
		"client not listed":   turned(1011),
		"handler panicked": func() {
			c := gw.Connect("/")
			c.Send("boom")
			c.ExpectClose(1011, "internal error")
		},
		"bulk command dropped": func() { _ = gw.SingleCastBulk(t.Context(), nil, [][]byte{{1}}) },
		"limits changed":       func() { _, _ = gw.Limit(t.Context(), hooks.Limits{OnMessage: 1000}) },
	}
	const times = 12
	for event, do := range causes {
		how = event
		for range times {
			do()
		}
		gw.Settle()
		if got := len(j.of(t, event)); got < 5 || got > 10 {
			t.Errorf("%q: %d records of %d", event, got, times)
		}
	}
	for event, do := range causes {
		how = event
		n, before := times, len(j.of(t, event))
		await.Until(t, func() string {
			n++
			do()
			gw.Settle()
			if len(j.of(t, event)) == before {
				return "no more of " + event
			}
			return ""
		})
		told := 0.0
		for _, r := range j.of(t, event) {
			told += 1 + r["suppressed"].(float64)
		}
		if told != float64(n) {
			t.Errorf("%q: the log tells of %v, there were %d", event, told, n)
		}
	}
}

// refuser is an Authenticator that looks at nothing but the request.
type refuser func(*http.Request) error

func (f refuser) Authenticate(_ context.Context, r *http.Request) (hooks.Identity, error) {
	return hooks.Identity{}, f(r)
}

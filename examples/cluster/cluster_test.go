package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/sluicegate/sluice/examples/chat/room"
	"github.com/sluicegate/sluice/internal/leaks"
	"github.com/sluicegate/sluice/internal/wsclient"
	"github.com/sluicegate/sluice/transport/websocket"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// wait bounds what a test awaits: it is reached only if a promise is broken.
const wait = 20 * time.Second

// start runs the program for the length of the test, and returns where its nodes are.
func start(t *testing.T, nodes int, args ...string) (urls []string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := run(ctx, append([]string{"-port", "0"}, args...), in)
		in.Close()
		done <- err
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	lines := bufio.NewScanner(out)
	for range nodes {
		if !lines.Scan() {
			t.Fatalf("it says where %d nodes are, want %d", len(urls), nodes)
		}
		url, found := strings.CutPrefix(lines.Text(), "open ")
		if !found {
			t.Fatalf("it says %q", lines.Text())
		}
		urls = append(urls, url)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return urls
}

// A guest is somebody who chats.
type guest struct {
	*wsclient.Conn
	t    *testing.T
	nick string
	sees map[string]bool // who is in the bay, as a page would show it, and who is host
}

// enter connects somebody to a node, and lets them into the bay.
func enter(t *testing.T, url, nick string) *guest {
	t.Helper()
	addr := strings.TrimPrefix(url, "http://")
	raw, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = raw.Close() })
	_ = raw.SetDeadline(time.Now().Add(wait))
	c, err := wsclient.Open(raw, wsclient.Request{Target: "/ws", Host: addr, Header: http.Header{"Origin": {url}}})
	if err != nil {
		t.Fatal(err)
	}
	g := &guest{Conn: c, t: t, nick: nick}
	g.do(room.Request{Type: room.TypeNick, Nick: nick})
	g.until("welcome", nil)
	g.do(room.Request{Type: room.TypeJoin, Room: "bay"})
	g.until("members", nil)
	return g
}

func (g *guest) do(r room.Request) {
	g.t.Helper()
	data, err := json.Marshal(r)
	if err != nil {
		g.t.Fatal(err)
	}
	if err := g.WriteMessage(websocket.OpText, data); err != nil {
		g.t.Fatal(err)
	}
}

// until reads up to a message of a type with these fields.
func (g *guest) until(kind string, want map[string]any) (m map[string]any) {
	g.t.Helper()
	for {
		m = g.read(fmt.Sprint(kind, want))
		fits := m["type"] == kind
		for key, v := range want {
			fits = fits && m[key] == v
		}
		if fits {
			return m
		}
	}
}

// untilSees reads until so many are in the bay, the host in front.
func (g *guest) untilSees(host string, others ...string) {
	g.t.Helper()
	want := map[string]bool{host: true}
	for _, o := range others {
		want[o] = false
	}
	for !maps.Equal(g.sees, want) {
		g.read(fmt.Sprint(want))
	}
}

func (g *guest) read(awaited string) (m map[string]any) {
	g.t.Helper()
	_, data, err := g.ReadMessage()
	if err != nil {
		g.t.Fatalf("%s sees %v, and waits for %s: %v", g.nick, g.sees, awaited, err)
	}
	if err := json.Unmarshal(data, &m); err != nil {
		g.t.Fatal(err)
	}
	if m["room"] != "bay" {
		return m
	}
	switch m["type"] {
	case "members":
		g.sees = make(map[string]bool)
		for _, v := range m["members"].([]any) {
			one := v.(map[string]any)
			g.sees[one["nick"].(string)] = one["host"].(bool)
		}
	case "presence":
		if g.sees != nil && m["in"].(bool) {
			g.sees[m["nick"].(string)] = m["host"].(bool)
		} else {
			delete(g.sees, m["nick"].(string))
		}
	}
	return m
}

// Three people on three nodes see each other come, talk, whisper, put one out, and go.
func TestThreeNodes(t *testing.T) {
	urls := start(t, 3)
	ann, bob, eve := enter(t, urls[0], "ann"), enter(t, urls[1], "bob"), enter(t, urls[2], "eve")
	for _, g := range []*guest{ann, bob, eve} {
		g.untilSees("ann", "bob", "eve")
	}
	for _, g := range []*guest{ann, bob, eve} {
		g.do(room.Request{Type: room.TypeSay, Room: "bay", Text: "ahoy"})
		for _, other := range []*guest{ann, bob, eve} {
			other.until("said", map[string]any{"nick": g.nick, "text": "ahoy"})
		}
	}
	eve.do(room.Request{Type: room.TypeWhisper, Nick: "ann", Text: "psst"})
	ann.until("whisper", map[string]any{"from": "eve", "text": "psst"})
	bob.do(room.Request{Type: room.TypeJoin, Room: "reef"})
	members := bob.until("members", map[string]any{"room": "reef"})
	if all, ok := members["members"].([]any); !ok || len(all) != 1 {
		t.Errorf("bob sees %v in the reef", members)
	}
	eve.until("count", map[string]any{"room": "reef", "members": 1.0})
	ann.do(room.Request{Type: room.TypeKick, Room: "bay", Nick: "bob"}) // she was the first, and is host
	bob.until("offline", map[string]any{"reason": "kicked", "by": "ann"})
	eve.untilSees("ann", "eve")
	_ = ann.Close()
	eve.untilSees("eve")
}

// Two programs that join one NATS are one chat, as two computers are.
func TestJoinNATS(t *testing.T) {
	s, err := startNATS(server.RANDOM_PORT)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	here := start(t, 1, "-nats", s.ClientURL(), "-nodes", "1")
	there := start(t, 2, "-nats", s.ClientURL(), "-nodes", "2")
	ann, bob := enter(t, here[0], "ann"), enter(t, there[1], "bob")
	bob.do(room.Request{Type: room.TypeSay, Room: "bay", Text: "hello"})
	ann.until("said", map[string]any{"nick": "bob", "text": "hello"})
}

func TestRunRefuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, busy, _ := net.SplitHostPort(taken.Addr().String())
	for _, args := range [][]string{
		{"-port", busy},
		{"-nats", "nats://127.0.0.1:1"},
		{"-nodes", "0"},
		{"-nodes", "10"},
		{"-nosuch"},
		{"extra"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		if err := run(ctx, args, io.Discard); err == nil || ctx.Err() != nil {
			t.Errorf("run(%q) = %v, want an error at once", args, err)
		}
		cancel()
	}
}

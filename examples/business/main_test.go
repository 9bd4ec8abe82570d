package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	ws "github.com/gorilla/websocket"

	"github.com/sluicegate/sluice/examples/chat/page"
	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks/remote"
	"github.com/sluicegate/sluice/internal/leaks"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/gnet"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// wait bounds what a test awaits.
const wait = 20 * time.Second

// background runs f until the test ends, which fails if f does.
func background(t *testing.T, f func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(wait):
			t.Error("it does not stop")
		}
	})
}

// program runs the example and returns its page's address.
func program(t *testing.T, args ...string) string {
	t.Helper()
	out, in := io.Pipe()
	background(t, func(ctx context.Context) error {
		defer in.Close()
		return run(ctx, append([]string{"-http", "127.0.0.1:0"}, args...), in)
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal("the program has not said where its page is")
	}
	return strings.TrimSpace(strings.TrimPrefix(line, "open "))
}

// known is the secret of that gateway, which is for other computers.
const known = "correct horse battery staple"

// daemon runs a gateway for business processes elsewhere.
func daemon(t *testing.T) (ws, worker, task string) {
	t.Helper()
	rt, err := remote.Listen(remote.Config{
		Worker: remote.Listener{Addr: "127.0.0.1:0", Secret: known}, Task: remote.Listener{Addr: "127.0.0.1:0", Secret: known},
		Buffer: 1 << 20, BufferAge: wait, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	gw, err := gateway.New(gateway.Config{
		Transports: []transport.Transport{gnet.Listen("127.0.0.1:0", gnet.Loops(1))}, Path: "/netsvr", Origins: []string{"*"}, Router: rt,
	})
	if err != nil {
		t.Fatal(err)
	}
	background(t, gw.Run)
	<-gw.Ready()
	return gw.Addrs()[0].String(), rt.WorkerAddr().String(), rt.TaskAddr().String()
}

// talk has two people come by way of a page and talk.
func talk(t *testing.T, site string) {
	t.Helper()
	resp, err := http.Get(site + "/config.json")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var at page.Gateway
	if err := json.NewDecoder(resp.Body).Decode(&at); err != nil {
		t.Fatal(err)
	}
	http.DefaultClient.CloseIdleConnections()
	url := "ws://" + netJoin("127.0.0.1", at.Port) + at.Path
	person := func(name string) *ws.Conn {
		c, _, err := ws.DefaultDialer.Dial(url, http.Header{"Origin": {site}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		_ = c.SetReadDeadline(time.Now().Add(wait))
		say(t, c, `{"type":"nick","nick":"`+name+`"}`)
		hear(t, c, `"type":"welcome"`)
		say(t, c, `{"type":"join","room":"kitchen"}`)
		hear(t, c, `"type":"members"`)
		return c
	}
	ada, bob := person("ada"), person("bob")
	say(t, ada, `{"type":"say","room":"kitchen","text":"hello"}`)
	hear(t, bob, `"text":"hello"`)
	say(t, bob, `{"type":"say","room":"kitchen","text":"hello yourself"}`)
	hear(t, ada, `"text":"hello yourself"`)
}

func say(t *testing.T, c *ws.Conn, text string) {
	t.Helper()
	if err := c.WriteMessage(ws.TextMessage, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

// hear reads up to a message that contains a text.
func hear(t *testing.T, c *ws.Conn, want string) {
	t.Helper()
	var seen []string
	for {
		_, b, err := c.ReadMessage()
		if err != nil {
			t.Fatalf("no message with %s came, but %q and %v", want, seen, err)
		}
		if strings.Contains(string(b), want) {
			return
		}
		seen = append(seen, string(b))
	}
}

// One handler, linked in or in a process of its own.
func TestInProcess(t *testing.T) {
	talk(t, program(t, "-ws", "127.0.0.1:0"))
}

func TestRemote(t *testing.T) {
	ws, worker, task := daemon(t)
	there := []string{"-remote", "-ws", ws, "-worker", worker, "-task", task}
	t.Run("on this computer", func(t *testing.T) { talk(t, program(t, there...)) })
	t.Run("with the secret", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(file, []byte(known+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		talk(t, program(t, append(there, "-secret", file)...))
	})
}

func TestArguments(t *testing.T) {
	for _, args := range [][]string{{"-http", "127.0.0.1:0", "nonsense"}, {"-http", "nowhere"}, {"-http", "127.0.0.1:0", "-remote", "-ws", "nowhere"},
		{"-http", "127.0.0.1:0", "-remote", "-secret", "nowhere"}} {
		if err := run(t.Context(), args, io.Discard); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
}

func netJoin(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

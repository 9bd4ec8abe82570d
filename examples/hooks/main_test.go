package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// wait bounds what a test awaits: it is reached only if a promise is broken.
const wait = 20 * time.Second

// Both addresses that the program prints work, and who is there when it ends is
// told.
func TestRun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, []string{"-http", "127.0.0.1:0"}, w)
		_ = w.CloseWithError(io.EOF)
		ended <- err
	}()
	out := bufio.NewScanner(r)
	var printed []string // two addresses, and what to do there
	for range 3 {
		if !out.Scan() {
			t.Fatalf("no more was printed than %q", printed)
		}
		printed = append(printed, out.Text())
	}
	go func() { _, _ = io.Copy(io.Discard, r) }() // the trail
	var clients []*websocket.Conn
	for _, line := range printed[:2] {
		_, address, _ := strings.Cut(line, ": open ")
		page, token, _ := strings.Cut(address, "#")
		resp, err := http.Get(page)
		if err != nil {
			t.Fatal(err)
		}
		html, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != 200 || !strings.Contains(string(html), "/page.js") {
			t.Errorf("the page: %d %s", resp.StatusCode, html)
		}
		clients = append(clients, dial(t, page, token))
		// Who has heard itself is there, and hears the next one too.
		name, _, _ := strings.Cut(line, ":")
		if err := clients[len(clients)-1].WriteMessage(websocket.TextMessage, []byte("hello")); err != nil {
			t.Fatal(err)
		}
		for _, c := range clients {
			if _, got, err := c.ReadMessage(); err != nil || string(got) != `{"from":"`+name+`","text":"hello"}` {
				t.Errorf("got %s, %v, want a hello from %s", got, err, name)
			}
		}
	}
	cancel()
	for _, c := range clients {
		if _, _, err := c.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseServiceRestart) {
			t.Errorf("the client heard %v, want close 1012", err)
		}
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("run: %v", err)
		}
	case <-time.After(wait):
		t.Error("run does not return")
	}
	http.DefaultClient.CloseIdleConnections()
}

func dial(t *testing.T, page, token string) *websocket.Conn {
	t.Helper()
	d := websocket.Dialer{HandshakeTimeout: wait}
	c, resp, err := d.Dial(strings.Replace(page, "http", "ws", 1)+"ws?token="+token, nil)
	if err != nil {
		t.Fatalf("connect: %v %v", err, resp)
	}
	_ = c.SetReadDeadline(time.Now().Add(wait))
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestRunRefuses(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for _, args := range [][]string{{"-nonsense"}, {"nonsense"}, {"-http", ln.Addr().String()}} {
		if err := run(t.Context(), args, io.Discard); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
}

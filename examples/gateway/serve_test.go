package main

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/sluicegate/sluice/protocol"
)

// TestServe goes once through everything: a client, a business process, an
// event, a command, the end.
func TestServe(t *testing.T) {
	s := start(t, anyPort("-Metrics.Item", "1,4", "-ShutdownWaitTime", "10s")...)
	worker, task := dialBusiness(t, s.worker), dialBusiness(t, s.task)
	worker.send(t, protocol.Cmd_Register, &protocol.RegisterReq{Events: 7})
	var registered protocol.RegisterResp
	worker.next(t, protocol.Cmd_Register, &registered)
	if registered.GetCode() != protocol.RegisterResp_Success {
		t.Fatal(registered.GetMessage())
	}

	client := s.dial(t)
	var open protocol.ConnOpen
	worker.next(t, protocol.Cmd_ConnOpen, &open)
	id, err := protocol.ParseUniqID(open.GetUniqId())
	if err != nil || id.Node.String() != s.task {
		t.Errorf("uniqId of %v, the task listener is at %s: %v", id.Node, s.task, err)
	}
	if err := client.WriteMessage(websocket.TextMessage, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	var transfer protocol.Transfer
	worker.next(t, protocol.Cmd_Transfer, &transfer)
	if string(transfer.GetData()) != "hello" {
		t.Errorf("business got %q", transfer.GetData())
	}
	// Large, but within the limits: it must reach the client.
	large := strings.Repeat("x", 2_000_000)
	for range 3 {
		task.send(t, protocol.Cmd_Broadcast, &protocol.Broadcast{Data: []byte(large)})
		kind, data, err := client.ReadMessage()
		if err != nil || kind != websocket.TextMessage || string(data) != large {
			t.Fatalf("client got %d bytes of kind %d: %v", len(data), kind, err)
		}
	}
	task.send(t, protocol.Cmd_Metrics, nil)
	var metrics protocol.MetricsResp
	task.next(t, protocol.Cmd_Metrics, &metrics)
	if items := metrics.GetItems(); len(items) != 2 || items[1].GetCount() != 1 || items[4] == nil {
		t.Errorf("metrics: %v", items)
	}

	stopped := make(chan error, 1)
	go func() { stopped <- s.stop() }()
	if _, _, err := client.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseServiceRestart) {
		t.Errorf("client: %v, want code 1012", err)
	}
	client.Close()
	var closed protocol.ConnClose
	worker.next(t, protocol.Cmd_ConnClose, &closed)
	if closed.GetUniqId() != open.GetUniqId() {
		t.Errorf("ConnClose of %q", closed.GetUniqId())
	}
	if _, err := worker.r.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last event: %v", err)
	}
	worker.Close()
	task.Close()
	if err := <-stopped; err != nil {
		t.Errorf("run: %v\n%s", err, s.log)
	}
	if log := s.log.String(); !strings.Contains(log, "msg=stopped") || strings.Contains(log, "level=ERROR") {
		t.Errorf("log:\n%s", log)
	}
}

func TestSettingsReachTheGateway(t *testing.T) {
	s := start(t, anyPort("-Customer.SendMessageType", "2", "-Customer.MaxOnlineNum", "1", "-Customer.AllowOrigin", "a.example",
		"-Customer.HandlePattern", "/p", "-Customer.ReceivePackLimit", "100", "-Worker.ListenAddress", "")...)
	if s.worker == "" || s.task != "" {
		t.Errorf("worker %q, task %q: want one listener", s.worker, s.task)
	}
	task := dialBusiness(t, s.worker) // the only one there is

	get := func(path, origin string) int {
		header := http.Header{}
		if origin != "" {
			header.Set("Origin", origin)
		}
		host, _, _ := strings.Cut(s.clients, "/")
		c, res, err := websocket.DefaultDialer.Dial("ws://"+host+path, header)
		if err == nil {
			c.Close()
		}
		if res == nil {
			t.Fatal(err)
		}
		return res.StatusCode
	}
	if got := get("/q", ""); got != 404 {
		t.Errorf("another path: %d", got)
	}
	if got := get("/p", "https://b.example"); got != 403 {
		t.Errorf("another origin: %d", got)
	}
	c := s.dial(t)
	if got := get("/p?x=1", "https://a.example"); got != 503 {
		t.Errorf("one client too many: %d", got)
	}
	for listed := int32(0); listed == 0; { // its handshake was answered, no more than that
		var count protocol.UniqIdCountResp
		task.send(t, protocol.Cmd_UniqIdCount, nil)
		task.next(t, protocol.Cmd_UniqIdCount, &count)
		listed = count.GetCount()
	}
	task.send(t, protocol.Cmd_Broadcast, &protocol.Broadcast{Data: []byte("x")})
	if kind, data, err := c.ReadMessage(); err != nil || kind != websocket.BinaryMessage || string(data) != "x" {
		t.Errorf("got %q of kind %d: %v", data, kind, err)
	}
	if err := c.WriteMessage(websocket.TextMessage, make([]byte, 101)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseMessageTooBig) {
		t.Errorf("a message over the limit: %v", err)
	}
}

// The limits of one address and of one client.
func TestLimits(t *testing.T) {
	for name, tt := range map[string]struct {
		key    string
		status int
	}{"at a time": {"-Limit.IPConnections", 429}, "per second": {"-Limit.IPOpens", 429}, "of all": {"-Customer.MaxOnlineNum", 503}} {
		t.Run(name, func(t *testing.T) {
			s := start(t, anyPort(tt.key, "1")...)
			s.dial(t)
			_, res, err := websocket.DefaultDialer.Dial("ws://"+s.clients, nil)
			if err == nil || res == nil || res.StatusCode != tt.status || res.Header.Get("Retry-After") != "1" {
				t.Errorf("one too many: %v, %v; want %d with a Retry-After", res, err, tt.status)
			}
		})
	}
	s := start(t, anyPort("-Customer.LimitWindowMaxRequests", "1", "-Customer.LimitWindowSize", "1h", "-Customer.LimitExceeded", "close")...)
	c := s.dial(t)
	for range 2 {
		if err := c.WriteMessage(websocket.TextMessage, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := c.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseTryAgainLater) {
		t.Errorf("a message too many: %v, want close 1013", err)
	}
}

func TestPortTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	for _, key := range []string{"Customer.ListenAddress", "Worker.ListenAddress", "Task.ListenAddress", "PprofListenAddress"} {
		t.Run(key, func(t *testing.T) {
			var log buffer
			other := "Task.ListenAddress"
			if key == other {
				other = "Worker.ListenAddress"
			}
			err := run(t.Context(), anyPort("-"+key, taken.Addr().String(), "-"+other, free.Addr().String()), nil, io.Discard, &log)
			if err == nil {
				t.Fatal("no error")
			}
			ln, again := net.Listen("tcp", free.Addr().String())
			if again != nil {
				t.Fatalf("run has left a listener behind: %v", again)
			}
			ln.Close()
			what := map[string]string{"Worker.ListenAddress": "worker listener", "Task.ListenAddress": "task listener"}[key]
			if what == "" {
				what = key
			}
			for _, want := range []string{what, taken.Addr().String(), "address already in use; choose another port"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v\ndoes not say %q", err, want)
				}
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f.toml")
	if err := os.WriteFile(file, []byte("[Customer]\nAllowOrigin = []\n[Worker]\nReadBufferSize = 4096\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, anyPort("-config", file, "-LogLevel", "debug", "-Worker.ListenAddress", "0.0.0.0:0", "-Worker.InsecureAllowAnyone",
		"-Task.ListenAddress", "0.0.0.0:0", "-Task.InsecureAllowAnyone", "-PprofListenAddress", ":0")...)
	for _, want := range []string{
		"AllowOrigin is an empty list", "ReadBufferSize is not needed",
		"sees what all clients send\" key=Worker.ListenAddress", "controls all clients\" key=Task.ListenAddress", "key=PprofListenAddress",
	} {
		if !strings.Contains(s.log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, s.log)
		}
	}
	s = start(t, anyPort("-Task.ListenAddress", ":0")...) // which is on this computer
	if log := s.log.String(); strings.Contains(log, "level=WARN") {
		t.Errorf("warnings of the defaults:\n%s", log)
	}
	s = start(t, anyPort("-Worker.ListenAddress", "", "-Task.ListenAddress", "")...)
	if !strings.Contains(s.log.String(), "nobody can reach the clients") {
		t.Errorf("log:\n%s", s.log)
	}
	s.dial(t)
}

func TestLogFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "gateway.log")
	for range 2 {
		s := start(t, anyPort("-LogFile", file)...)
		if err := s.stop(); err != nil {
			t.Fatal(err)
		}
		if s.log.String() != "" {
			t.Errorf("standard error got %q", s.log)
		}
	}
	log, err := os.ReadFile(file)
	if err != nil || strings.Count(string(log), "msg=stopped") != 2 {
		t.Errorf("%v\n%s", err, log)
	}
	err = run(t.Context(), anyPort("-LogFile", filepath.Join(file, "x")), nil, io.Discard, io.Discard)
	if err == nil || !strings.HasPrefix(err.Error(), "LogFile: open ") {
		t.Error(err)
	}
}

func TestProfiles(t *testing.T) {
	s := start(t, anyPort("-PprofListenAddress", "127.0.0.1:0")...)
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	host, _, _ := strings.Cut(s.profiles, "/")
	for path, want := range map[string]int{"/debug/pprof/": 200, "/debug/pprof/goroutine?debug=1": 200, "/": 404} {
		res, err := client.Get("http://" + host + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, res.StatusCode, want)
		}
	}
	if err := s.stop(); err != nil || strings.Contains(s.log.String(), "level=ERROR") {
		t.Errorf("%v\n%s", err, s.log)
	}
}

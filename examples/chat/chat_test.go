package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/examples/chat/page"
	"github.com/sluicegate/sluice/internal/leaks"
)

// runAsMain makes the test binary be the program, for TestInterrupt.
const runAsMain = "CHAT_RUN_AS_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(runAsMain) != "" {
		main()
		os.Exit(0)
	}
	leaks.Main(m)
}

// server is a chat that runs.
type server struct {
	url  string       // of the page
	cfg  page.Gateway // where the page finds the gateway
	stop func() error // as Ctrl-C does; returns what run returned
}

// start runs the chat and returns once it has said where it is.
func start(t *testing.T, args ...string) server {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := run(ctx, args, in)
		in.Close()
		done <- err
	}()
	stopped := false
	s := server{stop: func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-done
	}}
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatalf("run said nothing: %v", s.stop())
	}
	var found bool
	if s.url, found = strings.CutPrefix(lines.Text(), "open "); !found {
		t.Fatalf("run said %q first", lines.Text())
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()

	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/config.json", nil)
	req.Close = true // no idle connection may outlive the test
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&s.cfg); err != nil {
		t.Fatal(err)
	}
	return s
}

// addrs returns the arguments that make another server take this one's place.
func (s server) addrs() []string {
	return []string{
		"-http", strings.TrimPrefix(s.url, "http://"),
		"-ws", fmt.Sprintf("127.0.0.1:%d", s.cfg.Port),
	}
}

var anyPort = []string{"-http", "127.0.0.1:0", "-ws", "127.0.0.1:0"}

func TestRunStops(t *testing.T) {
	s := start(t, anyPort...)
	if s.cfg.Port == 0 || s.cfg.Path != path || s.cfg.Host != "" {
		t.Errorf("the page was told %+v", s.cfg)
	}
	if err := s.stop(); err != nil {
		t.Errorf("stopping: %v", err)
	}
	for _, addr := range []string{strings.TrimPrefix(s.url, "http://"), fmt.Sprintf("127.0.0.1:%d", s.cfg.Port)} {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			t.Errorf("%s still accepts", addr)
		}
	}
	again := start(t, s.addrs()...)
	if again.url != s.url || again.cfg != s.cfg {
		t.Errorf("started again at %v, was at %v", again, s)
	}
}

func TestRunRefuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	busy := taken.Addr().String()
	for _, args := range [][]string{
		{"-http", busy, "-ws", "127.0.0.1:0"},
		{"-http", "127.0.0.1:0", "-ws", busy},
		{"-http", "nowhere"},
		{"-nosuch"},
		{"extra"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		if err := run(ctx, args, io.Discard); err == nil || ctx.Err() != nil {
			t.Errorf("run(%q) = %v, want an error at once", args, err)
		}
		cancel()
	}
}

// TestInterrupt runs the program as a process and presses Ctrl-C.
func TestInterrupt(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], anyPort...)
	cmd.Env = append(os.Environ(), runAsMain+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "open http://127.0.0.1:") {
		t.Errorf("it said %q, %v", line, err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after Ctrl-C: %v, want exit code 0", err)
	}
}

func TestOrigins(t *testing.T) {
	for _, tt := range []struct {
		addr  string
		want  []string // at least, and in this order at the front
		exact bool
	}{
		{"127.0.0.1:8080", []string{"http://127.0.0.1:8080", "http://localhost:8080"}, true},
		{"[::1]:8080", []string{"http://[::1]:8080", "http://localhost:8080"}, true},
		{"127.0.0.1:80", []string{"http://127.0.0.1", "http://localhost"}, true},
		{"192.0.2.7:8080", []string{"http://192.0.2.7:8080"}, true},
		{"[::]:8080", []string{"http://127.0.0.1:8080", "http://localhost:8080"}, false},
		{"0.0.0.0:8080", []string{"http://127.0.0.1:8080", "http://localhost:8080"}, false},
	} {
		addr, err := net.ResolveTCPAddr("tcp", tt.addr)
		if err != nil {
			t.Fatal(err)
		}
		got := originsOf(addr)
		if tt.exact && len(got) != len(tt.want) || len(got) < len(tt.want) {
			t.Errorf("%s: %q, want %q", tt.addr, got, tt.want)
			continue
		}
		for i, w := range tt.want {
			if got[i] != w {
				t.Errorf("%s: %q, want %q", tt.addr, got, tt.want)
			}
		}
	}
}

package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"google.golang.org/protobuf/proto"

	"github.com/sluicegate/sluice/internal/leaks"
	"github.com/sluicegate/sluice/protocol"
)

// runAsMain makes the test binary be the program, for tests of exit codes.
const runAsMain = "GATEWAY_RUN_AS_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(runAsMain) != "" {
		main()
		os.Exit(0)
	}
	leaks.Main(m)
}

// anyPort is the arguments by which the system chooses all ports.
func anyPort(more ...string) []string {
	return append([]string{
		"-Customer.ListenAddress", "127.0.0.1:0", "-Worker.ListenAddress", "127.0.0.1:0", "-Task.ListenAddress", "127.0.0.1:0",
	}, more...)
}

// server is a gateway that runs.
type server struct {
	// addresses, without scheme; empty if not announced
	clients, worker, task, profiles string
	admin                           string // with its scheme, and without a slash at its end
	log                             *buffer
	stop                            func() error // as SIGTERM does; returns what run returned
}

// start runs the program and returns once it has said where it is.
func start(t *testing.T, args ...string) server {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	s := server{log: new(buffer)}
	done := make(chan error, 1)
	go func() {
		err := run(ctx, args, nil, in, s.log)
		in.Close()
		done <- err
	}()
	s.stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	// All is announced by one write.
	lines := make([]byte, 4096)
	n, err := out.Read(lines)
	if err != nil {
		t.Fatalf("run said nothing: %v\n%s", s.stop(), s.log)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	for _, line := range strings.Split(string(lines[:n]), "\n") {
		if url, ok := strings.CutPrefix(line, "admin "); ok {
			s.admin = strings.TrimSuffix(url, "/")
		}
	}
	for word := range strings.FieldsSeq(strings.ReplaceAll(string(lines[:n]), ",", " ")) {
		switch scheme, rest, _ := strings.Cut(strings.TrimPrefix(word, s.admin), "://"); scheme {
		case "ws":
			s.clients = rest
		case "http":
			s.profiles = rest
		case "tcp":
			if s.worker == "" {
				s.worker = rest
			} else {
				s.task = rest
			}
		}
	}
	return s
}

// buffer is a log that may be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// dial connects a client.
func (s server) dial(t *testing.T) *websocket.Conn {
	t.Helper()
	c, _, err := websocket.DefaultDialer.Dial("ws://"+s.clients, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	return c
}

// business is one end of a connection to the worker or task listener.
type business struct {
	net.Conn
	r *protocol.Reader
}

func dialBusiness(t *testing.T, addr string) business {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	return business{c, protocol.NewReader(bufio.NewReader(c), 0, nil)}
}

func (b business) send(t *testing.T, cmd protocol.Cmd_Number, m proto.Message) {
	t.Helper()
	packet, err := protocol.AppendPacket(nil, cmd, m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Write(packet); err != nil {
		t.Fatal(err)
	}
}

// next reads a packet, which must be of cmd, into m.
func (b business) next(t *testing.T, cmd protocol.Cmd_Number, m proto.Message) {
	t.Helper()
	p, err := b.r.Next()
	if err != nil {
		t.Fatal(err)
	}
	if p.Cmd != cmd {
		t.Fatalf("got %v, want %v", p.Cmd, cmd)
	}
	if err := p.Unmarshal(m); err != nil {
		t.Fatal(err)
	}
}

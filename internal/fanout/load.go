package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sluicegate/sluice/protocol"
	"github.com/sluicegate/sluice/transport/websocket"
)

type loadConfig struct {
	n, inflight, size, topics, loops, gc int
	duration                             time.Duration
	settle                               time.Duration
	broadcast, pin                       bool
	via                                  string
}

func load(ctx context.Context, args []string) error {
	var c loadConfig
	fs := flag.NewFlagSet("load", flag.ExitOnError)
	fs.IntVar(&c.n, "n", 1000, "clients")
	fs.IntVar(&c.inflight, "inflight", 16, "messages under way at a time")
	fs.IntVar(&c.size, "size", 100, "bytes of a message, at most 125")
	fs.IntVar(&c.topics, "topics", 1, "topics, published to in turn; every client has all")
	fs.IntVar(&c.loops, "loops", 0, "the gateway's event loops; 0 means one per CPU")
	fs.IntVar(&c.gc, "gc", 25, "the gateway's garbage collector target percentage; 100 is Go's own default")
	fs.DurationVar(&c.duration, "for", 5*time.Second, "how long to publish")
	fs.BoolVar(&c.broadcast, "broadcast", false, "broadcast instead of publishing")
	fs.DurationVar(&c.settle, "settle", time.Second, "how long to wait before memory is weighed")
	fs.StringVar(&c.via, "via", "gnet", "how the gateway serves its clients: gnet, nethttp or handed")
	fs.BoolVar(&c.pin, "pin", false, "run the gateway on the first CPU and the clients on the others")
	_ = fs.Parse(args)
	if c.size > 125 || c.n < 1 || c.inflight < 1 {
		return errors.New("-size must be at most 125, -n and -inflight at least 1")
	}
	if c.topics < 1 && !c.broadcast {
		return errors.New("-topics 0 leaves only -broadcast")
	}

	if c.pin {
		if err := pin(0, 1); err != nil {
			return err
		}
	}
	s, err := startServer(ctx, c)
	if err != nil {
		return err
	}
	defer s.stop()
	if c.pin {
		if err := pin(1, 1024); err != nil {
			return err
		}
	}
	return measure(ctx, c, s)
}

// server is a process of this program: the gateway or a business process.
type server struct {
	cmd              *exec.Cmd
	ws, task, worker string
}

func startServer(ctx context.Context, c loadConfig, more ...string) (*server, error) {
	s, out, err := spawn(ctx, append([]string{"serve", "-ws", "127.0.0.1:0", "-task", "127.0.0.1:0", "-worker", "127.0.0.1:0",
		"-topics", strconv.Itoa(c.topics), "-loops", strconv.Itoa(c.loops), "-gc", strconv.Itoa(c.gc), "-via", c.via}, more...)...)
	if err != nil {
		return nil, err
	}
	if _, err := fmt.Fscanf(out, "ready %s %s %s\n", &s.ws, &s.task, &s.worker); err != nil {
		s.stop()
		return nil, fmt.Errorf("the gateway did not start: %w", err)
	}
	return s, nil
}

// spawn starts this program once more and returns what it prints.
func spawn(ctx context.Context, args ...string) (*server, io.Reader, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.CommandContext(ctx, exe, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	return &server{cmd: cmd}, bufio.NewReader(out), cmd.Start()
}

func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	_ = s.cmd.Wait()
}

// cpu is the process's user and system time.
func (s *server) cpu() (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 13 {
		return 0, errors.New("the process's stat file is too short")
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	const tick = time.Second / 100 // USER_HZ, fixed on Linux
	return time.Duration(user+system) * tick, nil
}

// rss is the process's resident memory in kB.
func (s *server) rss() (int, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, line, _ := strings.Cut(string(b), "VmRSS:")
	var kb int
	_, err = fmt.Sscanf(line, "%d", &kb)
	return kb, err
}

// warmUp has the server touch what its first clients need, which is not theirs to
// bear: code, pools, stacks.
func warmUp(ctx context.Context, s *server) error {
	const clients = 200
	for range clients {
		conn, err := connect(ctx, s.ws)
		if err != nil {
			return err
		}
		defer conn.Close()
	}
	return nil
}

func measure(ctx context.Context, c loadConfig, s *server) error {
	if err := warmUp(ctx, s); err != nil {
		return err
	}
	time.Sleep(c.settle)
	before, err := s.rss()
	if err != nil {
		return err
	}
	var got atomic.Int64
	var readers sync.WaitGroup
	clients := make([]net.Conn, 0, c.n)
	defer readers.Wait()
	defer func() {
		for _, conn := range clients {
			_ = conn.Close()
		}
	}()
	for range c.n {
		conn, err := connect(ctx, s.ws)
		if err != nil {
			return err
		}
		clients = append(clients, conn)
		readers.Go(func() { count(conn, &got) })
	}
	time.Sleep(c.settle) // let the last clients settle, then weigh
	idle, err := s.rss()
	if err != nil {
		return err
	}
	cpu, sent, took, err := publish(ctx, c, s, &got)
	if err != nil {
		return err
	}
	deliveries := sent * int64(c.n)
	fmt.Printf("via %s, clients %d, in flight %d, topics %d, broadcast %v: %.3f µs server CPU per delivery, %.0f deliveries/s, idle %.2f kB per client\n",
		c.via, c.n, c.inflight, c.topics, c.broadcast, float64(cpu.Microseconds())/float64(deliveries),
		float64(deliveries)/took.Seconds(), float64(idle-before)/float64(c.n))
	return nil
}

// connect makes a client by hand: libraries cost more than the gateway does.
func connect(ctx context.Context, addr string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\nSec-WebSocket-Version: 13\r\n\r\n", addr)
	if err != nil {
		return nil, err
	}
	r, err := http.ReadResponse(bufio.NewReaderSize(oneByOne{conn}, 1), nil) //nolint:bodyclose // a 101 has none
	if err != nil {
		return nil, err
	}
	if r.StatusCode != http.StatusSwitchingProtocols {
		return nil, fmt.Errorf("handshake: %s", r.Status)
	}
	return conn, nil
}

// oneByOne keeps a buffered reader from taking frames along with the response.
type oneByOne struct{ io.Reader }

func (r oneByOne) Read(p []byte) (int, error) { return r.Reader.Read(p[:min(1, len(p))]) }

func count(conn net.Conn, got *atomic.Int64) {
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		got.Add(int64(n))
		if err != nil {
			return
		}
	}
}

// publish keeps so many messages under way and returns the server's CPU time
// until all have arrived.
func publish(ctx context.Context, c loadConfig, s *server, got *atomic.Int64) (cpu time.Duration, sent int64, took time.Duration, err error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", s.task)
	if err != nil {
		return 0, 0, 0, err
	}
	defer conn.Close()
	w := protocol.NewWriter(conn, 0)
	data := bytes.Repeat([]byte("x"), c.size)
	topics := topicNames(c.topics)
	perMessage := int64(c.n) * int64(websocket.FrameSize(c.size))

	cpu0, err := s.cpu()
	if err != nil {
		return 0, 0, 0, err
	}
	start := time.Now()
	idleSince, last := start, int64(0)
	for {
		arrived := got.Load()
		sending := time.Since(start) < c.duration
		for sending && sent-arrived/perMessage < int64(c.inflight) {
			if c.broadcast {
				err = w.Write(protocol.Cmd_Broadcast, &protocol.Broadcast{Data: data})
			} else {
				i := int(sent) % len(topics)
				err = w.Write(protocol.Cmd_TopicPublish, &protocol.TopicPublish{Topics: topics[i : i+1], Data: data})
			}
			if err == nil {
				err = w.Flush()
			}
			if err != nil {
				return 0, 0, 0, err
			}
			sent++
		}
		if !sending && arrived >= sent*perMessage {
			break
		}
		if arrived != last {
			idleSince, last = time.Now(), arrived
		} else if time.Since(idleSince) > 10*time.Second {
			return 0, 0, 0, fmt.Errorf("lost messages: %d of %d bytes arrived", arrived, sent*perMessage)
		}
		if err := ctx.Err(); err != nil {
			return 0, 0, 0, err
		}
		time.Sleep(50 * time.Microsecond)
	}
	took = time.Since(start)
	cpu1, err := s.cpu()
	return cpu1 - cpu0, sent, took, err
}

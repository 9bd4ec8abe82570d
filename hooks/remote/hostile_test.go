package remote_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	peer "github.com/buexplain/netsvr-protocol-go/v6/netsvrProtocol"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks/remote"
	"github.com/sluicegate/sluice/internal/await"
)

// witness checks that a gateway goes on serving everybody else.
type witness struct {
	h      *host
	client *client
	worker *rawConn
	task   *rawBus
	n      int
}

func newWitness(h *host) *witness {
	w := &witness{h: h}
	w.worker, _ = h.worker(allEvents)
	w.client = h.join()
	w.worker.expectEvents("open " + w.client.id)
	w.task = &rawBus{c: dialRaw(h.t, h.rt.TaskAddr())}
	return w
}

func (w *witness) check() {
	w.h.t.Helper()
	w.n++
	text := fmt.Sprint("witness ", w.n)
	w.client.send(text)
	w.worker.expectEvents(w.client.id + ":" + text)
	must(w.h.t, w.task.SingleCast(w.h.t.Context(), w.client.id, []byte(text)))
	w.client.expect(text)
	if n, err := w.task.UniqIDCount(w.h.t.Context()); err != nil || n != 1 {
		w.h.t.Fatalf("%d clients, %v", n, err)
	}
}

func (h *host) awaitLog(want string) {
	h.t.Helper()
	await.Until(h.t, func() string {
		if !strings.Contains(h.log.String(), want) {
			return fmt.Sprintf("the log does not say %q", want)
		}
		return ""
	})
}

// Bad input ends the connection it came on, with a line in the log that says
// why, and nothing else.
func TestBadPackets(t *testing.T) {
	length := func(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }
	everywhere := []struct {
		name string
		sent []byte
		log  string
	}{
		{"no room for a command", append(length(3), 1, 2, 3), "too short"},
		{"length zero", length(0), "too short"},
		{"huge length", length(1 << 31), "above the limit"},
		{"length of 4 GiB", length(1<<32 - 1), "above the limit"},
		{"just over the limit", length(1001), "above the limit of 1000"},
		{"placeholder", packetOf(0, nil), "unknown command 0 "},
		{"a number of nobody's", packetOf(900009999, nil), "unknown command 900009999 "},
		{"negative command", packetOf(1<<32-1, nil), "unknown command -1 "},
		{"an event", packet(peer.Cmd_Transfer, nil), "unknown command 900001003 "},
		{"HTTP", []byte("GET / HTTP/1.1\r\nHost: gateway\r\n\r\n"), "above the limit"},
		{"a good packet, then a bad one", append(packet(peer.Cmd_Broadcast, nil)[:0], append(append(length(uint32(len("~6YOt5rW35piO~"))), "~6YOt5rW35piO~"...), length(2)...)...), "too short"},
	}
	onWorker := append(everywhere[:len(everywhere):len(everywhere)], []struct {
		name string
		sent []byte
		log  string
	}{
		{"a task's command", packet(peer.Cmd_Broadcast, &peer.Broadcast{Data: []byte("x")}), "unknown command 900002003 on the worker listener"},
		{"a task's question", packet(peer.Cmd_UniqIdCount, nil), "unknown command 900003007 on the worker listener"},
	}...)
	onTask := append(everywhere[:len(everywhere):len(everywhere)], []struct {
		name string
		sent []byte
		log  string
	}{
		{"a worker's command", packet(peer.Cmd_Register, &peer.RegisterReq{Events: 7}), "unknown command 900003001 on the task listener"},
		{"the other one", packet(peer.Cmd_Unregister, nil), "unknown command 900003002 on the task listener"},
	}...)
	cfg := remote.Config{}
	cfg.Worker.ReceiveLimit, cfg.Task.ReceiveLimit = 1000, 1000
	h := start(t, cfg, gateway.Config{})
	w := newWitness(h)
	for listener, cases := range map[string][]struct {
		name string
		sent []byte
		log  string
	}{"worker": onWorker, "task": onTask} {
		addr := h.rt.WorkerAddr()
		if listener == "task" {
			addr = h.rt.TaskAddr()
		}
		for _, tc := range cases {
			t.Run(listener+" "+tc.name, func(t *testing.T) {
				c := dialRaw(t, addr)
				_, err := c.Write(tc.sent)
				must(t, err)
				c.expectEnd()
				// The line names the connection and the reason.
				await.Until(t, func() string {
					for line := range strings.Lines(h.log.String()) {
						if strings.Contains(line, "listener="+listener) && strings.Contains(line, "remoteAddr="+c.LocalAddr().String()) &&
							strings.Contains(line, tc.log) && strings.Contains(line, "level=WARN") {
							return ""
						}
					}
					return fmt.Sprintf("the log has no warning for %v with %q", c.LocalAddr(), tc.log)
				})
				w.check()
			})
		}
	}
	if n := h.rt.Stats().Malformed; n != int64(len(onWorker)+len(onTask)) {
		t.Errorf("%d malformed packets counted, want %d", n, len(onWorker)+len(onTask))
	}
}

// A body that does not parse costs its command only.
func TestBadBodies(t *testing.T) {
	h := start(t, remote.Config{}, gateway.Config{})
	w := newWitness(h)
	c := &rawBus{c: dialRaw(t, h.rt.TaskAddr())}
	bad := int64(0)
	for number, name := range peer.Cmd_name {
		switch cmd := peer.Cmd(number); cmd {
		case peer.Cmd_Placeholder, peer.Cmd_ConnOpen, peer.Cmd_ConnClose, peer.Cmd_Transfer, peer.Cmd_Register, peer.Cmd_Unregister:
		case peer.Cmd_UniqIdCount, peer.Cmd_UniqIdList, peer.Cmd_TopicCount, peer.Cmd_TopicList,
			peer.Cmd_CustomerIdCount, peer.Cmd_CustomerIdList, peer.Cmd_Metrics:
			// Their bodies are ignored.
			_, err := c.c.Write(packetOf(uint32(cmd), noMessage()))
			must(t, err)
			if got, _, err := c.c.next(); err != nil || got != cmd {
				t.Errorf("%s with a body was answered %v, %v", name, got, err)
			}
		default:
			for _, body := range [][]byte{noMessage(), {0x0a, 0x01, 0xff}, {0x0a, 0x7f}, {0x0f}} {
				if cmd == peer.Cmd_Broadcast && body[0] == 0x0a && len(body) == 3 {
					continue // bytes need not be text
				}
				if cmd == peer.Cmd_Limit && len(body) == 3 {
					continue // a field of another type is one that is not known
				}
				_, err := c.c.Write(packetOf(uint32(cmd), body))
				must(t, err)
				bad++
			}
			if n, err := c.UniqIDCount(t.Context()); err != nil || n != 1 {
				t.Fatalf("%s: the connection did not survive: %d, %v", name, n, err)
			}
		}
	}
	if n := h.rt.Stats().Malformed; n != bad {
		t.Errorf("%d malformed packets counted, want %d", n, bad)
	}
	h.awaitLog("command failed")
	w.check()
}

// A connection that is silent, or stuck inside a packet however busily, is
// closed after the read deadline; heartbeats keep one alive.
func TestReadDeadline(t *testing.T) {
	const deadline = 150 * time.Millisecond
	cfg := remote.Config{}
	cfg.Worker.ReadDeadline, cfg.Task.ReadDeadline = deadline, deadline
	h := start(t, cfg, gateway.Config{})
	heartbeat := packetOf(0, nil)[:0]
	heartbeat = append(binary.BigEndian.AppendUint32(heartbeat, 14), "~6YOt5rW35piO~"...)
	for listener, addr := range map[string]net.Addr{"worker": h.rt.WorkerAddr(), "task": h.rt.TaskAddr()} {
		t.Run(listener, func(t *testing.T) {
			for name, act := range map[string]func(c *rawConn, n int) error{
				"silent":  func(*rawConn, int) error { return nil },
				"trickle": func(c *rawConn, _ int) error { _, err := c.Write([]byte{0}); return err },
				"half a packet": func(c *rawConn, n int) error {
					if n > 0 {
						return nil
					}
					_, err := c.Write(packet(peer.Cmd_CheckOnline, &peer.CheckOnlineReq{UniqIds: []string{"x"}})[:9])
					return err
				},
			} {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					c := dialRaw(t, addr)
					if name == "trickle" {
						// A length that promises much; the rest comes byte by byte.
						_, err := c.Write(binary.BigEndian.AppendUint32(nil, 1<<20))
						must(t, err)
					}
					start := time.Now()
					ended := make(chan struct{})
					go func() { // the heartbeat of the test: one act each 10 ms
						defer close(ended)
						for n := 0; act(c, n) == nil && time.Since(start) < 10*deadline; n++ {
							time.Sleep(10 * time.Millisecond)
						}
					}()
					c.expectEnd()
					if took := time.Since(start); took < deadline/2 || took > 8*deadline {
						t.Errorf("closed after %v, the deadline is %v", took, deadline)
					}
					_ = c.Close()
					<-ended
				})
			}
			t.Run("heartbeats", func(t *testing.T) {
				t.Parallel()
				c := dialRaw(t, addr)
				for range 12 {
					_, err := c.Write(heartbeat)
					must(t, err)
					time.Sleep(deadline / 4)
				}
				if listener == "worker" {
					c.expectNothing()
				} else if _, err := (&rawBus{c: c}).UniqIDCount(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
	h.awaitLog("silent, stuck inside a packet")
}

// A peer that asks and never reads its answers is cut off; it costs what its
// socket holds and one write.
func TestPeerThatNeverReads(t *testing.T) {
	cfg := remote.Config{}
	cfg.Task.SendDeadline, cfg.Worker.SendDeadline = 100*time.Millisecond, 100*time.Millisecond
	cfg.Queue = 64 << 10
	h := start(t, cfg, gateway.Config{})
	w := newWitness(h)
	for listener, addr := range map[string]net.Addr{"worker": h.rt.WorkerAddr(), "task": h.rt.TaskAddr()} {
		t.Run(listener, func(t *testing.T) {
			c := dialRaw(t, addr)
			ask := packet(peer.Cmd_Metrics, nil)
			if listener == "worker" {
				ask = packet(peer.Cmd_Register, nil) // which is refused at more length than the others
			}
			many := make([]byte, 0, 1000*len(ask))
			for range 1000 {
				many = append(many, ask...)
			}
			var err error
			for range 100_000 {
				if _, err = c.Write(many); err != nil {
					break
				}
			}
			if err == nil {
				t.Error("it was not cut off")
			}
			w.check()
		})
	}
	h.awaitLog("did not read")
}

// A process that asks on after the gateway has said all it had to say does not
// keep it from ending.
func TestPeerThatAsksOnInADrain(t *testing.T) {
	cfg := remote.Config{Queue: 1 << 10}
	h := start(t, cfg, gateway.Config{})
	c, _ := h.worker(allEvents)
	stopped := make(chan error, 1)
	go func() { stopped <- h.stop() }()
	c.expectEnd() // of what it says
	many := bytes.Repeat(packet(peer.Cmd_Unregister, nil), 1000)
	var err error
	for err == nil {
		_, err = c.Write(many)
	}
	must(t, <-stopped)
	h.awaitLog("asked on")
}

// There is a limit to connections; who is connected is served on.
func TestTooManyConnections(t *testing.T) {
	cfg := remote.Config{}
	cfg.Worker.MaxConns, cfg.Task.MaxConns = 1, 1
	h := start(t, cfg, gateway.Config{})
	w := newWitness(h)
	w.check()
	for _, addr := range []net.Addr{h.rt.WorkerAddr(), h.rt.TaskAddr()} {
		dialRaw(t, addr).expectEnd()
	}
	h.awaitLog("there are too many")
	w.check()
	must(t, w.worker.Close())
	await.Until(t, func() string { // its place is free again
		if h.rt.Stats().Processes != 0 {
			return "the process is still registered"
		}
		return ""
	})
	w.worker, _ = h.worker(allEvents)
	w.check()
}

// The last descriptors are not for business processes: without one, the engine
// that has the clients would end.
func TestNoDescriptorsLeft(t *testing.T) {
	h := startListening(t, func(cfg remote.Config) (*remote.Router, error) {
		rt, err := remote.Listen(cfg)
		must(t, err)
		remote.LowerDescriptors(rt, 3)
		return rt, nil
	}, remote.Config{}, gateway.Config{})
	for _, addr := range []net.Addr{h.rt.WorkerAddr(), h.rt.TaskAddr()} {
		dialRaw(t, addr).expectEnd()
	}
	h.awaitLog("the descriptor limit is near")
	h.connect("/", nil)
}

// Answers come one for each question, in order, however many are asked at once.
func TestPipelining(t *testing.T) {
	h := start(t, remote.Config{}, gateway.Config{})
	c := dialRaw(t, h.rt.TaskAddr())
	var all []byte
	cmds := []peer.Cmd{peer.Cmd_UniqIdCount, peer.Cmd_TopicList, peer.Cmd_Broadcast, peer.Cmd_CheckOnline, peer.Cmd_Limit, peer.Cmd_Metrics}
	const rounds = 2000
	for range rounds {
		for _, cmd := range cmds {
			all = append(all, packet(cmd, nil)...)
		}
	}
	go func() { _, _ = c.Write(all) }()
	for range rounds {
		for _, cmd := range cmds {
			if cmd == peer.Cmd_Broadcast {
				continue // is not answered
			}
			if got, _, err := c.next(); err != nil || got != cmd {
				t.Fatalf("got %v, %v, want an answer to %v", got, err, cmd)
			}
		}
	}
}

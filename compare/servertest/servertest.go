// Package servertest tests servers as the comparison uses them: that they echo,
// broadcast in order and end. It fails the test at the first thing that is wrong.
package servertest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/sluicegate/sluice/internal/wsclient"
	"github.com/sluicegate/sluice/protocol"
	"github.com/sluicegate/sluice/transport/websocket"
)

// patience is how long anything may take on a busy machine.
const patience = 20 * time.Second

// Key is that of RFC 6455's example, the only one that the floor knows.
const Key = "dGhlIHNhbXBsZSBub25jZQ=="

// A Session is a few clients of a server, and a connection to its task port.
type Session struct {
	t       *testing.T
	clients []*wsclient.Conn
	task    net.Conn
}

// Open connects to a server. The test closes the connections.
func Open(t *testing.T, clients, task string, n int) *Session {
	t.Helper()
	s := &Session{t: t, task: dial(t, task)}
	for range n {
		conn := dial(t, clients)
		_, err := conn.Write(wsclient.Request{}.Append(nil, Key))
		must(t, err)
		c, err := wsclient.ReadAnswer(conn, Key, false)
		must(t, err)
		s.clients = append(s.clients, c)
	}
	s.awaitMembership()
	return s
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	must(t, conn.SetDeadline(time.Now().Add(patience)))
	return conn
}

// awaitMembership returns when broadcasts reach every client: some servers take a
// moment after the handshake.
func (s *Session) awaitMembership() {
	s.t.Helper()
	reached := make(chan struct{})
	var sending sync.WaitGroup
	sending.Go(func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			s.Command(protocol.Cmd_Broadcast, &protocol.Broadcast{Data: []byte("anybody there?")})
			select {
			case <-tick.C:
			case <-reached:
				return
			}
		}
	})
	stop := sync.OnceFunc(func() {
		close(reached)
		sending.Wait()
	})
	defer stop()
	for _, c := range s.clients {
		_ = s.next(c)
	}
	stop()
	s.Command(protocol.Cmd_Broadcast, &protocol.Broadcast{Data: []byte("begin")})
	for _, c := range s.clients {
		for s.next(c) != "begin" {
		}
	}
}

// Command sends a command to the task port. An error shows in what clients get.
func (s *Session) Command(cmd protocol.Cmd_Number, m proto.Message) {
	packet, err := protocol.AppendPacket(nil, cmd, m)
	if err != nil {
		s.t.Errorf("%v: %v", cmd, err)
	}
	s.write(packet)
}

func (s *Session) write(b []byte) {
	if _, err := s.task.Write(b); err != nil {
		s.t.Errorf("the task port: %v", err)
	}
}

// Echo has every client send messages of several sizes, and get them back.
func (s *Session) Echo() {
	s.t.Helper()
	for i, c := range s.clients {
		for _, size := range []int{20, 100, 125} {
			want := fmt.Sprintf("client %d:%*d", i, size-len("client 0:"), size)
			must(s.t, c.WriteMessage(websocket.OpText, []byte(want)))
			s.receive(c, want)
		}
	}
}

// Broadcast sends messages to all, more than one at a time, by both commands.
func (s *Session) Broadcast() {
	s.t.Helper()
	const messages = 40
	text := func(i int) string { return fmt.Sprintf("message %d to all", i) }
	for i := range messages {
		s.Command(protocol.Cmd_Broadcast, &protocol.Broadcast{Data: []byte(text(i))})
	}
	for _, c := range s.clients {
		for i := range messages {
			s.receive(c, text(i))
		}
	}
}

// Pieces has a command come in two parts, the first with another command.
func (s *Session) Pieces() {
	s.t.Helper()
	var b []byte
	var err error
	texts := []string{"whole", "in two pieces"}
	for _, text := range texts {
		b, err = protocol.AppendPacket(b, protocol.Cmd_Broadcast, &protocol.Broadcast{Data: []byte(text)})
		must(s.t, err)
	}
	const cut = 10
	s.write(b[:len(b)-cut])
	for _, c := range s.clients {
		s.receive(c, texts[0])
	}
	s.write(b[len(b)-cut:])
	for _, c := range s.clients {
		s.receive(c, texts[1])
	}
}

// Publish sends a message to a topic, which all clients have.
func (s *Session) Publish() {
	s.t.Helper()
	s.Command(protocol.Cmd_TopicPublish, &protocol.TopicPublish{Topics: []string{"t"}, Data: []byte("published")})
	for _, c := range s.clients {
		s.receive(c, "published")
	}
}

// Leave has the first client and then the last go away, which the others are not
// to suffer from.
func (s *Session) Leave() {
	s.t.Helper()
	last := len(s.clients) - 1
	must(s.t, s.clients[0].Close())
	must(s.t, s.clients[last].Close())
	s.clients = s.clients[1:last]
}

// AwaitEnd returns when the server has closed every connection.
func (s *Session) AwaitEnd() {
	s.t.Helper()
	for _, c := range s.clients {
		var err error
		for err == nil {
			_, err = c.ReadFrame()
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			s.t.Fatal("the server has ended and left a client connected")
		}
	}
}

func (s *Session) receive(c *wsclient.Conn, want string) {
	s.t.Helper()
	if got := s.next(c); got != want {
		s.t.Fatalf("a client got %q, want %q", got, want)
	}
}

func (s *Session) next(c *wsclient.Conn) string {
	s.t.Helper()
	op, data, err := c.ReadMessage()
	must(s.t, err)
	if op != websocket.OpText {
		s.t.Fatalf("a client got %v %q, want text", op, data)
	}
	return string(data)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

package main

import (
	"io"
	"net"
	"sync"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/sluicegate/sluice/examples/chat/room"
)

// A cable is a program's way to NATS, which can be cut for good.
type cable struct {
	net.Listener
	pipes sync.WaitGroup

	mu   sync.Mutex
	ends []net.Conn
}

func layCable(t *testing.T, to string) *cable {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{Listener: ln}
	c.pipes.Go(func() {
		for {
			near, err := ln.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.Close()
				continue
			}
			c.mu.Lock()
			c.ends = append(c.ends, near, far)
			c.mu.Unlock()
			c.pipes.Go(func() { _, _ = io.Copy(near, far) })
			c.pipes.Go(func() { _, _ = io.Copy(far, near) })
		}
	})
	t.Cleanup(func() {
		c.cut()
		c.pipes.Wait()
	})
	return c
}

func (c *cable) cut() {
	c.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.ends {
		e.Close()
	}
}

// Two nodes that cannot reach each other are two chats: nobody is kept out, and whoever
// is on the other side is gone after a while.
func TestApart(t *testing.T) {
	s, err := startNATS(server.RANDOM_PORT)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	way := layCable(t, s.Addr().String())
	here := start(t, 1, "-nats", s.ClientURL(), "-nodes", "1")
	there := start(t, 1, "-nats", "nats://"+way.Addr().String(), "-nodes", "1")
	bob, ann := enter(t, there[0], "bob"), enter(t, here[0], "ann")
	bob.untilSees("bob", "ann")
	way.cut()

	// On the side of NATS the other node is silent at first, and then lost.
	eve := enter(t, here[0], "eve")
	ann.untilSees("ann", "eve")
	eve.untilSees("ann", "eve")

	// On the other side NATS is away.
	dan := enter(t, there[0], "dan")
	bob.until("presence", map[string]any{"nick": "dan", "in": true})
	bob.do(room.Request{Type: room.TypeSay, Room: "bay", Text: "alone?"})
	dan.until("said", map[string]any{"nick": "bob"})
	bob.until("error", map[string]any{"code": room.CodePartly})
}

// A NATS that was away for a while leaves nobody with a wrong list.
func TestTogetherAgain(t *testing.T) {
	s, err := startNATS(server.RANDOM_PORT)
	if err != nil {
		t.Fatal(err)
	}
	port := s.Addr().(*net.TCPAddr).Port
	urls := start(t, 2, "-nats", s.ClientURL(), "-nodes", "2")
	ann, bob := enter(t, urls[0], "ann"), enter(t, urls[1], "bob")
	ann.untilSees("ann", "bob")
	s.Shutdown()
	s.WaitForShutdown()
	eve := enter(t, urls[0], "eve")
	ann.until("presence", map[string]any{"nick": "eve", "in": true})

	if s, err = startNATS(port); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	for _, g := range []*guest{ann, bob, eve} {
		g.untilSees("ann", "bob", "eve")
	}
}

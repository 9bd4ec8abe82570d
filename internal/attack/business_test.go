//go:build unix

package attack

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/hooks/remote"
	"github.com/sluicegate/sluice/internal/await"
	"github.com/sluicegate/sluice/internal/wsclient"
	"github.com/sluicegate/sluice/protocol"
	"github.com/sluicegate/sluice/transport/websocket"
)

// A process that asks and never reads the answers is cut off; it costs its
// connections one answer each.
func TestProcessThatAsksOnly(t *testing.T) {
	const conns = 8
	rc := &remote.Config{}
	rc.Task.SendDeadline = time.Second
	s := serve(t, gateway.Config{}, rc)
	a := s.attack("questions", conns)
	s.during("questions", bound{heap: conns * 256 << 10, goroutines: conns}, func() {
		a.word()
		if got := a.count("cut off"); got != conns {
			t.Errorf("%d connections were cut off, want %d", got, conns)
		}
	})
	s.over(a)
}

// questions asks for lists.
func questions(a *assault) error {
	many := repeated(protocol.Cmd_UniqIdList, nil, 1000)
	var cut tallyOf
	err := a.each(a.n, a.n, func(int) error {
		t, err := a.task()
		if err != nil {
			return err
		}
		for {
			if n, _ := t.Write(many); n < len(many) {
				cut.add(0)
				return nil
			}
		}
	})
	a.say("cut off", cut.of(0))
	return err
}

// repeated is a packet n times.
func repeated(cmd protocol.Cmd_Number, m proto.Message, n int) []byte {
	p, err := protocol.AppendPacket(nil, cmd, m)
	if err != nil {
		panic(err)
	}
	all := make([]byte, 0, n*len(p))
	for range n {
		all = append(all, p...)
	}
	return all
}

// A process floods its connections with commands. It waits for the gateway, not
// the gateway for it: nothing is queued but what a loop's mailbox may hold, and
// each message is counted.
func TestProcessThatFloods(t *testing.T) {
	n := scaled(200_000, 10)
	s := serve(t, gateway.Config{MailboxLimit: floodMailbox}, &remote.Config{})
	for _, role := range []string{"commands", "broadcasts"} {
		a := s.attack(role, n)
		before := s.Stats()
		// Two mailboxes, of tasks and frames that are about twice what they
		// count for, and the read buffers of the connections.
		s.during(role, bound{heap: 2*2*floodMailbox + flooders*256<<10, goroutines: flooders}, func() {
			a.word()
			a.count("carried out")
		})
		after := s.Stats()
		switch unknown := after.Drops[hooks.DropUnknown].Messages - before.Drops[hooks.DropUnknown].Messages; role {
		case "commands":
			s.byName += unknown
			if unknown != int64(n) {
				t.Errorf("%d messages for nobody counted, want %d", unknown, n)
			}
		case "broadcasts":
			if got := s.reg.recipients.Load(); got != int64(n/10*witnessCount) {
				t.Errorf("%d messages were broadcast to, want %d", got, n/10*witnessCount)
			}
			await.Until(t, func() string {
				if got := s.watch.others(); got != n/10*witnessCount {
					return fmt.Sprintf("the witnesses got %d messages, want %d", got, n/10*witnessCount)
				}
				return ""
			})
		}
		must(t, a.end())
	}
	s.over()
}

const (
	flooders     = 4
	floodMailbox = 1 << 20
)

// flood sends a packet n times, over several connections, and waits until all of
// it is carried out.
func (a *assault) flood(cmd protocol.Cmd_Number, m proto.Message, n int) error {
	const batch = 500
	many := repeated(cmd, m, batch)
	err := a.each(flooders, flooders, func(int) error {
		t, err := a.task()
		if err != nil {
			return err
		}
		for range n / flooders / batch {
			if _, err := t.Write(many); err != nil {
				return err
			}
		}
		_, err = t.topicCount()
		return err
	})
	a.say("carried out", n)
	return err
}

// commands are messages for a client that is not there.
func commands(a *assault) error {
	return a.flood(protocol.Cmd_SingleCast, &protocol.SingleCast{UniqId: "nobody", Data: make([]byte, 1000)}, a.n)
}

// broadcasts are for everybody, so there are fewer.
func broadcasts(a *assault) error {
	return a.flood(protocol.Cmd_Broadcast, &protocol.Broadcast{Data: []byte("flood")}, a.n/10)
}

// A process registers for all events and does not read them. Its clients wait,
// within their limits, until it is cut off; those of others do not.
func TestProcessThatNeverReads(t *testing.T) {
	const queue, inbox = 256 << 10, 64 << 10
	clients := scaled(100, 5)
	rc := &remote.Config{Queue: queue}
	rc.Worker.SendDeadline = time.Second
	s := serve(t, gateway.Config{InboxLimit: inbox}, rc)
	a := s.attack("deaf process", clients)
	// For each client its inbox and a call that waits for room.
	s.during("never reads", bound{heap: 2*queue + int64(clients)*2*inbox, goroutines: clients + 8}, func() {
		a.word()
		if got := a.count("inbox full"); got == 0 {
			t.Error("no client was closed though nobody took its messages")
		}
		await.Until(t, func() string {
			if got := s.bus.Stats().Processes; got != 0 {
				return fmt.Sprintf("%d processes are registered, want the one that does not read cut off", got)
			}
			return ""
		})
	})
	s.over(a)
	// Each event of theirs has an end: those of the witnesses are another's.
	st, answered := s.Stats(), s.answers.Load()
	r := s.bus.Stats()
	theirs := st.Events - answered - 2*(witnessCount+1)
	if got := r.Sent + r.DroppedFull + r.DroppedUnclaimed + r.DroppedStopped + int64(r.Queued+r.Waiting); got != theirs {
		t.Errorf("%d events are accounted for, want %d: %+v", got, theirs, r)
	}
	if r.Queued+r.Waiting != 0 || r.DroppedUnclaimed == 0 {
		t.Errorf("events are left, or none was lost: %+v", r)
	}
}

func deafProcess(a *assault) error {
	worker, _, _ := strings.Cut(a.more, " ")
	c, err := a.dialTo(worker, narrow)
	if err != nil {
		return err
	}
	p, err := protocol.AppendPacket(nil, protocol.Cmd_Register, &protocol.RegisterReq{Events: int32(protocol.Event_OnOpen | protocol.Event_OnMessage | protocol.Event_OnClose)})
	if err != nil {
		return err
	}
	if _, err := c.Write(p); err != nil {
		return err
	}
	if _, err := protocol.NewReader(c, 1<<20, nil).Next(); err != nil {
		return fmt.Errorf("not registered: %w", err)
	}
	var got tallyOf
	many := inOne(make([]byte, 1000), 100)
	if err := a.each(a.n, a.n, func(int) error {
		conn, err := a.open(wsclient.Request{Target: "/remote"})
		if err != nil {
			return err
		}
		defer drop(conn)
		// After that, those who are not closed have had all of it dropped.
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		for range 20 {
			if _, err := conn.Write(many); err != nil {
				break
			}
		}
		got.add(closeCode(conn))
		return nil
	}); err != nil {
		return err
	}
	a.say("inbox full", got.of(websocket.CloseTryAgainLater))
	return a.await()
}

// inOne is a message n times, in one piece.
func inOne(data []byte, n int) []byte {
	var b []byte
	for range n {
		b = wsclient.AppendFrame(b, wsclient.Frame{Fin: true, Op: websocket.OpBinary, Data: data}, [4]byte{1, 2, 3, 4})
	}
	return b
}

// Nonsense ends the connection that it came on, is counted, and nothing else.
func TestJunkFromProcesses(t *testing.T) {
	n := scaled(2000, 4)
	s := serve(t, gateway.Config{}, &remote.Config{})
	a := s.attack("junk", n)
	s.during("junk", bound{heap: 4 << 20, goroutines: 2 * junkers * 2}, func() {
		a.word()
		if got := a.count("cut off"); got != n {
			t.Errorf("%d of %d connections were cut off", got, n)
		}
	})
	await.Until(t, func() string {
		if got := s.bus.Stats().Malformed; got != int64(n) {
			return fmt.Sprintf("%d malformed packets counted, want %d", got, n)
		}
		return ""
	})
	s.over(a)
}

// junkers is how many connections bring nonsense at the same time.
const junkers = 20

func junk(a *assault) error {
	addrs := strings.Fields(a.more)
	var cut tallyOf
	err := a.each(a.n, junkers, func(i int) error {
		c, err := a.dialTo(addrs[i%len(addrs)])
		if err != nil {
			return err
		}
		defer drop(c)
		b := make([]byte, 4+rand.IntN(4000))
		for j := range b {
			b[j] = byte(rand.Uint32())
		}
		switch i / 2 % 3 {
		case 0:
			b[0] |= 0x80 // a length above every limit
		case 1: // a length that is too short
			copy(b, []byte{0, 0, 0, byte(i % 4)})
		case 2: // a command that there is not
			b = append([]byte{0, 0, 0, 5, 0xff, 0xff, byte(i), byte(i >> 8), 7}, b...)
		}
		if _, err := c.Write(b); err != nil && !errors.Is(err, net.ErrClosed) && !isReset(err) {
			return err
		}
		_ = c.SetReadDeadline(time.Now().Add(wait))
		if _, err := c.Read(b); err == nil || isTimeout(err) {
			return fmt.Errorf("junk was answered with %v", err)
		}
		cut.add(0)
		return nil
	})
	a.say("cut off", cut.of(0))
	return err
}

func isReset(err error) bool {
	return strings.Contains(err.Error(), "reset") || strings.Contains(err.Error(), "broken pipe")
}

func isTimeout(err error) bool {
	ne := net.Error(nil)
	return errors.As(err, &ne) && ne.Timeout()
}

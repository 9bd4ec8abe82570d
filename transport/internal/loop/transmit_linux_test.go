package loop

import (
	"bytes"
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sluicegate/sluice/transport"
)

// A descriptorSocket is one end of a pair of sockets of the operating system. Its
// fakeSocket stands for the engine, which holds whatever it is given.
type descriptorSocket struct {
	*fakeSocket
	fd   int
	peer int
}

func (s *descriptorSocket) Fd() int { return s.fd }

// read returns what the peer has been sent, and the engine has not.
func (s *descriptorSocket) read() []byte {
	s.t.Helper()
	var got []byte
	for buf := make([]byte, 1<<16); ; {
		n, err := unix.Read(s.peer, buf)
		if errors.Is(err, unix.EAGAIN) || n == 0 {
			return got
		}
		if err != nil {
			s.t.Fatal(err)
		}
		got = append(got, buf[:n]...)
	}
}

// openDescriptor makes an open connection of one, to whose engine nothing was
// given but its handshake.
func (k *kit) openDescriptor() *descriptorSocket {
	k.t.Helper()
	s := k.attachDescriptor(plenty)
	s.got, s.writes, s.room = nil, 0, 0
	return s
}

// attachDescriptor makes a connection whose engine has room for so many bytes of
// the answer to its handshake.
func (k *kit) attachDescriptor(room int) *descriptorSocket {
	k.t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(func() { _, _ = unix.Close(fds[0]), unix.Close(fds[1]) })
	s := &descriptorSocket{fakeSocket: &fakeSocket{t: k.t, room: room}, fd: fds[0], peer: fds[1]}
	s.conn = k.l.Attach(s)
	s.conn.Input([]byte(request("/ws")))
	k.settle()
	return s
}

func TestDescriptorsAreWrittenToDirectly(t *testing.T) {
	k := newKit(t)
	s := k.openDescriptor()
	f := text("hello")
	k.post(&sends{to: []*Conn{s.conn}, frame: f})
	k.settle()
	if got := s.read(); !bytes.Equal(got, f.Plain) {
		t.Errorf("the peer got %s", brief(got))
	}
	want(t, "writes by the engine", s.writes, 0)
	want(t, "written", k.h.written, 1)
	want(t, "written bytes", k.h.writtenBytes, int64(len(f.Plain)))
}

// What the peer has no room for is the engine's, from the byte on at which the
// socket was full, and so is all that follows until the engine has sent it.
func TestFullDescriptorsAreTheEngines(t *testing.T) {
	k := newKit(t, func(o *transport.Options) { o.WriteLimit = 8 << 20 })
	s := k.openDescriptor()
	large, small := sized(4<<20), text("behind it")
	k.post(&sends{to: []*Conn{s.conn}, frame: large})
	k.settle()
	taken := s.read()
	if n := len(taken) + len(s.held); len(taken) == 0 || len(s.held) == 0 || n != len(large.Plain) {
		t.Fatalf("the socket took %d and the engine %d bytes of %d", len(taken), len(s.held), len(large.Plain))
	}
	k.post(&sends{to: []*Conn{s.conn}, frame: small})
	k.settle()
	if got := s.read(); len(got) > 0 {
		t.Fatalf("%s has overtaken what the engine holds", brief(got))
	}
	s.take(plenty)
	k.l.Relieve()
	k.settle()
	if all := append(taken, s.got...); !bytes.Equal(all, append(bytes.Clone(large.Plain), small.Plain...)) {
		t.Errorf("the peer got %d bytes, not those that were sent", len(all))
	}
	want(t, "written", k.h.written, 2)

	// The engine holds nothing more.
	k.post(&sends{to: []*Conn{s.conn}, frame: small})
	k.settle()
	if got := s.read(); !bytes.Equal(got, small.Plain) {
		t.Errorf("later, the peer got %s", brief(got))
	}
}

// The last word to a client whose queue is thrown away does not overtake what the
// engine still holds: it would stand in the middle of a message.
func TestLastWordsComeLast(t *testing.T) {
	k := newKit(t)
	s := k.openDescriptor()
	k.post(&sends{to: []*Conn{s.conn}, frame: sized(4 << 20)})
	k.settle()
	s.read()
	held := len(s.held)
	k.l.sacrifice(s.conn)
	if got := s.read(); len(got) > 0 {
		t.Errorf("%s has overtaken what the engine holds", brief(got))
	}
	if len(s.held) <= held {
		t.Error("the engine was given no close frame")
	}
}

// The engine finds out what is wrong with a socket.
func TestBrokenDescriptors(t *testing.T) {
	k := newKit(t)
	s := k.openDescriptor()
	s.broken = true
	if err := unix.Shutdown(s.fd, unix.SHUT_WR); err != nil {
		t.Fatal(err)
	}
	k.post(&sends{to: []*Conn{s.conn}, frame: text("hello")})
	k.settle()
	want(t, "writes by the engine", s.writes, 1)
	want(t, "dropped", k.h.of(1).dropped[transport.DropFailed], 1)
	want(t, "closed", k.h.of(1).closed, 1)
}

// An answer to the handshake that the engine holds goes before the first message.
func TestHeldAnswersGoFirst(t *testing.T) {
	k := newKit(t)
	s := k.attachDescriptor(20)
	k.post(&sends{to: []*Conn{s.conn}, frame: text("hello")})
	k.settle()
	if got := s.read(); len(got) > 0 {
		t.Errorf("%s has overtaken the answer", brief(got))
	}
	s.take(plenty)
	k.l.Relieve()
	if !bytes.HasPrefix(s.got, []byte("HTTP/1.1 101 ")) || !bytes.HasSuffix(s.got, text("hello").Plain) {
		t.Errorf("the peer got %s", brief(s.got))
	}
}

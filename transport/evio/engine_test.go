//go:build darwin || freebsd || linux

package evio_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/evio"
	"github.com/sluicegate/sluice/transport/internal/enginetest"
)

func engine() enginetest.Engine {
	return enginetest.Engine{
		Name:  "evio",
		Limit: "tight",
		Listen: func(addr string, loops int) transport.Transport {
			return evio.Listen(addr, evio.Loops(loops))
		},
	}
}

func TestMain(m *testing.M) { engine().Main(m) }

func TestEngine(t *testing.T) { engine().Test(t) }

// The engine leaves these to us.
func TestSocketOptions(t *testing.T) {
	s := engine().Start(t, new(enginetest.Echo), enginetest.Options(), 1)
	c := s.Dial()
	must(t, enginetest.RoundTrip(c, "hello"))
	fd := serverSide(t, c.NetConn())
	if on, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY); err != nil || on == 0 {
		t.Errorf("Nagle's delay is %d, %v", on, err)
	}
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("other programs inherit the socket: %#x, %v", flags, err)
	}
}

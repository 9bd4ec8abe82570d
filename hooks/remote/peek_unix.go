//go:build unix

package remote

import (
	"errors"
	"net"
	"syscall"
)

// nothingToRead reports whether a connection's kernel buffer is empty.
func nothingToRead(conn net.Conn) bool {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return true
	}
	empty := true
	_ = raw.Control(func(fd uintptr) { // it fails once the connection is closed
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		empty = n <= 0 && !errors.Is(err, syscall.EINTR)
	})
	return empty
}

//go:build unix

package remote

import (
	"crypto/tls"
	"errors"
	"net"
	"syscall"
)

// nothingToRead reports whether a connection's kernel buffer is empty. TLS, which
// is above it, has nothing whole left where its reader waits.
func nothingToRead(conn net.Conn) bool {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
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

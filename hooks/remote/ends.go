package remote

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/protocol"
)

// bodyError says that the body of a known command does not parse. It costs the
// command and not the connection.
type bodyError struct{ err error }

func (e *bodyError) Error() string { return e.err.Error() }
func (e *bodyError) Unwrap() error { return e.err }

func unknownCommand(cmd protocol.Cmd_Number, listener string) error {
	return fmt.Errorf("unknown command %d on the %s listener", int32(cmd), listener)
}

// isFraming reports whether a peer sent what cannot be a packet.
func isFraming(err error) bool {
	large := (*protocol.PacketTooLargeError)(nil)
	return errors.As(err, &large) || errors.Is(err, protocol.ErrShortPacket)
}

// cut closes a connection at once. With TLS, Close would say goodbye first, and
// wait for a peer that does not read.
func cut(conn net.Conn) error {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	return conn.Close()
}

// logEnd logs why a connection has ended: for debugging if its peer ended it, as a
// warning if we had to.
func (r *Router) logEnd(listener string, conn net.Conn, cause error) {
	switch {
	case errors.Is(cause, os.ErrDeadlineExceeded):
		cause = fmt.Errorf("the peer was silent, stuck inside a packet, or did not read: %w", cause)
	case errors.Is(cause, io.EOF), errors.Is(cause, net.ErrClosed), errors.Is(cause, syscall.ECONNRESET),
		errors.Is(cause, syscall.EPIPE), errors.Is(cause, hooks.ErrStopped):
		r.log.Debug("business connection ended", "listener", listener, "remoteAddr", conn.RemoteAddr().String(), "error", cause)
		return
	}
	if n, ok := r.noise.cut.Next(); ok {
		r.log.Warn("business connection cut", "listener", listener, "remoteAddr", conn.RemoteAddr().String(), "error", cause, "suppressed", n)
	}
}

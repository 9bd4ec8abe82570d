package remote

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
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

// logEnd logs why a connection has ended: at the level given if its peer ended
// it, as a warning if we had to.
func (r *Router) logEnd(level slog.Level, listener string, conn net.Conn, cause error, about []any) {
	what, reason := "business connection closed", cause.Error()
	switch {
	case errors.Is(cause, os.ErrDeadlineExceeded):
		reason = "the peer was silent, stuck inside a packet, or did not read: " + reason
	case errors.Is(cause, io.EOF), errors.Is(cause, net.ErrClosed), errors.Is(cause, syscall.ECONNRESET),
		errors.Is(cause, syscall.EPIPE), errors.Is(cause, hooks.ErrStopped):
		what = "business connection ended"
	default:
		level = slog.LevelWarn
	}
	if errors.Is(cause, os.ErrDeadlineExceeded) {
		level = slog.LevelWarn
	}
	r.log.Log(context.Background(), level, what,
		append([]any{"listener", listener, "remote", conn.RemoteAddr().String(), "reason", reason}, about...)...)
}

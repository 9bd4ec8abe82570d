package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/sluicegate/sluice/internal/secret"
	"github.com/sluicegate/sluice/protocol"
)

// A taskConn sends commands to a gateway's task listener. It is for one goroutine.
type taskConn struct {
	conn net.Conn
	w    *protocol.Writer
}

// dialTask connects, and unless it is empty shows that it knows the secret.
func dialTask(ctx context.Context, addr, known string) (*taskConn, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTime)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("load: the task listener: %w", err)
	}
	if known != "" {
		deadline, _ := ctx.Deadline()
		err := errors.Join(conn.SetDeadline(deadline), secret.Prove(conn, known, secret.Task), conn.SetDeadline(time.Time{}))
		if err != nil {
			_ = conn.Close()
			return nil, fmt.Errorf("load: the task listener: %w", err)
		}
	}
	return &taskConn{conn: conn, w: protocol.NewWriter(conn, 0)}, nil
}

// bound has writes fail that take until then.
func (t *taskConn) bound(until time.Time) { _ = t.conn.SetWriteDeadline(until) }

// push sends data to the subscribers of topic, or to all clients if it is empty,
// when flush is called.
func (t *taskConn) push(topic string, data []byte) error {
	if topic == "" {
		return t.w.Write(protocol.Cmd_Broadcast, &protocol.Broadcast{Data: data})
	}
	return t.w.Write(protocol.Cmd_TopicPublish, &protocol.TopicPublish{Topics: []string{topic}, Data: data})
}

// casts sends each of data to one of uniqIDs, when flush is called.
func (t *taskConn) casts(uniqIDs []string, data [][]byte) error {
	return t.w.Write(protocol.Cmd_SingleCastBulk, &protocol.SingleCastBulk{UniqIds: uniqIDs, Data: data})
}

func (t *taskConn) flush() error { return t.w.Flush() }

func (t *taskConn) close() {
	if t != nil {
		_ = t.conn.Close()
	}
}

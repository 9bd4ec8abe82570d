package admin

import (
	"net"
	"sync"
	"sync/atomic"
)

// maxConns bounds the connections of a listener. Those above it are closed at once:
// descriptors are for clients.
const maxConns = 256

// A bounded listener has no more than so many connections open.
type bounded struct {
	net.Listener
	open atomic.Int64
}

// Accept implements net.Listener.
func (b *bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if b.open.Add(1) <= maxConns {
			return &counted{Conn: c, gone: sync.OnceFunc(func() { b.open.Add(-1) })}, nil
		}
		b.open.Add(-1)
		_ = c.Close() // there is nothing to lose
	}
}

// A counted connection says when it is closed.
type counted struct {
	net.Conn
	gone func()
}

// Close implements net.Conn.
func (c *counted) Close() error {
	defer c.gone()
	return c.Conn.Close()
}

package cluster_test

import (
	"net"
	"sync"
	"testing"
)

// A cable is a node's way to NATS that can be cut, and held.
type cable struct {
	t    testing.TB
	to   string
	lis  net.Listener
	pipe sync.WaitGroup

	mu    sync.Mutex
	ends  map[net.Conn]bool
	isCut bool
	held  chan struct{} // closed while nothing is held
}

func layCable(t testing.TB, to string) *cable {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	c := &cable{t: t, to: to, lis: l, ends: make(map[net.Conn]bool), held: make(chan struct{})}
	close(c.held)
	c.pipe.Go(c.accept)
	t.Cleanup(func() {
		_ = l.Close()
		c.release()
		c.cut()
		c.pipe.Wait()
	})
	return c
}

func (c *cable) url() string { return "nats://" + c.lis.Addr().String() }

func (c *cable) accept() {
	for {
		near, err := c.lis.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", c.to)
		if err != nil || !c.add(near, far) {
			_ = near.Close()
			if far != nil {
				_ = far.Close()
			}
			continue
		}
		c.pipe.Go(func() { c.carry(near, far) })
		c.pipe.Go(func() { c.carry(far, near) })
	}
}

func (c *cable) add(ends ...net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isCut {
		return false
	}
	for _, e := range ends {
		c.ends[e] = true
	}
	return true
}

func (c *cable) carry(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	b := make([]byte, 4<<10)
	for {
		n, err := from.Read(b)
		c.mu.Lock()
		held := c.held
		c.mu.Unlock()
		<-held
		if n > 0 {
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// cut ends what goes over the cable, and lets nothing more over it until it is mended.
func (c *cable) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.isCut = true
	for e := range c.ends {
		_ = e.Close()
	}
	clear(c.ends)
}

func (c *cable) mend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.isCut = false
}

// hold lets nothing pass until release.
func (c *cable) hold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = make(chan struct{})
}

func (c *cable) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.held:
	default:
		close(c.held)
	}
}

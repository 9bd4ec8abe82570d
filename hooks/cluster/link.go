package cluster

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// flushTime bounds the wait for NATS to have what it was sent.
	flushTime = time.Second
	// pingTime is how often a connection is looked after, where the host says
	// nothing else: nats.go's own two minutes are long for a gateway.
	pingTime = 5 * time.Second
	// reconnectWait is the time between two attempts to reach NATS again, by the same
	// token: clients that are here miss what is said elsewhere meanwhile. A random
	// part, as long again, keeps many nodes from coming at the same time.
	reconnectWait = 250 * time.Millisecond
	// stallTime is how long NATS may take nothing of what is written to it.
	stallTime = 10 * time.Second
	// partSize bounds one message to NATS. What is larger goes in parts, so that
	// no bound in messages is one of many megabytes.
	partSize = 64 << 10
)

// A link is the connection to NATS.
type link struct {
	conn *nats.Conn // set before anything is sent
	up   atomic.Bool
	late atomic.Bool // conn was not connected when it was made
	// doubt is until when, in Unix nanoseconds, others are asked what they have sent, as
	// something may have cost messages that were on their way here.
	doubt atomic.Int64
	// part bounds a message, its header included.
	part atomic.Int64
}

// connect reaches NATS, or starts to try, and subscribes to what every node does.
func (c *Cluster) connect() error {
	o := nats.GetDefaultOptions()
	o.Servers = servers(c.cfg.Servers)
	for _, opt := range c.cfg.Options {
		if opt == nil {
			continue
		}
		if err := opt(&o); err != nil {
			return fmt.Errorf("cluster: Config.Options: %w", err)
		}
	}
	if o.Name == "" {
		o.Name = "sluice " + c.cfg.Name + " " + c.self.node.String()
	}
	if o.PingInterval == nats.DefaultPingInterval {
		o.PingInterval = pingTime
	}
	if o.FlusherTimeout == nats.DefaultFlusherTimeout {
		o.FlusherTimeout = stallTime
	}
	if o.ReconnectWait == nats.DefaultReconnectWait {
		o.ReconnectWait = reconnectWait
		o.ReconnectJitter = max(o.ReconnectJitter, reconnectWait)
	}
	o.NoEcho, o.AllowReconnect, o.MaxReconnect, o.ReconnectBufSize = true, true, -1, -1
	o.IgnoreAuthErrorAbort = true // credentials may be renewed, and clients of this node are served meanwhile
	o.RetryOnFailedConnect = c.cfg.Retry
	c.listen(&o)
	nc, err := o.Connect()
	if err != nil {
		return fmt.Errorf("cluster: NATS at %s: %w; start it, or set Config.Retry to start without it", c.cfg.Servers, err)
	}
	c.link.conn = nc
	c.link.fit(nc)
	for _, subject := range []string{c.subjects.all(), c.subjects.node(c.self.node)} {
		if _, err := nc.ChanSubscribe(subject, c.inbox.ch); err != nil {
			nc.Close()
			return fmt.Errorf("cluster: subscribing to %s: %w", subject, err)
		}
	}
	c.link.late.Store(true)
	if nc.IsConnected() {
		c.link.late.Store(false)
		if err := nc.FlushTimeout(flushTime); err != nil && !c.cfg.Retry {
			nc.Close()
			return fmt.Errorf("cluster: NATS at %s: %w", c.cfg.Servers, err)
		}
		c.link.up.Store(true)
	}
	return nil
}

// breaks returns how often the connection has broken and was made again. nats.go tells of
// that on a goroutine of its own, and by then something may have been sent and received
// over the new one.
func (l *link) breaks() uint64 {
	if l.conn == nil {
		return 0
	}
	return l.conn.Stats().Reconnects
}

// fit keeps parts to what NATS takes, of which less than a kilobyte is of no use.
func (l *link) fit(nc *nats.Conn) {
	part := int64(partSize)
	if most := nc.MaxPayload(); most > 0 {
		part = max(1<<10, min(part, most))
	}
	l.part.Store(part)
}

// servers returns the addresses of a list.
func servers(list string) (all []string) {
	for s := range strings.SplitSeq(list, ",") {
		if s = strings.TrimSpace(s); s != "" {
			all = append(all, s)
		}
	}
	return all
}

// listen has the cluster told of the connection's state, besides whoever the host has
// told.
func (c *Cluster) listen(o *nats.Options) {
	lost, found, first, ended, trouble := o.DisconnectedErrCB, o.ReconnectedCB, o.ConnectedCB, o.ClosedCB, o.AsyncErrorCB
	o.DisconnectedErrCB = func(nc *nats.Conn, err error) {
		c.link.up.Store(false)
		if !c.stopped.Load() {
			c.log.Warn("cluster lost", "error", err)
		}
		if lost != nil {
			lost(nc, err)
		}
	}
	o.ReconnectedCB = func(nc *nats.Conn) {
		c.counts.reconnects.Add(1)
		c.reach(nc)
		if found != nil {
			found(nc)
		}
	}
	o.ConnectedCB = func(nc *nats.Conn) {
		if c.link.late.Load() {
			c.reach(nc)
		}
		if first != nil {
			first(nc)
		}
	}
	o.ClosedCB = func(nc *nats.Conn) {
		if !c.stopped.Load() {
			c.fail(errors.New("cluster: the connection to NATS was closed for good"))
		}
		if ended != nil {
			ended(nc)
		}
	}
	o.AsyncErrorCB = func(nc *nats.Conn, s *nats.Subscription, err error) {
		if errors.Is(err, nats.ErrSlowConsumer) {
			c.doubt()
		}
		c.logTrouble("NATS", err)
		if trouble != nil {
			trouble(nc, s, err)
		}
	}
}

// reach takes up the connection when it is there again, and NATS has all of the
// subscriptions, which for many topics is some time later: until then, messages are
// still lost, and nothing that comes shows which.
func (c *Cluster) reach(nc *nats.Conn) {
	c.link.fit(nc)
	for nc.FlushTimeout(flushTime) != nil {
		if !nc.IsConnected() {
			return // it will be called again
		}
	}
	c.doubt()
	c.log.Info("cluster reached", "server", nc.ConnectedUrlRedacted())
	c.members.grace(time.Now())
	c.link.up.Store(true)
	if c.stopped.Load() {
		c.link.up.Store(false) // as close has done, which may have come before
	}
	c.announce()
}

// doubtTime is for how long others are asked after something was lost, at each sign of
// life: what came just before can be behind much else that waits to be carried out, and
// subscriptions may take a while to return.
func (c *Cluster) doubtTime() time.Duration { return max(5*time.Second, 3*c.cfg.Heartbeat) }

// doubt notes that messages may be lost that were on their way here.
func (c *Cluster) doubt() {
	c.link.doubt.Store(time.Now().Add(c.doubtTime()).UnixNano())
}

// fail ends Run.
func (c *Cluster) fail(err error) {
	select {
	case c.failed <- err:
	default:
	}
}

// close ends what Run has begun.
func (c *Cluster) close() {
	c.stopped.Store(true)
	c.cancel()
	c.outbox.close()
	c.questions.close()
	c.link.up.Store(false)
	if c.link.conn != nil {
		c.link.conn.Close()
	}
	c.chores.Wait()
	c.asking.Wait()
}

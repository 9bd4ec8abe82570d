package cluster

import (
	"encoding/binary"
	"sync"
	"time"

	"github.com/sluicegate/sluice/hooks"
)

// limits are those that were set for the whole cluster, each with the time at which it
// was. They are in every sign of life, so that nodes which come later, or were cut
// off, have them too.
type limits struct {
	mu        sync.Mutex
	now       hooks.Limits
	opensAt   uint64 // Unix nanoseconds; 0 if it was never set
	messageAt uint64
}

// set notes those fields of l that are above 0.
func (l *limits) set(v hooks.Limits) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := max(uint64(time.Now().UnixNano()), l.opensAt+1, l.messageAt+1)
	if v.OnOpen > 0 {
		l.now.OnOpen, l.opensAt = v.OnOpen, at
	}
	if v.OnMessage > 0 {
		l.now.OnMessage, l.messageAt = v.OnMessage, at
	}
}

// put writes them down.
func (l *limits) put(b []byte) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, v := range []uint64{l.opensAt, uint64(l.now.OnOpen), l.messageAt, uint64(l.now.OnMessage)} {
		b = binary.AppendUvarint(b, v)
	}
	return b
}

// learn takes those that are newer from what put has written, and returns them.
func (l *limits) learn(b []byte) (fresh hooks.Limits) {
	var v [4]uint64
	for i := range v {
		value, n := binary.Uvarint(b)
		if n <= 0 {
			return fresh
		}
		v[i], b = value, b[n:]
	}
	const most = 1<<31 - 1
	l.mu.Lock()
	defer l.mu.Unlock()
	if v[0] > l.opensAt && v[1] > 0 && v[1] <= most {
		l.opensAt, l.now.OnOpen = v[0], int(v[1])
		fresh.OnOpen = l.now.OnOpen
	}
	if v[2] > l.messageAt && v[3] > 0 && v[3] <= most {
		l.messageAt, l.now.OnMessage = v[2], int(v[3])
		fresh.OnMessage = l.now.OnMessage
	}
	return fresh
}

// takeLimits puts in force what another node knows that is newer.
func (c *Cluster) takeLimits(b []byte) {
	if fresh := c.limits.learn(b); fresh != (hooks.Limits{}) {
		if _, err := c.local.Limit(c.working, fresh); err != nil {
			c.logTrouble("a limit was not put in force", err)
		}
	}
}

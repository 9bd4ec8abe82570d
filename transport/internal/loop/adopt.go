package loop

import "github.com/sluicegate/sluice/transport"

// Adopt makes a connection of s, whose opening handshake was made elsewhere. It
// is open once Begin is called; until then the engine can make it known. Its peer
// has the address of u, which is another than that of s if there is a proxy between
// them.
func (l *Loop) Adopt(s Socket, u transport.Upgrade) *Conn {
	c := l.attach(from(s, u.RemoteAddr))
	c.value = &handshake{conn: c, decision: decision{accepted: true, value: u.Value}}
	c.state = stateDeciding
	c.flags |= adopted
	if u.Compressed {
		c.flags |= compressed
	}
	return c
}

// Begin opens a connection that was adopted. b is what its peer has sent behind
// the request; it may be overwritten and is not kept.
func (c *Conn) Begin(b []byte) {
	l := c.loop
	l.box.enter()
	defer l.leave()
	defer l.guard(c)
	if c.state == stateDeciding && !c.is(cut) {
		c.open(c.handshake().value, b)
	}
}

// CloseAdopted has the loop begin to close the connections that were adopted. It
// may be called on any goroutine.
func (l *Loop) CloseAdopted(code int, reason string) {
	// A loop that has stopped has no connections.
	_ = l.PostAlways(&closeAdopted{l: l, code: code, reason: reason})
}

type closeAdopted struct {
	l      *Loop
	code   int
	reason string
}

func (t *closeAdopted) Run(int) (steps int, done bool) {
	n := len(t.l.conns)
	t.l.closeConns(adopted, t.code, t.reason)
	return n, true
}

func (t *closeAdopted) Weight() (recipients, bytes int) { return 1, len(t.reason) }

func (t *closeAdopted) Drop() {}

// Drained says that the socket has taken all it was given. It is for engines
// that write on goroutines of their own: only this connection is looked after.
func (c *Conn) Drained() {
	l := c.loop
	l.box.enter()
	defer l.leave()
	defer l.guard(c)
	if c.backlog != nil {
		c.backlog.push(c)
		c.relieve()
	}
}

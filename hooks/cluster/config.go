package cluster

import (
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sluicegate/sluice/protocol"
)

// Config says how a gateway joins its cluster. The zero value of every field is a safe
// default. Sizes and times that are negative are an error.
type Config struct {
	// Name tells clusters apart that share a NATS: letters, digits, - and _, at
	// most 32. Nodes of one name are one cluster. Empty means "main".
	Name string
	// Servers are the addresses of NATS, separated by commas. Empty means
	// nats.DefaultURL, nats://127.0.0.1:4222.
	Servers string
	// Options go to nats.Connect: credentials, TLS, a name, time-outs. The
	// cluster sets nats.NoEcho, MaxReconnects (without end), IgnoreAuthErrorAbort
	// (credentials may be renewed) and ReconnectBufSize (none: what was not sent is
	// counted instead) itself; callbacks for the state of the connection are called
	// besides its own. Where they leave nats.go's defaults, it looks after the
	// connection each 5 seconds and tries again after a quarter of a second. Nil
	// means none.
	Options []nats.Option
	// Retry starts the gateway when NATS cannot be reached: it serves its own
	// clients and joins when NATS is there. False makes gateway.Run fail.
	Retry bool

	// Heartbeat is how often the node tells the others that it is there. With n
	// nodes, NATS carries n messages to n nodes in this time. Zero means 2
	// seconds.
	Heartbeat time.Duration
	// MissedHeartbeats is how many a node may miss before the others take it for
	// lost. Zero means 4.
	MissedHeartbeats int
	// JoinWait is how long the node waits for the others to answer its first
	// message, before it accepts clients. Another with the same node answers
	// within that time, if there is one, and gateway.Run fails. Zero means a
	// quarter of a second.
	JoinWait time.Duration
	// QueryTimeout bounds the wait for other nodes' answers, where the caller's
	// context does not end before. Zero means 2 seconds.
	QueryTimeout time.Duration
	// SendWait bounds how long a command waits for room in the queue for NATS,
	// where the caller's context does not end before, or allows no waiting. Zero
	// means 5 seconds.
	SendWait time.Duration
	// OutgoingLimit bounds what waits to be sent to NATS, in bytes. A command
	// that finds no room within SendWait fails with hooks.ErrOverloaded for the
	// other nodes. Zero means 32 MiB.
	OutgoingLimit int
	// IncomingLimit bounds what has arrived and is not carried out yet, in
	// bytes. What comes beyond it is dropped, and counted as missed. Zero means
	// 64 MiB.
	IncomingLimit int
	// Linger is for how long the node still gets the messages of a topic without
	// subscribers: clients that come and go cost no subscription each. Zero means
	// 10 seconds.
	Linger time.Duration

	// OnMember is told of other nodes that come and go. It is called on a
	// goroutine of the cluster's, never while a call of it or of OnGap is under
	// way, and must neither block nor call the Bus. A panic is logged. Nil is
	// told nothing.
	OnMember func(MemberEvent)
	// OnGap is told of messages that were lost between nodes, as OnMember is of
	// nodes.
	OnGap func(Gap)
}

// A MemberEvent tells of another node.
type MemberEvent struct {
	// Node is the one.
	Node protocol.Node
	// Change is what has become of it.
	Change MemberChange
	// Nodes is how many there are now, this one included.
	Nodes int
}

// MemberChange is what can become of a node.
type MemberChange string

// The changes.
const (
	// MemberJoined: it was heard of for the first time.
	MemberJoined MemberChange = "joined"
	// MemberLeft: it has taken its leave.
	MemberLeft MemberChange = "left"
	// MemberLost: it has missed its heartbeats, or came back as another process.
	MemberLost MemberChange = "lost"
)

// A Gap tells of messages that were lost between two nodes.
type Gap struct {
	// From is the node that sent them. If it is this one, they were not sent, and
	// the commands that they were part of have returned an error.
	From protocol.Node
	// Messages is how many.
	Messages int64
	// AtMost says that Messages is an upper bound: the sender could not say any
	// more which of its messages this node would have got.
	AtMost bool
}

func (c Config) withDefaults() (Config, error) {
	or(&c.Name, "main")
	if !plainName(c.Name) {
		return c, fmt.Errorf("cluster: Config.Name is %q; use letters, digits, - and _, at most 32", c.Name)
	}
	or(&c.Servers, nats.DefaultURL)
	for name, v := range map[string]int{
		"MissedHeartbeats": c.MissedHeartbeats, "OutgoingLimit": c.OutgoingLimit, "IncomingLimit": c.IncomingLimit,
	} {
		if v < 0 {
			return c, fmt.Errorf("cluster: Config.%s is %d; use 0 for the default or a positive number", name, v)
		}
	}
	for name, v := range map[string]time.Duration{
		"Heartbeat": c.Heartbeat, "JoinWait": c.JoinWait, "QueryTimeout": c.QueryTimeout, "SendWait": c.SendWait, "Linger": c.Linger,
	} {
		if v < 0 {
			return c, fmt.Errorf("cluster: Config.%s is %v; use 0 for the default or a positive time", name, v)
		}
	}
	or(&c.Heartbeat, 2*time.Second)
	or(&c.MissedHeartbeats, 4)
	or(&c.JoinWait, time.Second/4)
	or(&c.QueryTimeout, 2*time.Second)
	or(&c.SendWait, 5*time.Second)
	or(&c.OutgoingLimit, 32<<20)
	or(&c.IncomingLimit, 64<<20)
	or(&c.Linger, 10*time.Second)
	return c, nil
}

// or gives v a default.
func or[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

package hooks

import (
	"context"
	"log/slog"

	"github.com/sluicegate/sluice/protocol"
)

// A Cluster joins a gateway with others, so that a command reaches clients
// whichever gateway they are connected to. Package hooks/cluster has one, on NATS.
//
// Without one, a gateway is on its own and pays nothing for the possibility.
type Cluster interface {
	// Join is called once, by gateway.New, and returns the Bus that reaches the
	// clients of all nodes. The gateway's own methods, and the Bus that its
	// Router is given, are that Bus then. Its error is New's.
	Join(m Member) (Bus, error)
	// Run is called on a goroutine of its own when the gateway starts, and calls
	// ready when it may accept clients. ctx ends when the gateway has stopped:
	// the clients are gone, and the Router's calls and the Runners have
	// returned. Run must return soon after. An error that comes earlier stops
	// the gateway, as does a panic.
	Run(ctx context.Context, ready func()) error
	// Want is called before clients of this node are subscribed to topics, which
	// may be listed twice or be empty. It returns when what other nodes publish
	// to them will arrive here, when ctx ends, or at once if ctx allows no
	// waiting, see MayWait. It may be called on any goroutine.
	Want(ctx context.Context, topics []string)
	// Unwant is called when clients of this node were subscribed to topics and
	// are no more; others may be. It may be called on any goroutine, a loop too,
	// and must not block. It must not keep or change topics.
	Unwant(topics []string)
	// Stats returns what the cluster has counted at this node. It may be called
	// on any goroutine and must not block.
	Stats() ClusterStats
}

// A Member is a gateway as its Cluster sees it.
type Member struct {
	// Node is how the gateway's uniqIds begin.
	Node protocol.Node
	// Local reaches the gateway's own clients only. It may be used on any
	// goroutine, and before the gateway runs.
	Local Bus
	// Logger gets the cluster's log. It is never nil.
	Logger *slog.Logger
}

// ClusterStats is what a node of a cluster has counted since it was made.
type ClusterStats struct {
	// Connected says whether the other nodes can be reached now.
	Connected bool
	// Nodes is how many nodes there are, this one included, as far as it knows.
	Nodes int
	// Topics is how many topics this node asks the others' messages of.
	Topics int
	// Sent and SentBytes count messages handed to the engine between the nodes,
	// and Received and ReceivedBytes those that came from it.
	Sent, SentBytes, Received, ReceivedBytes int64
	// Unsent counts messages of this node that were not handed to the engine: it
	// was away, or took too little. The command that they were part of has
	// returned an error.
	Unsent int64
	// Missed counts messages of other nodes that were lost on the way, as far as
	// they could have been for this one.
	Missed int64
	// Malformed counts messages that could not be read.
	Malformed int64
	// Silent counts how often a node did not answer a question in time.
	Silent int64
	// Outgoing is how many bytes wait for the engine, and Incoming how many that
	// came from it wait to be carried out; OutgoingLimit and IncomingLimit are
	// how many may.
	Outgoing, OutgoingLimit, Incoming, IncomingLimit int64
	// Joined, Left and Lost count the nodes that came, that took their leave, and
	// that were not heard of any more.
	Joined, Left, Lost int64
	// Reconnects counts how often the engine was lost and found again.
	Reconnects int64
}

// Local returns a Bus for the clients of bus's own node, if that is a node of a
// cluster, and bus itself if not. It may be called on any goroutine.
func Local(bus Bus) Bus {
	if b, ok := bus.(interface{ Local() Bus }); ok {
		return b.Local()
	}
	return bus
}

// Package cluster makes one gateway of many, over NATS.
//
//	joined, err := cluster.New(cluster.Config{Servers: "nats://127.0.0.1:4222"})
//	if err != nil {
//		return err
//	}
//	gw, err := gateway.New(gateway.Config{Cluster: joined, …})
//
// Each gateway is a node, named by the first six bytes of its uniqIds. A command
// that names a client goes to that client's node; one about a topic goes to the
// nodes with a subscriber of it, as the topic is a NATS subject which a node
// subscribes to while it has one; a broadcast, and whatever names customers, goes to
// all. A node carries out its own part directly, whether NATS is there or not.
// Questions gather the answers of all nodes that may know, within
// Config.QueryTimeout; what came is returned with a [*SilentError] that names those
// that did not answer.
//
// # What is promised
//
// Order: what one caller issues reaches a client in the order in which it was issued,
// on whichever node each of them is: all commands of a node go over one connection,
// and are carried out one after the other where they arrive.
//
// Own writes: a query sees the caller's earlier changes. When Subscribe has returned,
// the client gets what its caller publishes from then on, and what others publish on
// any node; where NATS is several servers, they tell each other of the topic meanwhile,
// which takes about a millisecond. On an event loop, which cannot wait, Subscribe
// returns before all that.
//
// Delivery: a client of the caller's own node gets each message once. Between nodes
// a message arrives at most once: it is lost if the connection to NATS breaks while it
// is under way, if a queue is full, or if it comes behind later ones, by way of a server
// of NATS that its sender has left. What is lost is counted, see [hooks.ClusterStats]: if
// it was not sent, the command returns an error too; if it was lost on the way, the node
// that it was for finds out with the next message, asks the sender what it was, and
// reports it to Config.OnGap. Where NATS is several servers, the way between two of them
// may break, and no node's connection does: that shows when a sign of life or a broadcast
// is lost with it; what is lost within less than Config.Heartbeat, and without one of
// those, is not counted. A node that ends without taking its leave takes with it what it
// had not sent.
//
// A message that names a topic without subscribers, or a customer without clients,
// is not counted as dropped in a cluster, as no node knows all of them.
//
// # Who is trusted
//
// Whoever can publish to the cluster's subjects, sluice.<name>.>, can act on all
// clients. Give the nodes credentials of their own (nats.UserCredentials, nats.Secure
// and the like in Config.Options) and a NATS account, or permissions, for nobody else.
package cluster

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/command"
	"github.com/sluicegate/sluice/protocol"
)

// A Cluster is one gateway's membership. It is made by [New], is a
// gateway.Config.Cluster, and serves one gateway. Its methods may be called on any
// goroutine.
type Cluster struct {
	cfg      Config
	commands map[protocol.Cmd_Number]command.Command
	self     identity
	local    hooks.Bus
	log      *slog.Logger

	subjects  subjects
	members   *members
	outbox    *outbox
	inbox     *inbox
	interest  *interest
	questions *questions
	history   history
	limits    limits
	link      link
	counts    counts
	noise     noise

	joined, running, established, stopped atomic.Bool

	// working is the context of what other nodes command, and unwilling the same
	// where nothing may wait.
	working, unwilling context.Context
	cancel             context.CancelFunc
	failed             chan error    // why Run must end
	sent               chan struct{} // closed when the outbox is closed and empty
	chores             sync.WaitGroup
	asking             sync.WaitGroup // of questions of other nodes, and to them
	answering          chan struct{}  // a token for each question that is being answered
	telling            sync.Mutex     // the host's callbacks are called one at a time

	// The sender's own: how many messages it has sent to all, and how often the
	// connection had broken at its last sign of life.
	toAll uint64
	epoch uint16

	// The dispatcher's own.
	breaks     uint64 // of the connection, at the last sign of life
	streams    map[identity]*stream
	overloaded time.Time // when a loop was waited for in vain
}

var _ hooks.Cluster = (*Cluster)(nil)

// New makes a membership. It connects when the gateway runs. The error says which
// field of cfg is wrong.
func New(cfg Config) (*Cluster, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Cluster{
		cfg: cfg, commands: command.Table(), subjects: subjectsOf(cfg.Name),
		failed: make(chan error, 1), sent: make(chan struct{}), answering: make(chan struct{}, maxAnswers),
		streams: make(map[identity]*stream),
	}
	c.working, c.cancel = context.WithCancel(context.Background())
	c.unwilling = hooks.WithoutWaiting(c.working)
	c.outbox = newOutbox(cfg.OutgoingLimit)
	c.inbox = newInbox(cfg.IncomingLimit)
	c.members = newMembers()
	c.interest = newInterest(cfg.Linger)
	c.questions = newQuestions()
	return c, nil
}

// Join implements [hooks.Cluster].
func (c *Cluster) Join(m hooks.Member) (hooks.Bus, error) {
	if c.joined.Swap(true) {
		return nil, errors.New("cluster: a Cluster serves one gateway; make another one with New")
	}
	c.local, c.log = m.Local, m.Logger
	var instance [8]byte
	_, _ = rand.Read(instance[:]) // never fails, see its documentation
	c.self = identity{node: m.Node, instance: binary.BigEndian.Uint64(instance[:])}
	c.members.join(c.self)
	return newBus(c), nil
}

// Run implements [hooks.Cluster].
func (c *Cluster) Run(ctx context.Context, ready func()) error {
	if !c.joined.Load() || c.running.Swap(true) {
		return errors.New("cluster: Run is for the gateway that the Cluster was given to, once")
	}
	defer c.close()
	if err := c.connect(); err != nil {
		return err
	}
	c.chores.Go(func() {
		defer close(c.sent)
		c.send()
	})
	for _, chore := range []func(context.Context){c.receive, c.dispatch, c.tendInterest} {
		c.chores.Go(func() { chore(c.working) })
	}
	c.announce()
	select {
	case err := <-c.failed:
		return err
	case <-ctx.Done():
		return nil
	case <-time.After(c.cfg.JoinWait):
	}
	c.establish()
	ready()
	c.chores.Go(func() { c.beat(c.working) })
	select {
	case err := <-c.failed:
		return err
	case <-ctx.Done():
		c.takeLeave()
		return nil
	}
}

// Want implements [hooks.Cluster].
func (c *Cluster) Want(ctx context.Context, topics []string) {
	c.interest.want(ctx, topics, c.link.up.Load())
}

// Unwant implements [hooks.Cluster].
func (c *Cluster) Unwant(topics []string) { c.interest.unwant(topics) }

// Nodes returns the nodes of the cluster as far as this one knows, itself included, in
// no particular order. The slice is the caller's.
func (c *Cluster) Nodes() []protocol.Node { return c.members.nodes() }

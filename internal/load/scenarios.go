package load

import (
	"context"
	"time"
)

// needs says what a scenario asks of a server that is a gateway.
type needs int

const (
	needsClients needs = iota // any server does, if it sends back what is sent to it
	needsTask                 // a task listener
	needsHandler              // that, and the run's handler
)

// A spec describes a scenario.
type spec struct {
	name, summary string
	operation     string
	classes       []string // what takes time in it; the leading ones are operations
	counted       int      // so many
	needs         needs
	flags         []string // those of the command line that it looks at, besides the common ones
	defaults      func(*Config)
	make          func(*run) scenario
}

// A scenario is what happens in one run. Its methods are called one after the
// other.
type scenario interface {
	// prepare is called when the clients are connected and were weighed.
	prepare(ctx context.Context) error
	// play is the measured phase: it goes on until ctx ends, and then until
	// what is under way is done or [run.drain] gives up.
	play(ctx context.Context) error
	// counts is asked when the clients have left.
	counts() []Count
}

// handshakes is the class of the handshakes before the measured phase.
const handshakes = "handshake"

func specs() []*spec {
	return []*spec{
		{
			name: "hold", summary: "idle clients: memory of each",
			classes: []string{handshakes},
			defaults: func(c *Config) {
				or(&c.Clients, 1000)
				or(&c.For, 3*time.Second)
			},
			make: func(r *run) scenario { return hold{r} },
		},
		{
			name: "storm", summary: "clients that come and go, -parallel at a time or at -rate",
			operation: "handshake", classes: []string{handshakes}, counted: 1,
			defaults: func(*Config) {},
			make:     func(r *run) scenario { return &storm{r: r} },
		},
		{
			name: "echo", summary: "each client's messages come back, -depth under way or at -rate of all clients",
			operation: "round trip", classes: []string{"round trip", handshakes}, counted: 1, flags: []string{"depth"},
			defaults: func(c *Config) { or(&c.Clients, 50) },
			make:     func(r *run) scenario { return newEcho(r) },
		},
		{
			name: "broadcast", summary: "messages to all, -inflight under way or at -rate; with -topics to topics that all have, in turn",
			operation: "delivery", classes: []string{"delivery", handshakes}, counted: 1, needs: needsTask, flags: []string{"inflight", "topics"},
			defaults: func(c *Config) { or(&c.Clients, 1000) },
			make:     func(r *run) scenario { return newBroadcast(r) },
		},
		{
			name: "groups", summary: "group chat: clients say something to their group, -depth under way each or at -rate of all",
			operation: "delivery", classes: []string{"delivery", handshakes}, counted: 1, needs: needsHandler,
			flags: []string{"groups", "size-of-group", "depth"},
			defaults: func(c *Config) {
				or(&c.Groups, 20)
				or(&c.GroupSize, 50)
				or(&c.Clients, c.Groups*c.GroupSize)
			},
			make: func(r *run) scenario { return newGroups(r) },
		},
		{
			name: "topics", summary: "topic churn: clients subscribe and unsubscribe, -depth under way each or at -rate of all",
			operation: "change", classes: []string{"change", handshakes}, counted: 1, needs: needsHandler, flags: []string{"topics", "depth"},
			defaults: func(c *Config) {
				or(&c.Clients, 500)
				or(&c.Topics, 100)
			},
			make: func(r *run) scenario { return newTopics(r) },
		},
		{
			name: "login", summary: "clients log in and out, -depth under way each or at -rate of all",
			operation: "change", classes: []string{"change", handshakes}, counted: 1, needs: needsHandler, flags: []string{"depth"},
			defaults: func(c *Config) { or(&c.Clients, 500) },
			make:     func(r *run) scenario { return newLogin(r) },
		},
		{
			name: "unicast", summary: "messages to single clients at random, in bulk, -inflight under way or at -rate",
			operation: "delivery", classes: []string{"delivery", handshakes}, counted: 1, needs: needsHandler, flags: []string{"inflight"},
			defaults: func(c *Config) {
				or(&c.Clients, 1000)
				or(&c.Inflight, 1000)
			},
			make: func(r *run) scenario { return newUnicast(r) },
		},
		{
			name: "slow", summary: "messages to all at -rate; in the second half a share of the clients, -stalled, does not read",
			operation: "delivery", classes: []string{"delivery", "calm delivery", handshakes}, counted: 2, needs: needsTask, flags: []string{"stalled"},
			defaults: func(c *Config) {
				or(&c.Clients, 100)
				or(&c.Bytes, 16_384)
				or(&c.Rate, 100) // a rate at which a server is not busy all the time
				or(&c.For, 10*time.Second)
			},
			make: func(r *run) scenario { return newSlow(r) },
		},
		{
			name: "mixed", summary: "clients that do now this, now that, as often as -mix says, one thing at a time or at -rate of all",
			operation: "operation", classes: []string{"round trip", "group delivery", handshakes}, counted: 3, needs: needsHandler,
			flags: []string{"mix", "topics", "size-of-group"},
			defaults: func(c *Config) {
				or(&c.Clients, 200)
				or(&c.Topics, 100)
				or(&c.GroupSize, 20)
			},
			make: func(r *run) scenario { return newMixed(r) },
		},
	}
}

// Scenarios lists the scenarios.
func Scenarios() []Scenario {
	var all []Scenario
	for _, s := range specs() {
		all = append(all, Scenario{Name: s.name, Summary: s.summary, Flags: s.flags})
	}
	return all
}

// A Scenario is what can happen in a run.
type Scenario struct {
	Name    string
	Summary string   // in words
	Flags   []string // the command line's that it looks at, besides the common ones
}

func specOf(name string) *spec {
	for _, s := range specs() {
		if s.name == name {
			return s
		}
	}
	return nil
}

func scenarioNames() (names []string) {
	for _, s := range specs() {
		names = append(names, s.name)
	}
	return names
}

package load

import (
	"context"
)

// needs says what a scenario asks of a server, each one what the ones before it do
// too.
type needs int

const (
	needsClients needs = iota // that it accepts WebSocket clients
	needsEcho                 // that it sends back what they send
	needsTask                 // a task listener
	needsHandler              // the run's handler
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
				if c.For == 0 {
					c.For = 3e9
				}
			},
			make: func(r *run) scenario { return hold{r} },
		},
		{
			name: "storm", summary: "clients that come and go, -parallel at a time or at -rate",
			operation: "handshake", classes: []string{handshakes}, counted: 1, flags: []string{"parallel"},
			defaults: func(*Config) {},
			make:     func(r *run) scenario { return &storm{r: r} },
		},
		{
			name: "echo", summary: "each client's messages come back, -depth under way or at -rate of all clients",
			operation: "round trip", classes: []string{"round trip", handshakes}, counted: 1, needs: needsEcho, flags: []string{"depth"},
			defaults: func(c *Config) { or(&c.Clients, 50) },
			make:     func(r *run) scenario { return newExchange(r, echoes) },
		},
		{
			name: "broadcast", summary: "messages to all, -inflight under way or at -rate; with -topics to topics that all have, in turn",
			operation: "delivery", classes: []string{"delivery", handshakes}, counted: 1, needs: needsTask, flags: []string{"inflight", "topics"},
			defaults: func(c *Config) { or(&c.Clients, 1000) },
			make:     func(r *run) scenario { return newBroadcast(r) },
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

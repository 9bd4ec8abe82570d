package gatewaytest

import (
	"context"
	"strings"
	"time"
)

// Advance moves the gateway's clock on by d: heartbeats, delayed commands,
// handshake time-outs, rates and whatever else goes by it. What is due happens
// in order of time, and before each step the gateway settles, as [Gateway.Settle]
// says; only calls of an Authenticator are not waited for while their context
// has not ended. When Advance returns, everything has happened that d brings: a
// client can read the close frame of a heartbeat that did not come. The test
// fails if the gateway does not settle.
func (g *Gateway) Advance(d time.Duration) {
	g.t.Helper()
	if g.clock == nil {
		g.t.Fatal("gatewaytest: Advance needs a Config.Clock of this package, or none")
	}
	g.clock.advance(d, func(h *Gateway) { h.settle(true) })
}

// Settle waits until the gateway has nothing to do: what clients have sent is
// read, the Router, Authenticators and Admitters have returned, and what they
// sent is with the clients, as far as those read. It makes exact what a test
// sees then: the gateway's Stats, what a handler has left behind, and that
// something did not happen. The test fails if a call does not return within 20
// seconds.
//
// It knows nothing of goroutines that the host has started, and it needs
// connections in memory.
func (g *Gateway) Settle() {
	g.t.Helper()
	if !g.inMemory {
		g.t.Fatal("gatewaytest: Settle needs connections in memory")
	}
	g.settle(false)
}

// settle returns once loops and workers have been at rest at the same time.
// excused passes over Authenticators that have time left.
func (g *Gateway) settle(excused bool) {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), g.patience)
	defer cancel()
	before := g.restLoops(ctx)
	for ctx.Err() == nil {
		if _, err := g.probe.Workers.Await(ctx, excused); err != nil {
			break
		}
		// If the loops had nothing to do since the last look, they rested while
		// the workers did, and nobody is left to give work to the other.
		after := g.restLoops(ctx)
		if after == before {
			return
		}
		before = after
	}
	if ctx.Err() != nil {
		g.t.Fatalf("gatewaytest: the gateway does not settle; what is still running:\n\n%s", strings.Join(g.calls(), "\n\n"))
	}
}

// rest waits for the loops only.
func (g *Gateway) rest() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	g.restLoops(ctx)
}

func (g *Gateway) restLoops(ctx context.Context) (passes uint64) {
	for _, p := range g.pipes {
		n, _ := p.Rest(ctx) // whoever cares looks at ctx
		passes += n
	}
	return passes
}

// Eventually waits until ok returns true. It is for what changes without a
// message to wait for, where Settle cannot tell; the test fails if it does not
// come true within 20 seconds, saying what.
func (g *Gateway) Eventually(what string, ok func() bool) {
	g.t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			g.t.Fatalf("gatewaytest: it did not come true that %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

package gatewaytest

import (
	"bytes"
	"runtime/pprof"
	"slices"
	"strings"
	"time"
)

// linger is how long goroutines may take to end after the gateway.
const linger = time.Second

// labelKey marks goroutines in profiles. Those that a goroutine starts inherit
// its labels, so that the gateways of tests that run in parallel do not answer
// for each other.
const labelKey = "gatewaytest"

// AllowLeak has the check at the end of the test pass over goroutines that have
// function in their stack, as a stack trace spells it or in part. It is for what
// outlives the gateway by intention, as the idle connections of an HTTP client
// do.
func AllowLeak(function string) Option {
	return func(o *options) { o.allowed = append(o.allowed, function) }
}

// checkLeaks fails the test if something is left of the gateway.
func (g *Gateway) checkLeaks() {
	g.t.Helper()
	left := g.goroutines()
	for pause, begun := time.Millisecond, time.Now(); len(left) > 0 && time.Since(begun) < linger; pause *= 2 {
		time.Sleep(pause)
		left = g.goroutines()
	}
	for _, stack := range left {
		g.t.Errorf("gatewaytest: a goroutine that the gateway or a handler started has not ended:\n%s", stack)
	}
	if s := g.Stats(); s.Clients != 0 || s.Opened != s.Closed {
		g.t.Errorf("gatewaytest: of %d clients that came, %d have left; %d are still listed", s.Opened, s.Closed, s.Clients)
	}
}

// goroutines returns the stacks of those that run under the gateway's label.
func (g *Gateway) goroutines() (stacks []string) {
	var profile bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&profile, 1) // to memory
	for record := range strings.SplitSeq(profile.String(), "\n\n") {
		if !strings.Contains(record, g.label) {
			continue
		}
		if stack := frames(record); !slices.ContainsFunc(g.allowed, func(f string) bool { return strings.Contains(stack, f) }) {
			stacks = append(stacks, stack)
		}
	}
	return stacks
}

// frames returns the functions and lines of a record, which has one in a line:
// "#", an address, the function, the place, with tabs between.
func frames(record string) string {
	var b strings.Builder
	for line := range strings.Lines(record) {
		if f := strings.Fields(line); len(f) == 4 && f[0] == "#" {
			b.WriteString("\t" + f[2] + "\n\t\t" + f[3] + "\n")
		}
	}
	return b.String()
}

// calls returns the stacks of those that are in a call of the host's code, or
// all if none seems to be.
func (g *Gateway) calls() []string {
	all := g.goroutines()
	some := slices.DeleteFunc(slices.Clone(all), func(stack string) bool {
		return !strings.Contains(stack, "gateway.(*Gateway).handle+") &&
			!strings.Contains(stack, "gateway.(*Gateway).authenticate+") &&
			!strings.Contains(stack, "gateway.(*Gateway).askAll+")
	})
	if len(some) == 0 {
		return all
	}
	return some
}

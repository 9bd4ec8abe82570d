//go:build unix

// Package enginetest is what the event engines on sockets are tested for beyond
// gateway/conformance: addresses, descriptors, and that nothing is left of one that
// has ended, however it was ended. It is also the kit of those tests, for what is
// particular to one engine.
package enginetest

import (
	"net"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/sluicegate/sluice/transport"
)

// An Engine is a kind of transport under test.
type Engine struct {
	// Name is the package's, with which its errors begin.
	Name string
	// Listen returns a transport that will listen on addr; loops of 0 is its
	// own default.
	Listen func(addr string, loops int) transport.Transport
	// Limit is how a process with few descriptors serves: "serve", or "tight"
	// for an engine that keeps more descriptors free than a quarter of all.
	Limit string
}

// Main is for TestMain. Some tests start the test binary once more, as a process
// with few descriptors; no goroutine may be left but those that are ignored.
func (k Engine) Main(m *testing.M, ignored ...goleak.Option) {
	if mode := os.Getenv(childMode); mode != "" {
		os.Exit(k.child(mode))
	}
	// The runtime's poller has descriptors of its own from the first use on.
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		_ = l.Close()
	}
	goleak.VerifyTestMain(m, ignored...)
}

// Test runs all tests.
func (k Engine) Test(t *testing.T) {
	t.Run("Panics", k.testPanics)
	t.Run("ReadingGoesOnUnderAFloodOfTasks", k.testReadingGoesOnUnderAFloodOfTasks)
	t.Run("Traffic", k.testTraffic)
	t.Run("Refusal", k.testRefusal)
	t.Run("Timeouts", k.testTimeouts)
	t.Run("PortZero", k.testPortZero)
	t.Run("AddressInUse", k.testAddressInUse)
	t.Run("ServeTwice", k.testServeTwice)
	t.Run("ServeEndedEarly", k.testServeEndedEarly)
	t.Run("Shutdown", k.testShutdown)
	t.Run("ShutdownInAStorm", k.testShutdownInAStorm)
	t.Run("MoreClientsThanDescriptors", k.testMoreClientsThanDescriptors)
	t.Run("HostEatsAllDescriptors", k.testHostEatsAllDescriptors)
}

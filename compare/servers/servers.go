// Package servers has a small server for each library that Sluice is compared
// with, written as that library's documentation has it.
//
// Each echoes what its clients send, if its library lets a client do that, and
// sends to all clients what comes in at a task port: packets of Sluice's own
// protocol, Broadcast and TopicPublish.
package servers

import (
	"context"
	"fmt"
	"net"
	"runtime/debug"
	"strings"

	"golang.org/x/sync/errgroup"
)

// A Peer is a WebSocket server that is built on a library.
type Peer interface {
	// Serve accepts clients from ln, which it closes, until ctx ends. Then it
	// closes the clients and returns. It is called once.
	Serve(ctx context.Context, ln net.Listener) error
	// Broadcast sends a text message to every client, by the library's own means.
	// It may be called by several goroutines; data is the peer's from then on.
	Broadcast(data []byte) error
}

// A Library is one that there is a server of.
type Library struct {
	Name   string               // short, for flags and tables
	Module string               // its path
	New    func() (Peer, error) // makes a server, of which Serve must be called
	// NoEcho says why a client's message is not echoed. Empty means that it is.
	NoEcho string
}

// Libraries returns all of them, in the order in which they are shown.
func Libraries() []Library {
	return []Library{
		{Name: "gws", Module: "github.com/lxzan/gws", New: newGWS},
		{Name: "melody", Module: "github.com/olahol/melody", New: newMelody},
		{
			Name: "centrifuge", Module: "github.com/centrifugal/centrifuge", New: newCentrifuge,
			NoEcho: "a client of centrifuge sends commands of its protocol; there is no echo of raw messages",
		},
		{Name: "nbio", Module: "github.com/lesismal/nbio", New: newNBIO},
	}
}

// Find returns the library of that name.
func Find(name string) (Library, error) {
	var names []string
	for _, l := range Libraries() {
		if l.Name == name {
			return l, nil
		}
		names = append(names, l.Name)
	}
	return Library{}, fmt.Errorf("there is no server %q; there are %s", name, strings.Join(names, ", "))
}

// Version is the version that this program was built with, or "" if that is not
// known.
func (l Library) Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, m := range info.Deps {
		if m.Path == l.Module {
			return m.Version
		}
	}
	return ""
}

// Serve runs p for the clients of ln and the commands of tasks until ctx ends or
// one of the two fails. It closes both listeners.
func Serve(ctx context.Context, p Peer, ln, tasks net.Listener) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.Serve(ctx, ln) })
	g.Go(func() error { return serveTasks(ctx, tasks, p.Broadcast) })
	return g.Wait()
}

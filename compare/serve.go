package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/sluicegate/sluice/compare/servers"
	"github.com/sluicegate/sluice/internal/trim"
)

// serve runs one of the servers until ctx ends. Its first line says where it
// listens.
func serve(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := flag.NewFlagSet("compare serve", flag.ContinueOnError)
	fs.SetOutput(stderr)
	clients := fs.String("ws", "127.0.0.1:0", "address for clients")
	task := fs.String("task", "127.0.0.1:0", "address for commands")
	if err := fs.Parse(args); err != nil {
		return err
	}
	lib, err := servers.Find(fs.Arg(0))
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", *clients)
	if err != nil {
		return err
	}
	defer ln.Close()
	tasks, err := net.Listen("tcp", *task)
	if err != nil {
		return err
	}
	defer tasks.Close()
	peer, err := lib.New()
	if err != nil {
		return err
	}
	var trimmer sync.WaitGroup
	defer trimmer.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	trimmer.Go(func() { trim.WhenIdle(ctx) })              // as Sluice's program does
	fmt.Fprintln(stdout, "ready", ln.Addr(), tasks.Addr()) // connections wait until they are served
	return servers.Serve(ctx, peer, ln, tasks)
}

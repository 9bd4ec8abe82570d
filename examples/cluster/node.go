package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/sluicegate/sluice/examples/chat/page"
	"github.com/sluicegate/sluice/examples/chat/room"
	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks/cluster"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/gnet"
	"github.com/sluicegate/sluice/transport/nethttp"
)

// A node is a gateway and the chat's page, at one address.
type node struct {
	gateway  *gateway.Gateway
	listener net.Listener
	server   *http.Server
}

// newNode makes a node of the cluster that is on a NATS.
func newNode(servers, addr string) (*node, error) {
	chat := room.NewInCluster(slog.Default())
	joined, err := cluster.New(cluster.Config{
		Name: "chat", Servers: servers,
		// Who enters a chat had rather wait shortly than see everybody.
		QueryTimeout: 500 * time.Millisecond,
		Heartbeat:    500 * time.Millisecond,
		// The chat keeps nothing that it would have to bring up to date, but the
		// pages do.
		OnMember: func(cluster.MemberEvent) { chat.Stale() },
		OnGap:    func(cluster.Gap) { chat.Stale() },
	})
	if err != nil {
		return nil, err
	}
	loops := gnet.WithoutListener()
	mounted := nethttp.New(nethttp.HandOver(loops)) // one address for the page and the gateway
	gw, err := gateway.New(gateway.Config{
		Transports: []transport.Transport{mounted, loops},
		Router:     chat,
		Cluster:    joined,
		MaxMessage: 16 << 10, // room.MaxText characters and then some
		DrainTime:  time.Second,
	})
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("a node: %w", err)
	}
	const path = "/ws"
	at := ln.Addr().(*net.TCPAddr)
	mux := http.NewServeMux()
	mux.Handle(path, mounted)
	mux.Handle("/", page.Handler(page.Gateway{Port: at.Port, Path: path}))
	return &node{gateway: gw, listener: ln, server: &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute,
	}}, nil
}

func (n *node) url() string { return "http://" + n.listener.Addr().String() }

// run serves until ctx ends, or one of the two fails.
func (n *node) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	served := make(chan error, 1)
	go func() {
		served <- n.server.Serve(n.listener)
		cancel()
	}()
	err := n.gateway.Run(ctx)
	stopping, stop := context.WithTimeout(context.Background(), 3*time.Second)
	defer stop()
	err = errors.Join(err, n.server.Shutdown(stopping))
	if e := <-served; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	return err
}

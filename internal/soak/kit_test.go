// Package soak runs a gateway for a while under everything at once. It is tests
// only:
//
//	go test ./internal/soak                                     # a few seconds
//	go test -race ./internal/soak -timeout 30m -args -clients 5000 -for 10m
package soak

import (
	"context"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/internal/leaks"
	"github.com/sluicegate/sluice/internal/wsclient"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/gnet"
)

// settings are the flags of the tests.
func settings() (clients int, length time.Duration) {
	clients = flag.Lookup("clients").Value.(flag.Getter).Get().(int)
	length = flag.Lookup("for").Value.(flag.Getter).Get().(time.Duration)
	return clients, length
}

func TestMain(m *testing.M) {
	flag.Int("clients", 500, "clients of the soak at a time")
	flag.Duration("for", 8*time.Second, "how long the soak lasts")
	flag.Parse()
	leaks.Main(m)
}

// patience bounds what is awaited: it is reached only if a promise is broken.
const patience = 60 * time.Second

// start runs a gateway on loopback. stop has its Run end, and returns its error.
func start(t *testing.T, cfg gateway.Config) (gw *gateway.Gateway, stop func() error) {
	t.Helper()
	cfg.Transports = []transport.Transport{gnet.Listen("127.0.0.1:0", gnet.Loops(2))}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	}
	gw, err := gateway.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- gw.Run(ctx) }()
	select {
	case <-gw.Ready():
	case err := <-ended:
		t.Fatal(err)
	}
	stop = sync.OnceValue(func() error {
		cancel()
		select {
		case err := <-ended:
			return err
		case <-time.After(patience):
			return errors.New("run did not return")
		}
	})
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return gw, stop
}

// connect opens a client.
func connect(gw *gateway.Gateway, target string) (*wsclient.Conn, error) {
	conn, err := net.Dial("tcp", gw.Addrs()[0].String())
	if err != nil {
		return nil, err
	}
	c, err := wsclient.Open(conn, wsclient.Request{Target: target})
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return c, nil
}

// closeCode is the code of the close frame that err stands for, or 0.
func closeCode(err error) int {
	if ce := (*wsclient.CloseError)(nil); errors.As(err, &ce) {
		return ce.Code
	}
	return 0
}

// isEnd reports whether err is how a connection may end that was not closed in
// peace.
func isEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET) || closeCode(err) != 0
}

// heap is what is in use after a collection, in bytes.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

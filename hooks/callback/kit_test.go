package callback_test

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/hooks/callback"
	"github.com/sluicegate/sluice/protocol"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// wait bounds what a test awaits: it is reached only if a promise is broken.
const wait = 20 * time.Second

var quiet = slog.New(slog.DiscardHandler)

// await returns the next value of c.
func await[T any](t testing.TB, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(wait):
		t.Fatalf("%s did not come", what)
		panic("unreachable")
	}
}

// none fails the test if c holds a value. What could have put one there must
// have ended.
func none[T any](t testing.TB, c <-chan T, what string) {
	t.Helper()
	select {
	case v := <-c:
		t.Fatalf("%s: got %v", what, v)
	default:
	}
}

// made makes a Hook with a log that nobody reads and a long Timeout.
func made(t testing.TB, cfg callback.Config) *callback.Hook {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = quiet
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = wait
	}
	h, err := callback.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// running runs h. stop ends it, which the end of the test does otherwise.
func running(t testing.TB, h *callback.Hook) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx, nil) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := await(t, ended, "the end of Run"); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// serve starts an endpoint.
func serve(t testing.TB, f http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return s
}

// answer returns a handler that answers with m.
func answer(m *protocol.ConnOpenResp) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(encoded(m)) }
}

var yes = answer(&protocol.ConnOpenResp{Allow: true})

func encoded(m proto.Message) []byte {
	b, err := proto.Marshal(m)
	if err != nil {
		panic(err)
	}
	return b
}

// farewells is an endpoint for closes that passes on what it is told.
func farewells(t testing.TB) (url string, told chan *protocol.ConnClose) {
	told = make(chan *protocol.ConnClose, 1000)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		m := new(protocol.ConnClose)
		if err := proto.Unmarshal(b, m); err != nil || r.Method != http.MethodPost {
			t.Errorf("bad close %s: %v", r.Method, err)
		}
		told <- m
	})
	return s.URL, told
}

// closedURL is where nobody listens.
func closedURL(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String() + "/"
}

// script is an endpoint on bare TCP. f is told of each request it got whole,
// with a number from 1 on, and returns what to write; nil cuts the connection.
// The number of requests is what requests returns once stop has ended.
func script(t testing.TB, f func(n int) []byte) (url string, stop func() (requests int)) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var (
		mu    sync.Mutex
		n     int
		conns []net.Conn
		wg    sync.WaitGroup
	)
	one := func(c net.Conn) {
		defer c.Close()
		r := bufio.NewReader(c)
		for {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, req.Body)
			mu.Lock()
			n++
			b := f(n)
			mu.Unlock()
			if b == nil {
				return
			}
			_, _ = c.Write(b)
		}
	}
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			wg.Go(func() { one(c) })
		}
	})
	stop = sync.OnceValue(func() int {
		l.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
		return n
	})
	t.Cleanup(func() { stop() })
	return "http://" + l.Addr().String() + "/", stop
}

func event(id string) hooks.OpenEvent { return hooks.OpenEvent{UniqID: id} }

// admitAside calls Admit on a goroutine of its own.
func admitAside(ctx context.Context, h *callback.Hook, id string) <-chan error {
	c := make(chan error, 1)
	go func() {
		_, err := h.Admit(ctx, event(id))
		c <- err
	}()
	return c
}

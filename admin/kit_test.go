package admin

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/leaks"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/gnet"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// wait bounds what a test awaits: it is reached only if a promise is broken.
const wait = 20 * time.Second

const token = "a token of the tests"

// A site is a gateway with an Admin, and a client of both.
type site struct {
	t    *testing.T
	gw   *gateway.Gateway
	adm  *Admin
	url  string // of the Admin
	ws   string // of the gateway
	log  *book
	stop func() error
}

// subscriber is business code: a client subscribes to the topics in its query, and
// what it sends comes back.
func subscriber() hooks.Router {
	return hooks.RouterFuncs{
		OnOpen: func(ctx context.Context, bus hooks.Bus, e hooks.OpenEvent) {
			q, _ := url.ParseQuery(e.RawQuery)
			_ = bus.UpdateConnInfo(ctx, hooks.ConnInfoUpdate{
				UniqID: e.UniqID, NewTopics: q["topic"], NewCustomerID: q.Get("customer"), NewSession: q.Get("session"), Data: []byte(e.UniqID),
			})
		},
		OnMessage: func(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
			_ = bus.SingleCast(ctx, e.UniqID, e.Data)
		},
	}
}

// start runs a gateway whose Admin listens.
func start(t *testing.T, cfg Config, change ...func(*gateway.Config)) *site {
	t.Helper()
	s := &site{t: t, log: &book{}}
	if cfg.Logger = s.log.logger(); cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:0"
	}
	var err error
	s.adm, err = Listen(cfg)
	must(t, err)
	s.url = "http://" + s.adm.Addr().String()
	s.run(change...)
	return s
}

// run runs the gateway until the test ends.
func (s *site) run(change ...func(*gateway.Config)) {
	s.t.Helper()
	g := gateway.Config{
		Transports: []transport.Transport{gnet.Listen("127.0.0.1:0", gnet.Loops(1))},
		Router:     subscriber(), Hooks: []any{s.adm}, DrainTime: -1, Logger: slog.New(slog.DiscardHandler),
	}
	for _, f := range change {
		f(&g)
	}
	var err error
	s.gw, err = gateway.New(g)
	must(s.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.gw.Run(ctx) }()
	s.stop = sync.OnceValue(func() error {
		cancel()
		select {
		case err := <-ended:
			return err
		case <-time.After(wait):
			return errors.New("the gateway does not end")
		}
	})
	s.t.Cleanup(func() {
		if err := s.stop(); err != nil {
			s.t.Error(err)
		}
	})
	within(s.t, s.gw.Ready(), "the gateway")
	s.ws = "ws://" + s.gw.Addrs()[0].String() + "/"
}

// A member is a client of the gateway.
type member struct {
	t      *testing.T
	conn   *websocket.Conn
	uniqID string
}

// join connects a client, with topics and so on as subscriber has them.
func (s *site) join(query url.Values) *member {
	s.t.Helper()
	m := s.dial("?" + query.Encode())
	m.uniqID = m.read()
	return m
}

// dial connects a client and reads nothing.
func (s *site) dial(query string) *member {
	s.t.Helper()
	conn, _, err := websocket.DefaultDialer.Dial(s.ws+query, nil)
	must(s.t, err)
	s.t.Cleanup(func() { conn.Close() })
	return &member{t: s.t, conn: conn}
}

func (m *member) read() string {
	m.t.Helper()
	must(m.t, m.conn.SetReadDeadline(time.Now().Add(wait)))
	_, b, err := m.conn.ReadMessage()
	must(m.t, err)
	return string(b)
}

// closed waits for the end and returns its close code.
func (m *member) closed() int {
	m.t.Helper()
	must(m.t, m.conn.SetReadDeadline(time.Now().Add(wait)))
	for {
		_, _, err := m.conn.ReadMessage()
		if e := (*websocket.CloseError)(nil); errors.As(err, &e) {
			return e.Code
		}
		must(m.t, err)
	}
}

// httpClient has no connections of others, and follows no redirects.
func httpClient(t *testing.T) *http.Client {
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: wait, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// book keeps what is logged.
type book struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *book) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *book) logger() *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }

func (b *book) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func within[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(wait):
		t.Fatalf("timed out: %s", what)
		panic("unreachable")
	}
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	must(t, err)
	return string(b)
}

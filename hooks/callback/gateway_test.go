package callback_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"

	ws "github.com/gorilla/websocket"
	"google.golang.org/protobuf/proto"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/hooks/callback"
	"github.com/sluicegate/sluice/protocol"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/pipe"
)

// TestGateway goes through a client's life in a gateway.
func TestGateway(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		m := new(protocol.ConnOpen)
		if err := proto.Unmarshal(b, m); err != nil {
			t.Error(err)
		}
		switch m.GetRawQuery() {
		case "yes":
			answer(&protocol.ConnOpenResp{Allow: true, NewCustomerId: "c", NewSession: "s", NewTopics: []string{"news"}, Data: []byte("welcome")})(w, r)
		case "no":
			answer(&protocol.ConnOpenResp{Data: []byte("not you")})(w, r)
		default:
			w.WriteHeader(500)
		}
	})
	closeURL, told := farewells(t)
	hook := made(t, callback.Config{OpenURL: s.URL, CloseURL: closeURL})
	tr := pipe.New()
	gw, err := gateway.New(gateway.Config{
		Transports: []transport.Transport{tr}, Router: hooks.RouterFuncs{}, Hooks: []any{hook}, Logger: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- gw.Run(ctx) }()
	defer func() {
		cancel()
		if err := await(t, ended, "the end of the gateway"); err != nil {
			t.Error(err)
		}
	}()
	await(t, gw.Ready(), "the gateway")

	connect := func(query string) *ws.Conn {
		t.Helper()
		d := ws.Dialer{NetDialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return tr.Dial(ctx) }}
		c, _, err := d.Dial("ws://gateway.test/?"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		_ = c.SetReadDeadline(time.Now().Add(wait))
		return c
	}
	expect := func(c *ws.Conn, want string) {
		t.Helper()
		if _, b, err := c.ReadMessage(); err != nil || string(b) != want {
			t.Fatalf("got %q, %v, want %q", b, err, want)
		}
	}
	expectClose := func(c *ws.Conn, code int, reason string) {
		t.Helper()
		_, b, err := c.ReadMessage()
		if ce := (*ws.CloseError)(nil); !errors.As(err, &ce) || ce.Code != code || ce.Text != reason {
			t.Errorf("got %q, %v, want close %d %q", b, err, code, reason)
		}
	}

	welcome := connect("yes")
	expect(welcome, "welcome")
	if err := gw.Publish(ctx, []string{"news"}, []byte("extra")); err != nil {
		t.Fatal(err)
	}
	expect(welcome, "extra")

	refused := connect("no")
	expect(refused, "not you")
	expectClose(refused, 1008, "unauthorized")

	expectClose(connect("broken"), 1011, "internal error")
	if m := await(t, told, "the close of the doubtful one"); m.GetUniqId() == "" || m.GetCustomerId() != "" {
		t.Errorf("close %v", m)
	}

	welcome.Close()
	m := await(t, told, "the close")
	if m.GetUniqId() == "" || m.GetCustomerId() != "c" || m.GetSession() != "s" || !slices.Equal(m.GetTopics(), []string{"news"}) {
		t.Errorf("close %v", m)
	}
	none(t, told, "another close")
}

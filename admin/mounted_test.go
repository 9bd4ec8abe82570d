package admin

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/gateway/gatewaytest"
)

// Mounted under a path, for a gateway of the test kit, whose time stands still.
func TestMounted(t *testing.T) {
	a := mounted(t, Config{Token: token})
	mux := http.NewServeMux()
	mux.Handle("/ops/", http.StripPrefix("/ops", a))
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	gw := gatewaytest.New(t, gateway.Config{Hooks: []any{a}})
	gw.Connect("/")
	gw.Settle()
	within(t, a.live.gw.Ready(), "the gateway within")

	c := httpClient(t)
	for path, want := range map[string]int{
		"/ops/": 200, "/ops/js/main.js": 200, "/ops/readyz": 200, "/ops/debug/pprof/": 401, "/ops/live": 401, "/": 404,
	} {
		r, err := c.Get(srv.URL + path)
		must(t, err)
		if body(t, r); r.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, r.StatusCode, want)
		}
	}
	r, err := c.Get(srv.URL + "/ops/")
	must(t, err)
	page := body(t, r)
	for _, absolute := range []string{`src="/`, `href="/`} {
		if strings.Contains(page, absolute) {
			t.Errorf("the page has %s, which leads out of /ops", absolute)
		}
	}
	conn, _, err := websocket.DefaultDialer.Dial(strings.Replace(srv.URL, "http", "ws", 1)+"/ops/live", http.Header{"Authorization": {"Bearer " + token}})
	must(t, err)
	defer conn.Close()
	m := &member{t: t, conn: conn}
	var h hello
	must(t, json.Unmarshal([]byte(m.read()), &h))
	if h.Type != "hello" {
		t.Errorf("%+v", h)
	}
	must(t, gw.Stop())
	if code := m.closed(); code != 1012 {
		t.Errorf("closed with %d", code)
	}
}

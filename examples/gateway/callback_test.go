package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"google.golang.org/protobuf/proto"

	"github.com/sluicegate/sluice/protocol"
)

func TestCallbacks(t *testing.T) {
	closed := make(chan string, 4)
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch r.URL.Path {
		case "/close":
			var m protocol.ConnClose
			_ = proto.Unmarshal(body, &m)
			closed <- m.GetCustomerId()
			return
		case "/open":
		default:
			http.NotFound(w, r)
			return
		}
		var m protocol.ConnOpen
		_ = proto.Unmarshal(body, &m)
		if m.GetRawQuery() == "slow" {
			select {
			case <-r.Context().Done():
			case <-time.After(10 * time.Second):
			}
			return
		}
		answer, _ := proto.Marshal(&protocol.ConnOpenResp{Allow: m.GetRawQuery() == "ann", NewCustomerId: m.GetRawQuery(), Data: []byte("hi")})
		_, _ = w.Write(answer)
	}))
	defer site.Close()
	s := start(t, anyPort("-Customer.OnOpenCallbackApi", site.URL+"/open", "-Customer.OnCloseCallbackApi", site.URL+"/close",
		"-Customer.CallbackApiDeadline", "300ms")...)

	ann := server{clients: s.clients + "?ann"}.dial(t)
	if _, data, err := ann.ReadMessage(); err != nil || string(data) != "hi" {
		t.Errorf("ann got %q: %v", data, err)
	}
	bob := server{clients: s.clients + "?bob"}.dial(t)
	if _, data, err := bob.ReadMessage(); err != nil || string(data) != "hi" {
		t.Errorf("bob got %q: %v", data, err)
	}
	if _, _, err := bob.ReadMessage(); !websocket.IsCloseError(err, websocket.ClosePolicyViolation) {
		t.Errorf("bob is not allowed: %v", err)
	}
	began := time.Now()
	slow := server{clients: s.clients + "?slow"}.dial(t)
	if _, _, err := slow.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseInternalServerErr) {
		t.Errorf("no answer in time: %v", err)
	}
	if took := time.Since(began); took > 2*time.Second { // the default is 3
		t.Errorf("300ms of waiting took %v", took)
	}
	// The site may take the one for open which it was too slow for.
	for _, want := range []string{"", "ann"} {
		if want == "ann" {
			ann.Close()
		}
		select {
		case who := <-closed:
			if who != want {
				t.Errorf("%q has left, want %q", who, want)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("the site was not told that %q has left", want)
		}
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}

package callback_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/hooks/callback"
	"github.com/sluicegate/sluice/protocol"
)

func TestNew(t *testing.T) {
	for want, cfg := range map[string]callback.Config{
		"set at least one":       {},
		"OpenURL is \"/open\"":   {OpenURL: "/open"},
		"CloseURL is \"ftp://h":  {CloseURL: "ftp://h/"},
		"OpenURL is \"http://:8": {OpenURL: "http://:80/"},
		"OpenURL is \"the URL\"": {OpenURL: "http://u:secret@h/%zz"},
		"Timeout is negative":    {OpenURL: "http://h/", Timeout: -1},
		"InFlight is negative":   {OpenURL: "http://h/", InFlight: -1},
		"CloseQueue is negative": {OpenURL: "http://h/", CloseQueue: -1},
		"MaxBody is negative":    {OpenURL: "http://h/", MaxBody: -1},
	} {
		if _, err := callback.New(cfg); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// TestAnswers goes through what an endpoint may answer.
func TestAnswers(t *testing.T) {
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(code)
			if code != http.StatusNoContent {
				yes(w, r)
			}
		}
	}
	for _, c := range []struct {
		name    string
		handler http.HandlerFunc
		want    hooks.Admission
		refused bool
		fails   string // part of the error, if there is an ordinary one
	}{
		{name: "allowed", handler: answer(&protocol.ConnOpenResp{
			Allow: true, NewSession: "s", NewCustomerId: "c", NewTopics: []string{"a", "b"}, Data: []byte("hi"),
		}), want: hooks.Admission{Identity: hooks.Identity{CustomerID: "c", Session: "s", Topics: []string{"a", "b"}}, Data: []byte("hi")}},
		{name: "allowed barely", handler: yes},
		{name: "refused", handler: answer(&protocol.ConnOpenResp{NewSession: "s", Data: []byte("no")}), refused: true, want: hooks.Admission{Data: []byte("no")}},
		{name: "empty", handler: answer(nil), refused: true},
		{name: "201", handler: status(201), fails: "status 201"},
		{name: "204", handler: status(204), fails: "status 204"},
		{name: "404", handler: status(404), fails: "status 404"},
		{name: "500", handler: status(500), fails: "status 500"},
		{name: "500 and large", handler: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(500)
			_, _ = w.Write(make([]byte, 5000))
		}, fails: "status 500"},
		{name: "garbage", handler: func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, fails: "not a ConnOpenResp"},
		{name: "as large as may be", handler: answer(&protocol.ConnOpenResp{Allow: true, Data: make([]byte, 995)}),
			want: hooks.Admission{Data: make([]byte, 995)}},
		{name: "too large", handler: answer(&protocol.ConnOpenResp{Allow: true, Data: make([]byte, 996)}), fails: "larger than 1000 bytes"},
		{name: "huge", handler: func(w http.ResponseWriter, _ *http.Request) {
			b := make([]byte, 1<<20)
			for range 100 {
				if _, err := w.Write(b); err != nil {
					return
				}
			}
			t.Error("all of it was read")
		}, fails: "larger than 1000 bytes"},
		{name: "shorter than said", handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10")
			_, _ = w.Write([]byte{8, 1})
		}, fails: "reading the answer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			asked := make(chan *protocol.ConnOpen, 10)
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				b, _ := io.ReadAll(r.Body)
				m := new(protocol.ConnOpen)
				if err := proto.Unmarshal(b, m); err != nil {
					t.Error(err)
				}
				const pb = "application/x-protobuf"
				if r.Method != "POST" || r.Header.Get("Content-Type") != pb || r.Header.Get("Accept") != pb || r.Header.Get("Accept-Encoding") != "" {
					t.Errorf("%s with %v", r.Method, r.Header)
				}
				asked <- m
				c.handler(w, r)
			})
			closeURL, told := farewells(t)
			h := made(t, callback.Config{OpenURL: s.URL, CloseURL: closeURL, MaxBody: 1000})
			stop := running(t, h)
			got, err := h.Admit(t.Context(), hooks.OpenEvent{
				UniqID: "id", Path: "/ws", RawQuery: "q=\xff", XForwardedFor: "f", XRealIP: "r", RemoteAddr: "127.0.0.1",
			})
			stop()

			want := &protocol.ConnOpen{UniqId: "id", RawQuery: "q=\uFFFD", XForwardedFor: "f", XRealIp: "r", RemoteAddr: "127.0.0.1"}
			if m := await(t, asked, "the question"); !proto.Equal(m, want) {
				t.Errorf("asked %v, want %v", m, want)
			}
			none(t, asked, "another question")
			stats := callback.Stats{Admitted: 1}
			d := (*hooks.Disconnect)(nil)
			switch isRefusal := errors.As(err, &d); {
			case c.fails != "":
				stats = callback.Stats{Failed: 1, Closes: 1}
				if err == nil || isRefusal || !strings.Contains(err.Error(), c.fails) {
					t.Errorf("got %v, want %q", err, c.fails)
				}
				if m := await(t, told, "the close"); !proto.Equal(m, &protocol.ConnClose{UniqId: "id"}) {
					t.Errorf("close %v", m)
				}
			case c.refused:
				stats = callback.Stats{Refused: 1}
				if !isRefusal || d.Code != 1008 || d.Reason != "unauthorized" {
					t.Errorf("got %v, want a refusal", err)
				}
			case err != nil:
				t.Error(err)
			}
			if (len(got.Data) > 0 || len(c.want.Data) > 0) && !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
			none(t, told, "a close")
			if s := h.Stats(); s != stats {
				t.Errorf("stats %+v, want %+v", s, stats)
			}
		})
	}
}

func TestNoOpenURLAdmits(t *testing.T) {
	h := made(t, callback.Config{CloseURL: closedURL(t)})
	if a, err := h.Admit(t.Context(), event("id")); err != nil || !reflect.DeepEqual(a, hooks.Admission{}) {
		t.Errorf("got %v, %v", a, err)
	}
}

// TestSlowBody answers at once, but not to the end.
func TestSlowBody(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte{8})
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	closeURL, told := farewells(t)
	h := made(t, callback.Config{OpenURL: s.URL, CloseURL: closeURL, Timeout: 100 * time.Millisecond})
	if _, err := h.Admit(t.Context(), event("id")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want a time-out", err)
	}
	running(t, h)
	await(t, told, "the close")
}

// TestContextEnds has the client leave while the endpoint thinks.
func TestContextEnds(t *testing.T) {
	asked := make(chan bool, 1)
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // else the server does not see the connection end
		asked <- true
		<-r.Context().Done()
	})
	closeURL, told := farewells(t)
	h := made(t, callback.Config{OpenURL: s.URL, CloseURL: closeURL})
	running(t, h)
	ctx, cancel := context.WithCancel(t.Context())
	result := admitAside(ctx, h, "id")
	await(t, asked, "the question")
	cancel()
	if err := await(t, result, "the end of Admit"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
	if m := await(t, told, "the close"); m.GetUniqId() != "id" {
		t.Errorf("close %v", m)
	}
}

// TestContextHasEnded asks nobody.
func TestContextHasEnded(t *testing.T) {
	s := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("asked") })
	closeURL, told := farewells(t)
	h := made(t, callback.Config{OpenURL: s.URL, CloseURL: closeURL})
	stop := running(t, h)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Admit(ctx, event("id")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	stop()
	none(t, told, "a close")
}

package callback_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/hooks/callback"
	"github.com/sluicegate/sluice/protocol"
)

func protocolClose(id string) hooks.CloseEvent { return hooks.CloseEvent{UniqID: id} }

// TestCloseIsTold: the endpoint hears all there is, and its answer is ignored.
func TestCloseIsTold(t *testing.T) {
	told := make(chan *protocol.ConnClose, 1)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		m := new(protocol.ConnClose)
		if err := proto.Unmarshal(b, m); err != nil || r.Header.Get("Content-Type") != "application/x-protobuf" {
			t.Errorf("%v %v", err, r.Header)
		}
		told <- m
		w.WriteHeader(500)
		_, _ = w.Write(make([]byte, 1<<20))
	})
	h := made(t, callback.Config{CloseURL: s.URL, MaxBody: 10})
	stop := running(t, h)
	h.Closed(hooks.CloseEvent{UniqID: "id", CustomerID: "c", Session: "s\xff", Topics: []string{"a", "b"}})
	want := &protocol.ConnClose{UniqId: "id", CustomerId: "c", Session: "s\uFFFD", Topics: []string{"a", "b"}}
	if m := await(t, told, "the close"); !proto.Equal(m, want) {
		t.Errorf("got %v, want %v", m, want)
	}
	stop()
	if s := h.Stats(); s != (callback.Stats{Closes: 1}) {
		t.Errorf("stats %+v", s)
	}
}

func TestNoCloseURL(t *testing.T) {
	h := made(t, callback.Config{OpenURL: closedURL(t), CloseQueue: 1})
	for range 3 {
		h.Closed(protocolClose("id"))
	}
	running(t, h)()
	if s := h.Stats(); s != (callback.Stats{}) {
		t.Errorf("stats %+v", s)
	}
}

// TestEndLetsClosesOut: what is queued when the gateway ends is still posted.
func TestEndLetsClosesOut(t *testing.T) {
	const n = 50
	url, told := farewells(t)
	h := made(t, callback.Config{CloseURL: url, InFlight: 8})
	for i := range n {
		h.Closed(protocolClose(fmt.Sprint(i)))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // before the first one is posted
	if err := h.Run(ctx, nil); err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for range len(told) {
		got[(<-told).GetUniqId()] = true
	}
	if len(got) != n {
		t.Errorf("%d of %d closes came", len(got), n)
	}
	h.Closed(protocolClose("too late"))
	if s := h.Stats(); s != (callback.Stats{Closes: n, ClosesDropped: 1}) {
		t.Errorf("stats %+v", s)
	}
	if err := h.Run(ctx, nil); err == nil {
		t.Error("Run ran again")
	}
}

// TestEndIsBounded: an endpoint that hangs does not keep the gateway.
func TestEndIsBounded(t *testing.T) {
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	h := made(t, callback.Config{CloseURL: s.URL, InFlight: 8, Timeout: 100 * time.Millisecond})
	for range 50 {
		h.Closed(protocolClose("id"))
	}
	stop := running(t, h)
	start := time.Now()
	stop()
	if d := time.Since(start); d > wait/2 {
		t.Errorf("the end took %v", d)
	}
	// Two workers can have started two closes each.
	if s := h.Stats(); s.ClosesFailed+s.ClosesDropped != 50 || s.ClosesDropped < 40 {
		t.Errorf("stats %+v", s)
	}
}

// TestClosesLeaveRoomForOpens: closes that hang take a quarter of the places.
func TestClosesLeaveRoomForOpens(t *testing.T) {
	closing, release := make(chan bool, 100), make(chan bool)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/close" {
			closing <- true
			<-release
			return
		}
		yes(w, r)
	})
	h := made(t, callback.Config{OpenURL: s.URL + "/open", CloseURL: s.URL + "/close", InFlight: 8})
	stop := running(t, h)
	for range 20 {
		h.Closed(protocolClose("id"))
	}
	await(t, closing, "a close")
	await(t, closing, "a close")
	for range 20 {
		if _, err := h.Admit(t.Context(), event("id")); err != nil {
			t.Error(err)
		}
	}
	none(t, closing, "a close too many")
	close(release)
	stop()
	if s := h.Stats(); s != (callback.Stats{Admitted: 20, Closes: 20}) {
		t.Errorf("stats %+v", s)
	}
}

// TestOverflow: a full queue drops, counts and logs, but not each one, and
// never waits: not even for a log that blocks.
func TestOverflow(t *testing.T) {
	const n = 10_000
	log := &slowLog{wrote: make(chan bool, n), release: make(chan bool)}
	url, told := farewells(t)
	h := made(t, callback.Config{CloseURL: url, CloseQueue: 3, Logger: slog.New(slog.NewTextHandler(log, nil))})
	for range n {
		h.Closed(protocolClose("id")) // nobody takes them out yet
	}
	if s := h.Stats(); s != (callback.Stats{ClosesDropped: n - 3, ClosesWaiting: 3}) {
		t.Errorf("stats %+v", s)
	}
	stop := running(t, h)
	await(t, log.wrote, "the log")
	for range 3 {
		await(t, told, "a close")
	}
	for range n { // while the log blocks
		h.Closed(protocolClose("id"))
	}
	close(log.release)
	stop()
	s := h.Stats()
	if got := s.Closes + s.ClosesDropped; got != 2*n || s.ClosesFailed != 0 {
		t.Errorf("stats %+v", s)
	}
	if lines := log.String(); !strings.Contains(lines, "close callback dropped") || strings.Count(lines, "\n") > 20 {
		t.Errorf("log:\n%s", lines)
	}
}

// slowLog tells of each line and waits before it takes it.
type slowLog struct {
	wrote, release chan bool
	mu             sync.Mutex
	bytes.Buffer
}

func (l *slowLog) Write(p []byte) (int, error) {
	l.wrote <- true
	<-l.release
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(p)
}

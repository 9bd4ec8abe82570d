package callback_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sluicegate/sluice/hooks/callback"
	"github.com/sluicegate/sluice/protocol"
)

// TestRedirects: 307 keeps method and body, 302 turns into a GET.
func TestRedirects(t *testing.T) {
	for code, want := range map[int]string{302: "GET ", 303: "GET ", 307: "POST \n\x02id", 308: "POST \n\x02id"} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			got := make(chan string, 10)
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/" {
					http.Redirect(w, r, "/there", code)
					return
				}
				b, _ := io.ReadAll(r.Body)
				got <- r.Method + " " + string(b)
				yes(w, r)
			})
			h := made(t, callback.Config{OpenURL: s.URL})
			running(t, h)
			if _, err := h.Admit(t.Context(), event("id")); err != nil {
				t.Fatal(err)
			}
			if g := await(t, got, "the redirected request"); g != want {
				t.Errorf("got %q, want %q", g, want)
			}
		})
	}
}

// TestRedirectToNowhere: connecting fails, but only after the endpoint was
// asked.
func TestRedirectToNowhere(t *testing.T) {
	nowhere := closedURL(t)
	var asked atomic.Int32
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		http.Redirect(w, r, nowhere, http.StatusTemporaryRedirect)
	})
	closeURL, told := farewells(t)
	h := made(t, callback.Config{OpenURL: s.URL, CloseURL: closeURL, Timeout: time.Second})
	running(t, h)
	if _, err := h.Admit(t.Context(), event("id")); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v", err)
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	await(t, told, "the close")
}

// TestConnectionReuse: one call after the other needs one connection, whatever
// is answered, and the end closes it.
func TestConnectionReuse(t *testing.T) {
	var opened, calls atomic.Int32
	gone := make(chan bool, 100)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1)%2 == 0 {
			w.WriteHeader(500)
			_, _ = w.Write(make([]byte, 20_000))
			return
		}
		yes(w, r)
	}))
	s.Config.ConnState = func(_ net.Conn, st http.ConnState) {
		switch st {
		case http.StateNew:
			opened.Add(1)
		case http.StateClosed:
			gone <- true
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	// Every other Admit is in doubt, so that a close follows.
	h := made(t, callback.Config{OpenURL: s.URL, CloseURL: s.URL, InFlight: 1})
	stop := running(t, h)
	for range 20 {
		_, _ = h.Admit(t.Context(), event("id"))
	}
	for range 10 {
		h.Closed(protocolClose("id"))
	}
	stop()
	if n, o := calls.Load(), opened.Load(); n < 30 || o != 1 {
		t.Errorf("%d calls on %d connections", n, o)
	}
	await(t, gone, "the end of the connection")
}

// TestInFlight: calls are bounded, and those that find no place in time have
// not been made.
func TestInFlight(t *testing.T) {
	var now, most atomic.Int32
	asked, release := make(chan bool, 100), make(chan bool)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		n := now.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		asked <- true
		<-release
		now.Add(-1)
		yes(w, r)
	})
	defer sync.OnceFunc(func() { close(release) })()
	closeURL, told := farewells(t)
	h := made(t, callback.Config{OpenURL: s.URL, CloseURL: closeURL, InFlight: 3})
	stop := running(t, h)
	var results []<-chan error
	for range 10 {
		results = append(results, admitAside(t.Context(), h, "id"))
	}
	for range 3 {
		await(t, asked, "a call")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := h.Admit(ctx, event("late")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v without a place", err)
	}
	none(t, asked, "a call too many")
	for range 10 {
		release <- true
	}
	for _, r := range results {
		if err := await(t, r, "an answer"); err != nil {
			t.Error(err)
		}
	}
	stop()
	none(t, told, "a close")
	if m := most.Load(); m != 3 {
		t.Errorf("%d calls at a time", m)
	}
}

// dialing makes a Client that dials with f.
func dialing(t testing.TB, f func(ctx context.Context, network, addr string) (net.Conn, error)) *http.Client {
	tr := &http.Transport{DialContext: f}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// TestDialRetry: what could not connect is tried again, opens and closes alike.
func TestDialRetry(t *testing.T) {
	var dials, asked atomic.Int32
	client := dialing(t, func(ctx context.Context, network, addr string) (net.Conn, error) {
		if dials.Add(1)%3 != 0 {
			return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	})
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set("Connection", "close")
		yes(w, r)
	})
	h := made(t, callback.Config{OpenURL: s.URL, CloseURL: s.URL, Client: client})
	stop := running(t, h)
	if _, err := h.Admit(t.Context(), event("id")); err != nil {
		t.Error(err)
	}
	h.Closed(protocolClose("id"))
	stop()
	if d, a := dials.Load(), asked.Load(); d != 6 || a != 2 {
		t.Errorf("%d dials, asked %d times", d, a)
	}
	if s := h.Stats(); s != (callback.Stats{Admitted: 1, Closes: 1}) {
		t.Errorf("stats %+v", s)
	}
}

// TestNobodyListens: the endpoint was certainly not asked, so no close.
func TestNobodyListens(t *testing.T) {
	for name, dial := range map[string]func(context.Context, string, string) (net.Conn, error){
		"refused": new(net.Dialer).DialContext,
		"black hole": func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, errors.New("not a dial error")
		},
	} {
		t.Run(name, func(t *testing.T) {
			// A close would not arrive, but be counted.
			h := made(t, callback.Config{OpenURL: closedURL(t), CloseURL: closedURL(t), Timeout: 100 * time.Millisecond, Client: dialing(t, dial)})
			stop := running(t, h)
			if _, err := h.Admit(t.Context(), event("id")); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			stop()
			if s := h.Stats(); s != (callback.Stats{Failed: 1}) {
				t.Errorf("stats %+v", s)
			}
		})
	}
}

// TestCutAfterSending: the endpoint has the request and cuts the connection,
// fresh or kept alive. There is no second POST.
func TestCutAfterSending(t *testing.T) {
	ok := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n%s", encoded(&protocol.ConnOpenResp{Allow: true}))
	for good := range 2 {
		t.Run(fmt.Sprint(good, " good before"), func(t *testing.T) {
			url, requests := script(t, func(n int) []byte {
				if n <= good {
					return ok
				}
				return nil
			})
			closeURL, told := farewells(t)
			h := made(t, callback.Config{OpenURL: url, CloseURL: closeURL, Timeout: time.Second})
			running(t, h)
			for range good {
				if _, err := h.Admit(t.Context(), event("good")); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := h.Admit(t.Context(), event("cut")); err == nil || errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			if m := await(t, told, "the close"); m.GetUniqId() != "cut" {
				t.Errorf("close %v", m)
			}
			if n := requests(); n != good+1 {
				t.Errorf("%d requests, want %d", n, good+1)
			}
		})
	}
}

// brittle is a connection whose writes fail once it is broken.
type brittle struct {
	net.Conn
	broken *atomic.Bool
}

func (c brittle) Write(b []byte) (int, error) {
	if c.broken.Load() {
		return 0, syscall.EPIPE
	}
	return c.Conn.Write(b)
}

// TestStaleConnection: nothing could be written to a kept connection, so
// another one is used.
func TestStaleConnection(t *testing.T) {
	var asked atomic.Int32
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { asked.Add(1); yes(w, r) })
	var all []*atomic.Bool
	h := made(t, callback.Config{OpenURL: s.URL, Client: dialing(t, func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, addr)
		b := brittle{c, new(atomic.Bool)}
		all = append(all, b.broken)
		return b, err
	})})
	running(t, h)
	for range 2 {
		if _, err := h.Admit(t.Context(), event("id")); err != nil {
			t.Fatal(err)
		}
		all[0].Store(true)
	}
	if n := asked.Load(); n != 2 || !slices.ContainsFunc(all[1:], func(b *atomic.Bool) bool { return !b.Load() }) {
		t.Errorf("asked %d times on %d connections", n, len(all))
	}
}

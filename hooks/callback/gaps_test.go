package callback_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sluicegate/sluice/hooks/callback"
)

// TestSwitchingProtocols: no context ends reading a connection that was handed
// over, so nothing is read from it.
func TestSwitchingProtocols(t *testing.T) {
	to, _ := script(t, func(int) []byte {
		return []byte("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
	})
	h := made(t, callback.Config{OpenURL: to, CloseURL: to, Timeout: time.Second})
	stop := running(t, h)
	if err := await(t, admitAside(t.Context(), h, "id"), "the end of Admit"); err == nil {
		t.Error("admitted")
	}
	stop() // the open was in doubt: a close is answered so as well
	if s := h.Stats(); s != (callback.Stats{Failed: 1, Closes: 1}) {
		t.Errorf("stats %+v", s)
	}
}

// TestProxyRefuses: a proxy that could not be reached has passed nothing on.
func TestProxyRefuses(t *testing.T) {
	s := serve(t, yes)
	var dials atomic.Int32
	tr := &http.Transport{
		Proxy: func(*http.Request) (*url.URL, error) { return url.Parse(s.URL) },
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if dials.Add(1) == 1 {
				return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
			}
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
	}
	t.Cleanup(tr.CloseIdleConnections)
	h := made(t, callback.Config{OpenURL: "http://app.test/", Client: &http.Client{Transport: tr}})
	running(t, h)
	if _, err := h.Admit(t.Context(), event("id")); err != nil || dials.Load() != 2 {
		t.Errorf("got %v after %d dials", err, dials.Load())
	}
}

// TestDefaultTransportIsAnothers: what a host makes of net/http's transport for
// itself is none of the Hook's business.
func TestDefaultTransportIsAnothers(t *testing.T) {
	was := http.DefaultTransport
	t.Cleanup(func() { http.DefaultTransport = was })
	http.DefaultTransport = &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("this host may not dial")
	}}
	s := serve(t, yes)
	h := made(t, callback.Config{OpenURL: s.URL, Timeout: time.Second})
	running(t, h)
	if _, err := h.Admit(t.Context(), event("id")); err != nil {
		t.Error(err)
	}
}

// TestLogBlocks: a log that blocks keeps neither closes from being posted nor
// the end.
func TestLogBlocks(t *testing.T) {
	const n = 10
	log := &slowLog{wrote: make(chan bool, 10*n), release: make(chan bool)}
	url, told := farewells(t)
	var calls atomic.Int32
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1) <= n {
			panic(http.ErrAbortHandler) // the call fails
		}
		http.Redirect(w, r, url, http.StatusTemporaryRedirect)
	})
	h := made(t, callback.Config{CloseURL: s.URL, CloseQueue: 2 * n, Timeout: time.Second, Logger: slog.New(slog.NewTextHandler(log, nil))})
	for range 2 * n {
		h.Closed(protocolClose("id"))
	}
	stop := running(t, h)
	await(t, log.wrote, "the log")
	for range n {
		await(t, told, "a close")
	}
	stop()
	if s := h.Stats(); s != (callback.Stats{Closes: n, ClosesFailed: n}) {
		t.Errorf("stats %+v", s)
	}
	close(log.release)
}

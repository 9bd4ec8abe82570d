package callback_test

import (
	"context"
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

package loop

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

// The request is the same whether its head was ordinary or not, before it was made
// as after, and when the engine's buffer holds other bytes by then.
func TestRequestOutlivesTheBuffer(t *testing.T) {
	fields := []string{"X-Twice: a\r\n", "x-twice: b\r\n", "X-Real-Ip: 192.0.2.9\r\n"}
	for name, c := range map[string]struct {
		head string
		lazy bool
	}{
		"ordinary":     {request("/ws?room=1", fields...), true},
		"not ordinary": {request("/ws?room=1", append(fields, "Content-Length: 0\r\n")...), false},
		"in LF":        {strings.ReplaceAll(request("/ws?room=1", fields...), "\r\n", "\n"), false},
	} {
		for _, piece := range []int{1 << 20, 50} {
			t.Run(name, func(t *testing.T) {
				k := newKit(t)
				k.h.hold = true
				s := k.attach()
				for b := range slices.Chunk([]byte(c.head), piece) {
					s.conn.Input(b)
					clear(b)
				}
				hs := k.h.handshakes[0]
				look := func() {
					want(t, "path", hs.Path(), "/ws")
					want(t, "query", hs.RawQuery(), "room=1")
					want(t, "values", strings.Join(hs.Values("X-Twice"), ","), "a,b")
					want(t, "absent", len(hs.Values("X-Absent")), 0)
				}
				look()
				want(t, "made already", hs.(*handshake).request.Load() == nil, c.lazy)
				r := hs.Request()
				want(t, "request's path", r.URL.Path, "/ws")
				want(t, "request's query", r.URL.RawQuery, "room=1")
				want(t, "request's values", strings.Join(r.Header["X-Twice"], ","), "a,b")
				want(t, "request's address", r.RemoteAddr, "192.0.2.1:1234")
				want(t, "request's host", r.Host, "example.com")
				look()
			})
		}
	}
}

// Any goroutine may ask, and all get the same request.
func TestRequestIsMadeOnce(t *testing.T) {
	k := newKit(t)
	k.h.hold = true
	k.attach().conn.Input([]byte(request("/ws")))
	hs := k.h.handshakes[0]
	var asking sync.WaitGroup
	var got [4]*http.Request
	for i := range got {
		asking.Go(func() {
			got[i] = hs.Request()
			hs.Values("Host")
		})
	}
	asking.Wait()
	for _, r := range got {
		want(t, "the same request", r == hs.Request(), true)
	}
}

// Nobody looks at most requests, and so there are none.
func TestNoRequestUnlessAsked(t *testing.T) {
	k := newKit(t)
	k.open()
	want(t, "requests", k.h.handshakes[0].(*handshake).request.Load() == nil, true)
}

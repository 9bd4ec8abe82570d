package loop

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sluicegate/sluice/transport"
)

// A decision that is made inside Handshake, by whomever, is done when it returns,
// ahead of what waits in the mailbox.
func TestDecisionAtOnce(t *testing.T) {
	accept := func(hs transport.Handshake) { hs.Accept("v", nil) }
	for name, c := range map[string]struct {
		decide func(transport.Handshake)
		status string
		opened int
	}{
		"accept":             {accept, "101", 1},
		"accept with fields": {func(hs transport.Handshake) { hs.Accept("v", http.Header{"X-Extra": {"yes"}}) }, "101", 1},
		"accept elsewhere": {func(hs transport.Handshake) {
			var there sync.WaitGroup
			there.Go(func() { accept(hs) })
			there.Wait()
		}, "101", 1},
		"refuse": {func(hs transport.Handshake) { hs.Refuse(429, nil, "slow down") }, "429", 0},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKit(t)
			k.h.hold = true
			var order []string
			k.h.onOpen = func(*Conn) { order = append(order, "open") }
			k.h.onHandshake = func(hs transport.Handshake) {
				k.post(do(func() { order = append(order, "task") }))
				c.decide(hs)
			}
			s := k.attach()
			s.conn.Input([]byte(request("/ws")))
			want(t, "status", status(s), c.status)
			want(t, "writes", s.writes, 1)
			want(t, "opened", k.h.of("v").opened, c.opened)
			want(t, "order", strings.Join(order, ","), strings.Join(append(slices.Repeat([]string{"open"}, c.opened), "task"), ","))
			want(t, "field", strings.Contains(string(s.got), "X-Extra: yes\r\n"), name == "accept with fields")
		})
	}
}

// A decision that is made while Handshake returns comes about once, whichever is
// first.
func TestDecisionAsHandshakeReturns(t *testing.T) {
	for range 300 {
		k := newKit(t)
		k.h.hold = true
		var deciding sync.WaitGroup
		k.h.onHandshake = func(hs transport.Handshake) {
			deciding.Go(func() { hs.Accept("v", nil) })
		}
		s := k.attach()
		s.conn.Input([]byte(request("/ws")))
		deciding.Wait()
		k.settle()
		want(t, "status", status(s), "101")
		want(t, "writes", s.writes, 1)
		want(t, "opened", k.h.of("v").opened, 1)
		want(t, "aborted", k.h.of("v").aborted, 0)
	}
}

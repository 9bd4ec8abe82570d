package conformance

import (
	"net/http"
	"testing"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/internal/wsclient"
)

// changedOrigins: what Gateway.SetOrigins says holds for the next handshakes, on
// all loops, and not for clients that are there. What it refuses changes nothing.
func changedOrigins(t *testing.T, mk maker) {
	const a, b, own = "https://a.example", "https://b.example", "http://gateway.test"
	s := start(t, mk, gateway.Config{Origins: []string{a}})
	first := s.joinWith(wsclient.Request{Header: http.Header{"Origin": {a}}})
	for _, step := range []struct{ set, allowed, refused []string }{
		{[]string{a}, []string{a}, []string{b, own}},
		{[]string{b}, []string{b}, []string{a, own}},
		{[]string{"*"}, []string{a, b, own, "null"}, nil},
		{nil, []string{own}, []string{a, b}},
	} {
		must(t, s.SetOrigins(step.set))
		if err := s.SetOrigins([]string{a, b, "c.example"}); err == nil {
			t.Error("an origin without a scheme was taken")
		}
		for range 2 { // loops
			for _, origin := range step.allowed {
				s.tryHead(&headRow{edit: add("Origin: " + origin)})
			}
			for _, origin := range step.refused {
				s.tryHead(&headRow{edit: add("Origin: " + origin), status: []int{http.StatusForbidden}})
			}
		}
	}
	first.echoes("still there")
	first.leave()
	s.settle()
}

package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/gateway/gatewaytest"
)

func TestToken(t *testing.T) {
	h := newHost(t)
	soon := h.sign.now().Add(time.Minute)
	good := h.sign.issue("Ann", soon)
	parts := strings.Split(good, ".")
	others := strings.Split(h.sign.issue("Bob", soon), ".")
	later := strings.Split(h.sign.issue("Ann", soon.Add(time.Hour)), ".")
	foreign := tokens{[]byte("another key"), h.sign.now}
	signed := func(claim string) string { return claim + "." + h.sign.sign(claim) }

	for name, tc := range map[string]struct {
		target, header string
		reason         error
	}{
		"none":                      {"/ws", "", errMissing},
		"an empty one":              {"/ws?token=", "", errMissing},
		"in the query":              {"/ws?token=" + good, "", nil},
		"in a header":               {"/ws", "Bearer " + good, nil},
		"in a header, another case": {"/ws", "bearer " + good, nil},
		"of another scheme":         {"/ws", "Basic " + good, errMissing},
		"the header goes first":     {"/ws?token=" + good, "Bearer x", errForged},
		"expired":                   {"/ws?token=" + h.sign.issue("Ann", h.sign.now()), "", errExpired},
		"of another key":            {"/ws?token=" + foreign.issue("Ann", soon), "", errForged},
		"for another name":          {"/ws?token=" + others[0] + "." + parts[1] + "." + parts[2], "", errForged},
		"for a longer time":         {"/ws?token=" + parts[0] + "." + later[1] + "." + parts[2], "", errForged},
		"without signature":         {"/ws?token=" + parts[0] + "." + parts[1], "", errForged},
		"with an empty signature":   {"/ws?token=" + parts[0] + "." + parts[1] + ".", "", errForged},
		"a dot":                     {"/ws?token=.", "", errForged},
		"signed, without a name":    {"/ws?token=" + h.sign.issue("", soon), "", errForged},
		"signed, not by issue":      {"/ws?token=" + signed("nonsense"), "", errForged},
	} {
		t.Run(name, func(t *testing.T) {
			var headers []string
			if tc.header != "" {
				headers = []string{"Authorization", tc.header}
			}
			// Many handshakes come from one address here.
			defer h.Advance(100 * time.Millisecond)
			c, err := h.TryConnect(tc.target, headers...)
			if tc.reason == nil {
				if err != nil {
					t.Fatal(err)
				}
				c.Send("hello")
				c.Expect(`{"from":"Ann","text":"hello"}`)
				c.Close()
				return
			}
			r := (*gatewaytest.RefusedError)(nil)
			if !errors.As(err, &r) || r.Status != 401 || r.Body != tc.reason.Error() || r.Header.Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("%v, want a 401 with %q", err, tc.reason)
			}
		})
	}
	// The second in which a token expires is the first in which it is not good.
	if _, err := h.sign.check(h.sign.issue("Ann", h.sign.now())); !errors.Is(err, errExpired) {
		t.Errorf("in the second of its expiry: %v, want %v", err, errExpired)
	}
	if name, err := h.sign.check(h.sign.issue("Ann", h.sign.now().Add(time.Second))); name != "Ann" || err != nil {
		t.Errorf("in the second before: %q, %v", name, err)
	}
}

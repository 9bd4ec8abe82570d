package gateway_test

import (
	"strings"
	"testing"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/pipe"
)

// What no browser sends would never match, and is an error with its place.
func TestOriginErrors(t *testing.T) {
	newWith := func(origins []string) (*gateway.Gateway, error) {
		return gateway.New(gateway.Config{Transports: []transport.Transport{pipe.New()}, Origins: origins})
	}
	good := []string{"https://example.com", "HTTP://Example.COM:8080", "http://[::1]:8080", "*", "null", "file://", "app://localhost"}
	gw, err := newWith(good)
	if err != nil {
		t.Fatal(err)
	}
	if err := gw.SetOrigins(nil); err != nil {
		t.Error(err)
	}
	if err := gw.SetOrigins(good); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{
		"", "example.com", "example.com:443", "://example.com", "https://example.com/", "https://example.com/page", "https://*.example.com",
		"https://example.com?x", "https://me@example.com", "https://example.com, https://example.org",
	} {
		list := []string{"*", bad}
		_, ofNew := newWith(list)
		for where, err := range map[string]error{"Config.Origins[1] is ": ofNew, "SetOrigins[1] is ": gw.SetOrigins(list)} {
			if err == nil || !strings.Contains(err.Error(), where) || !strings.Contains(err.Error(), "https://example.com") {
				t.Errorf("%q: %v, want an error that begins with %q and shows a good one", bad, err, where)
			}
		}
	}
}

package hooks_test

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/sluicegate/sluice/hooks"
)

func TestDisconnect(t *testing.T) {
	for _, c := range []struct {
		d     hooks.Disconnect
		again bool
		sent  string
	}{
		{hooks.Disconnect{Code: 1000, Reason: "bye"}, false, "bye"},
		{hooks.Disconnect{Code: 1001}, true, ""},
		{hooks.Disconnect{Code: 1002}, false, ""},
		{hooks.Disconnect{Code: 1005}, true, ""},
		{hooks.Disconnect{Code: 1006}, true, ""},
		{hooks.Disconnect{Code: 1008, Reason: "forceOffline"}, false, "forceOffline"},
		{hooks.Disconnect{Code: 1011}, true, ""},
		{hooks.Disconnect{Code: 1012, Reason: "restart", RetryAfter: 2500 * time.Millisecond}, true, "restart; retry-after=3"},
		{hooks.Disconnect{Code: 1013, RetryAfter: time.Nanosecond}, true, "retry-after=1"},
		{hooks.Disconnect{Code: 3000}, false, ""},
		{hooks.Disconnect{Code: 3999}, false, ""},
		{hooks.Disconnect{Code: 4000}, true, ""},
		{hooks.Disconnect{Code: 4499}, true, ""},
		{hooks.Disconnect{Code: 4500}, false, ""},
		{hooks.Disconnect{Code: 4999}, false, ""},
	} {
		if got := c.d.Reconnect(); got != c.again {
			t.Errorf("%d: Reconnect %v", c.d.Code, got)
		}
		if got := c.d.CloseReason(); got != c.sent {
			t.Errorf("%d: %q, want %q", c.d.Code, got, c.sent)
		}
	}
	err := fmt.Errorf("limits: %w", &hooks.Disconnect{Code: 4000, Reason: "too fast", RetryAfter: time.Minute})
	if d := (*hooks.Disconnect)(nil); !errors.As(err, &d) || d.Code != 4000 {
		t.Errorf("%v holds no Disconnect", err)
	}
	if got := err.Error(); got != "limits: hooks: client disconnected: 4000 too fast; retry-after=60" {
		t.Error(got)
	}
}

func TestTellGaps(t *testing.T) {
	g := hooks.TellGaps("gaps")
	for target, want := range map[string]bool{"/ws?gaps": true, "/ws?a=1&gaps=0": true, "/ws?gap": false, "/ws": false} {
		if got := g.WantsGaps(httptest.NewRequest("GET", target, nil)); got != want {
			t.Errorf("%s: %v", target, got)
		}
	}
	if got := string(g.Gap("id", 12)); got != `{"gap":12}` {
		t.Error(got)
	}
}

package hooks_test

import (
	"net/netip"
	"testing"

	"github.com/sluicegate/sluice/hooks"
)

func TestClientAddr(t *testing.T) {
	if ip := hooks.ClientAddr(t.Context()); ip.IsValid() {
		t.Errorf("of nobody: %v", ip)
	}
	want := netip.MustParseAddr("2001:db8::7")
	if ip := hooks.ClientAddr(hooks.WithClientAddr(t.Context(), want)); ip != want {
		t.Errorf("got %v, want %v", ip, want)
	}
}

package room

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/gateway/gatewaytest"
)

// TestGateway runs the chat in a gateway: two talk, and whoever does not choose
// a nickname is sent away when the time for it is over, and not before.
func TestGateway(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gateway.Config{Router: New(nil), HeartbeatInterval: -1})
	send := func(c *gatewaytest.Client, r Request) {
		data, _ := json.Marshal(r)
		c.Send(string(data))
	}
	enter := func(nick string) *gatewaytest.Client {
		c := gw.Connect("/")
		send(c, Request{Type: TypeNick, Nick: nick})
		send(c, Request{Type: TypeJoin, Room: "bay"})
		gw.Settle()
		return c
	}
	// until reads up to a message of one type.
	until := func(c *gatewaytest.Client, kind string) (m map[string]any) {
		for m["type"] != kind {
			m = nil
			if err := json.Unmarshal([]byte(c.Read()), &m); err != nil {
				t.Fatal(err)
			}
		}
		return m
	}
	guest, ann, bob := gw.Connect("/"), enter("ann"), enter("bob")
	send(bob, Request{Type: TypeSay, Room: "bay", Text: "ahoy"})
	if m := until(ann, "said"); m["nick"] != "bob" || m["text"] != "ahoy" {
		t.Errorf("ann heard %v", m)
	}
	gw.Advance(guestTime - time.Nanosecond)
	guest.ExpectNothing()
	gw.Advance(time.Nanosecond)
	if before := guest.ExpectClose(1008, "forceOfflineGuest"); !slices.Equal(before, []string{string(encode(Offline{Reason: ReasonGuest}))}) {
		t.Errorf("the guest was told %q", before)
	}
	bob.Close()
	if m := until(ann, "presence"); m["nick"] != "bob" || m["in"] != false {
		t.Errorf("ann was told %v", m)
	}
}

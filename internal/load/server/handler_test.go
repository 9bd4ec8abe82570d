package server_test

import (
	"context"
	"testing"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/gateway/gatewaytest"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/load/message"
	"github.com/sluicegate/sluice/internal/load/server"
)

func text(kind message.Kind, name string) string {
	return string(message.Append(nil, message.Head{Kind: kind, Due: 7, Seq: 8, From: 9}, name, 60))
}

func TestHandlerDoesWhatMessagesAskFor(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	g := gatewaytest.New(t, gateway.Config{Router: &server.Handler{Topics: server.TopicNames(2)}})
	alice, bob := g.Connect("/"), g.Connect("/")

	alice.Send(text(message.Echo, ""))
	alice.Expect(text(message.Echo, ""))
	alice.Send("something else")
	alice.Expect("something else")
	alice.Send(text(message.Who, ""))
	alice.Expect(text(message.Who, alice.ID()))

	alice.Send(text(message.Join, "a,b"))
	alice.Expect(text(message.Join, "a,b"))
	bob.Send(text(message.Join, "b"))
	bob.Expect(text(message.Join, "b"))
	bob.Send(text(message.Say, "b"))
	alice.Expect(text(message.Say, "b"))
	bob.Expect(text(message.Say, "b"))
	alice.Send(text(message.Leave, "b"))
	alice.Expect(text(message.Leave, "b"))

	counts, err := g.TopicUniqIDCounts(ctx, nil, true)
	if err != nil || counts["t"] != 2 || counts["t1"] != 2 || counts["a"] != 1 || counts["b"] != 1 {
		t.Errorf("subscribers are %v, %v", counts, err)
	}

	holds := func(want hooks.ConnInfo) {
		t.Helper()
		infos, err := g.ConnInfo(ctx, []string{alice.ID()}, hooks.ConnInfoFields{Session: true, CustomerID: true})
		if got := infos[alice.ID()]; err != nil || got.Session != want.Session || got.CustomerID != want.CustomerID {
			t.Errorf("the connection holds %+v, %v, want %+v", got, err, want)
		}
	}
	alice.Send(text(message.Login, "alice"))
	alice.Expect(text(message.Login, "alice"))
	holds(hooks.ConnInfo{Session: "alice", CustomerID: "alice"})
	alice.Send(text(message.Logout, "alice"))
	alice.Expect(text(message.Logout, "alice"))
	holds(hooks.ConnInfo{})
}

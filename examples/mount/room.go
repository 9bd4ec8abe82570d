package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"

	"github.com/sluicegate/sluice/hooks"
)

// byUser is the authenticate hook: the user that middleware found becomes the
// client's customer.
type byUser struct{}

// Authenticate implements hooks.Authenticator.
func (byUser) Authenticate(ctx context.Context, _ *http.Request) (hooks.Identity, error) {
	name := userOf(ctx)
	if name == "" {
		return hooks.Identity{}, &hooks.Refusal{Status: http.StatusUnauthorized, Reason: "log in first"}
	}
	return hooks.Identity{CustomerID: name, Topics: []string{everyone}}, nil
}

// everyone is the topic that all clients have.
const everyone = "everyone"

// room is the business code: what one says reaches all, with the name that the
// cookie stands for and not one of the sender's choice.
type room struct{}

// said is what the page gets.
type said struct {
	From string `json:"from"`
	Text string `json:"text"`
}

// Open implements hooks.Router.
func (room) Open(context.Context, hooks.Bus, hooks.OpenEvent) {}

// Message implements hooks.Router.
func (room) Message(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
	text := strings.TrimSpace(string(e.Data))
	if text == "" {
		return
	}
	data, err := json.Marshal(said{From: e.CustomerID, Text: text})
	if err == nil {
		err = bus.Publish(ctx, []string{everyone}, data)
	}
	if err != nil {
		slog.Warn("a message was not published", "error", err)
	}
}

// Close implements hooks.Router.
func (room) Close(context.Context, hooks.Bus, hooks.CloseEvent) {}

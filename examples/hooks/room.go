package main

import (
	"context"
	"encoding/json"
	"log/slog"

	"github.com/sluicegate/sluice/hooks"
)

// everyone is the topic that all clients have.
const everyone = "everyone"

// said is what a page gets. What comes from nobody is from the gateway.
type said struct {
	From string `json:"from,omitempty"`
	Text string `json:"text"`
}

// room returns the business code that the hooks stand around: what one says
// reaches all, with the name in its token.
func room() hooks.Router {
	return hooks.RouterFuncs{OnMessage: func(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
		data, err := json.Marshal(said{From: e.CustomerID, Text: string(e.Data)})
		if err == nil {
			err = bus.Publish(ctx, []string{everyone}, data)
		}
		if err != nil {
			slog.Warn("a message was not published", "error", err)
		}
	}}
}

// tell sends a notice to one client.
func tell(ctx context.Context, bus hooks.Bus, uniqID, text string) {
	data, err := json.Marshal(said{Text: text})
	if err == nil {
		err = bus.SingleCast(ctx, uniqID, data)
	}
	if err != nil {
		slog.Warn("a notice was not sent", "error", err)
	}
}

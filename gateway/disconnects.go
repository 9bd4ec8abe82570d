package gateway

import (
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/websocket"
)

// Every end that the gateway itself puts to a client is made here; docs/clients.md
// lists them, with those of the transports.

// offline is one of the ForceOffline commands, whose name the reason is.
func offline(command string) *hooks.Disconnect {
	return &hooks.Disconnect{Code: websocket.ClosePolicyViolation, Reason: command}
}

func internalError() *hooks.Disconnect {
	return &hooks.Disconnect{Code: websocket.CloseInternalError, Reason: "internal error"}
}

// inboxFull is for clients that send faster than the Router handles it: it may be
// as slow as they are fast, and so they may come back.
func inboxFull() *hooks.Disconnect {
	return &hooks.Disconnect{Code: websocket.CloseTryAgainLater, Reason: "inbox full"}
}

func overBudget() *hooks.Disconnect {
	return &hooks.Disconnect{Code: websocket.CloseTryAgainLater, Reason: "memory budget"}
}

func tooManyAtOnce() *hooks.Disconnect {
	return &hooks.Disconnect{Code: websocket.CloseTryAgainLater, Reason: "too many clients at once"}
}

// disconnect closes c as d says. It runs on c's loop.
func disconnect(c transport.Conn, d *hooks.Disconnect) { c.Close(d.Code, d.CloseReason()) }

// backlogReason is what is counted of a message that charge found no room for.
func backlogReason(full *hooks.Disconnect) hooks.DropReason {
	if *full == *overBudget() {
		return hooks.DropBudget
	}
	return hooks.DropBacklog
}

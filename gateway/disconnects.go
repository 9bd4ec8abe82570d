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

func (g *Gateway) tooManyAtOnce() *hooks.Disconnect {
	return &hooks.Disconnect{Code: websocket.CloseTryAgainLater, Reason: "too many clients at once", RetryAfter: g.retryAfter()}
}

// restart is what a client is told in a drain. It is made for each one, so that
// those who are told at the same time do not all come back at the same time.
func (g *Gateway) restart() *hooks.Disconnect {
	return &hooks.Disconnect{Code: websocket.CloseServiceRestart, Reason: "restart", RetryAfter: g.retryAfter()}
}

// disconnect closes c as d says. It runs on c's loop.
func disconnect(c transport.Conn, d *hooks.Disconnect) { c.Close(d.Code, d.CloseReason()) }

// overflow ends a client for whose message of size bytes charge found no room.
func (g *Gateway) overflow(c transport.Conn, uniqID string, full hooks.DropReason, size int) {
	g.drop(uniqID, full, 1, int64(size))
	if full == hooks.DropBudget {
		disconnect(c, overBudget())
	} else {
		disconnect(c, inboxFull())
	}
}

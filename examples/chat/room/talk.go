package room

import (
	"context"

	"github.com/sluicegate/sluice/hooks"
)

// say carries what a member says to the room.
func (h *Handler) say(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent, req Request) error {
	room, ok := cleanName(req.Room, MaxRoom)
	if !ok {
		return badRoom()
	}
	if !in(e.Topics, room) {
		return refuse(CodeNotMember, "You are not in %s.", room)
	}
	text, ok := cleanText(req.Text)
	if !ok {
		return badText()
	}
	said := encode(Said{Room: room, Nick: e.CustomerID, Text: text})
	return h.said(req, bus.Publish(ctx, []string{roomPrefix + room}, said))
}

// whisper carries a text to one nickname, wherever it is.
func (h *Handler) whisper(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent, req Request) error {
	nick, ok := cleanName(req.Nick, MaxNick)
	if !ok {
		return refuse(CodeBadNick, "That is not a nickname.")
	}
	if nick == e.CustomerID {
		return refuse(CodeSelf, "That is you.")
	}
	text, ok := cleanText(req.Text)
	if !ok {
		return badText()
	}
	to, ok, err := find(ctx, bus, nick)
	if err != nil {
		return err
	}
	if !ok {
		return refuse(CodeNoSuch, "Nobody called %s is here.", nick)
	}
	// Both get the same message: its return is how the sender knows that it
	// went out.
	msg := encode(Whisper{From: e.CustomerID, To: nick, Text: text})
	return h.said(req, bus.Multicast(ctx, []string{to.UniqID, e.UniqID}, msg))
}

// kick puts a member out of a room, and thereby offline. Only a host of the
// room may; see appoint for who is one. A kick is no ban: whoever was kicked
// may come back by itself.
func (h *Handler) kick(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent, req Request) error {
	room, ok := cleanName(req.Room, MaxRoom)
	if !ok {
		return badRoom()
	}
	nick, ok := cleanName(req.Nick, MaxNick)
	if !ok {
		return refuse(CodeBadNick, "That is not a nickname.")
	}
	if !in(e.Topics, room) || !hosting(e.Topics, room) {
		return refuse(CodeNotHost, "Only a host of %s may do that.", room)
	}
	if nick == e.CustomerID {
		return refuse(CodeSelf, "You cannot kick yourself. Leave the room instead.")
	}
	who, ok, err := find(ctx, bus, nick)
	if err != nil {
		return err
	}
	if !ok || !in(who.Topics, room) {
		return refuse(CodeNoSuch, "Nobody called %s is in %s.", nick, room)
	}
	bye := encode(Offline{Reason: ReasonKicked, Room: room, By: e.CustomerID})
	if err := bus.ForceOffline(ctx, []string{who.UniqID}, bye); err != nil {
		return err
	}
	// That it is no longer a member, Close tells.
	notice := encode(Kicked{Room: room, Nick: nick, By: e.CustomerID})
	return h.told(bus.Publish(ctx, []string{roomPrefix + room}, notice))
}

func badText() error {
	return refuse(CodeBadText, "A message has 1 to %d characters.", MaxText)
}

package room

import (
	"cmp"
	"context"
	"slices"

	"github.com/sluicegate/sluice/hooks"
)

// join makes a client a member. Requests that change what a client holds ask
// the gateway what it holds now: the event says what it held when the message
// came, which over TCP may be before the client's previous request was done.
func (h *Handler) join(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent, req Request) error {
	room, ok := cleanName(req.Room, MaxRoom)
	if !ok {
		return badRoom()
	}
	fields := hooks.ConnInfoFields{CustomerID: true, Topics: true}
	infos, err := bus.ConnInfo(ctx, []string{e.UniqID}, fields)
	if err != nil {
		return err
	}
	me, online := infos[e.UniqID]
	if !online {
		return nil
	}
	if !in(me.Topics, room) && len(roomsOf(me.Topics)) >= MaxRooms {
		return refuse(CodeTooMany, "You can be in %d rooms at a time. Leave one first.", MaxRooms)
	}
	if err := bus.Subscribe(ctx, e.UniqID, []string{roomPrefix + room}, nil); err != nil {
		return err
	}
	if err := h.appoint(ctx, bus, room); err != nil {
		return err
	}
	err = settle(
		func() ([]byte, error) {
			members, err := look(ctx, bus, room)
			return members, h.asked(err)
		},
		func(members []byte) error { return bus.SingleCast(ctx, e.UniqID, members) },
	)
	if err != nil {
		return err
	}
	return h.announce(ctx, bus, room, me.CustomerID)
}

// leave ends a membership. Who is not a member is told the same: afterwards it
// is not one.
func (h *Handler) leave(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent, req Request) error {
	room, ok := cleanName(req.Room, MaxRoom)
	if !ok {
		return badRoom()
	}
	topics := []string{roomPrefix + room, hostPrefix + room}
	if err := bus.Unsubscribe(ctx, e.UniqID, topics, encode(Left{Room: room})); err != nil {
		return err
	}
	return h.changed(ctx, bus, room, e.CustomerID)
}

// rooms lists the rooms.
func (h *Handler) rooms(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) error {
	return settle(
		func() ([]byte, error) {
			list, err := listed(ctx, bus)
			return list, h.asked(err)
		},
		func(list []byte) error { return bus.SingleCast(ctx, e.UniqID, list) },
	)
}

// changed follows a departure: the room may need a new host, and has to hear of
// it.
func (h *Handler) changed(ctx context.Context, bus hooks.Bus, room, nick string) error {
	if err := h.announce(ctx, bus, room, nick); err != nil {
		return err
	}
	return h.appoint(ctx, bus, room)
}

// announce tells a room whether nick is a member of it, and everybody how many
// members it has.
func (h *Handler) announce(ctx context.Context, bus hooks.Bus, room, nick string) error {
	err := settle(
		func() ([]byte, error) {
			c, ok, err := find(ctx, bus, nick)
			p := Presence{Room: room, Nick: nick, In: ok && in(c.Topics, room)}
			p.Host = p.In && hosting(c.Topics, room)
			return encode(p), h.asked(err)
		},
		func(presence []byte) error { return h.told(bus.Publish(ctx, []string{roomPrefix + room}, presence)) },
	)
	if err != nil {
		return err
	}
	return settle(
		func() ([]byte, error) {
			counts, err := bus.TopicCustomerIDCounts(ctx, []string{roomPrefix + room}, false)
			return encode(Count{Room: room, Members: counts[roomPrefix+room]}), h.asked(err)
		},
		func(count []byte) error { return h.told(bus.Publish(ctx, []string{lobby}, count)) },
	)
}

// appoint sees to it that a room with members has a host: whoever comes first,
// and when the last host leaves, the member whose nickname sorts first. The
// choice needs no memory, so handlers that choose at the same time agree.
func (h *Handler) appoint(ctx context.Context, bus hooks.Bus, room string) error {
	list, err := members(ctx, bus, room)
	if err = h.asked(err); err != nil || len(list) == 0 || slices.ContainsFunc(list, func(m Member) bool { return m.Host }) {
		return err
	}
	nick := list[0].Nick
	c, ok, err := find(ctx, bus, nick)
	if err = h.asked(err); err != nil || !ok || !in(c.Topics, room) {
		return err // it left just now, and its own departure appoints
	}
	err = h.asked(bus.Subscribe(ctx, c.UniqID, []string{hostPrefix + room}, nil))
	if err != nil {
		return err
	}
	return h.announce(ctx, bus, room, nick)
}

// members returns the members of a room, sorted. A host counts as one only
// while it is a member.
func members(ctx context.Context, bus hooks.Bus, room string) ([]Member, error) {
	topics := []string{roomPrefix + room, hostPrefix + room}
	found, err := bus.TopicCustomerIDs(ctx, topics)
	list := []Member{}
	for _, nick := range found[roomPrefix+room] {
		list = append(list, Member{Nick: nick, Host: slices.Contains(found[hostPrefix+room], nick)})
	}
	slices.SortFunc(list, func(a, b Member) int { return cmp.Compare(a.Nick, b.Nick) })
	return list, err
}

// look returns the message that lists a room's members.
func look(ctx context.Context, bus hooks.Bus, room string) ([]byte, error) {
	list, err := members(ctx, bus, room)
	return encode(Members{Room: room, Members: list}), err
}

func badRoom() error {
	return refuse(CodeBadRoom, "A room's name has 1 to %d letters and digits; . _ and - may follow.", MaxRoom)
}

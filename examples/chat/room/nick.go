package room

import (
	"context"
	"crypto/rand"
	"slices"

	"github.com/sluicegate/sluice/hooks"
)

// nick gives a connection its nickname. Two may ask for the same one at the
// same time, in two processes, and the Bus has no "set if free". So a claim is
// written first, as the customer id, and only then is it checked that nobody
// else has claimed it; the session, written last, seals it. Of two who claim at
// once at least one sees the other and steps back; it may be that both do.
func (h *Handler) nick(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent, req Request) error {
	if named(e.CustomerID, e.Session) {
		return refuse(CodeNamed, "You are %s already.", e.CustomerID)
	}
	nick, ok := cleanName(req.Nick, MaxNick)
	if !ok {
		return refuse(CodeBadNick, "A nickname has 1 to %d letters and digits; . _ and - may follow.", MaxNick)
	}
	key := req.Key
	if key == "" {
		key = rand.Text() // one that nobody can come back with
	}
	if len(key) < minKey || len(key) > maxKey {
		return refuse(CodeBadKey, "A key has %d to %d characters.", minKey, maxKey)
	}

	holders, err := others(ctx, bus, nick, e.UniqID)
	if err = h.asked(err); err != nil {
		return err
	}
	if err := h.takeBack(ctx, bus, holders, key); err != nil {
		return err
	}
	claim := hooks.ConnInfoUpdate{UniqID: e.UniqID, NewCustomerID: nick}
	if err := bus.UpdateConnInfo(ctx, claim); err != nil {
		return err
	}
	holders, err = others(ctx, bus, nick, e.UniqID)
	if err = h.asked(err); err != nil {
		return err
	}
	if len(holders) > 0 {
		withdraw := hooks.ConnInfoDelete{UniqID: e.UniqID, CustomerID: true}
		if err := bus.DeleteConnInfo(ctx, withdraw); err != nil {
			return err
		}
		return taken(nick)
	}
	seal := hooks.ConnInfoUpdate{
		UniqID:     e.UniqID,
		NewSession: key,
		NewTopics:  []string{lobby},
		Data:       encode(Welcome{Nick: nick}),
	}
	if err := bus.UpdateConnInfo(ctx, seal); err != nil {
		return err
	}
	return h.rooms(ctx, bus, e)
}

// takeBack puts the holders of a nickname offline if they hold it with key,
// which makes them the same client on an older connection. Anybody else keeps
// it.
func (h *Handler) takeBack(ctx context.Context, bus hooks.Bus, holders []hooks.ConnInfo, key string) error {
	if len(holders) == 0 {
		return nil
	}
	var old []string
	for _, c := range holders {
		if c.Session != key {
			return taken(c.CustomerID)
		}
		old = append(old, c.UniqID)
	}
	return bus.ForceOffline(ctx, old, encode(Offline{Reason: ReasonReplaced}))
}

func taken(nick string) error {
	return refuse(CodeNickTaken, "Somebody else is called %s. Choose another nickname.", nick)
}

// others returns the connections that hold or claim a nickname, but for one. With an
// error, there may be more.
func others(ctx context.Context, bus hooks.Bus, nick, but string) ([]hooks.ConnInfo, error) {
	all := hooks.ConnInfoFields{UniqID: true, Session: true, CustomerID: true, Topics: true}
	found, err := bus.ConnInfoByCustomerID(ctx, []string{nick}, all)
	holders := slices.Clone(found[nick])
	for i := range holders {
		holders[i].CustomerID = nick
	}
	return slices.DeleteFunc(holders, func(c hooks.ConnInfo) bool { return c.UniqID == but }), err
}

// find returns the connection of a nickname. One that has only claimed it is
// not found: it must not get somebody else's whispers. An error says that it may be
// there all the same, and comes only if it was not found.
func find(ctx context.Context, bus hooks.Bus, nick string) (hooks.ConnInfo, bool, error) {
	holders, err := others(ctx, bus, nick, "")
	for _, c := range holders {
		if named(c.CustomerID, c.Session) {
			return c, true, nil
		}
	}
	return hooks.ConnInfo{}, false, err
}

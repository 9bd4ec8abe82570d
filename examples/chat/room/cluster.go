package room

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/sluicegate/sluice/hooks"
)

// again is when what could not be told is tried again.
const again = time.Second

// NewInCluster returns a Handler for a gateway of a cluster, where a question may be
// answered in part, as some node is silent, and a command be carried out in part. The
// chat goes on with what came, its own node's part at least. What it then cannot know:
// a nickname may be held by a client of a silent node, and is given a second time.
//
// What was told of a part, and who was on a node that is lost, is put right when all
// nodes answer again: see Run and Stale.
func NewInCluster(log *slog.Logger) *Handler {
	h := New(log)
	h.clustered = true
	return h
}

// Stale says that others may have come or gone unheard. It is for
// cluster.Config.OnMember and OnGap, and does not block.
func (h *Handler) Stale() {
	select {
	case h.stale <- struct{}{}:
	default:
	}
}

// asked is for the error of an answer. In a cluster the answer is used all the same: it
// has this node's part at least.
func (h *Handler) asked(err error) error {
	if err == nil || !h.clustered {
		return err
	}
	h.log.Debug("chat: some nodes did not answer", "error", err)
	h.Stale()
	return nil
}

// told is for the error of what is told of the state. The nodes that have not heard of
// it do not know that they have not, so this one tells them again.
func (h *Handler) told(err error) error {
	if err != nil && h.clustered {
		h.untold.Store(true)
	}
	return h.asked(err)
}

// said is for the error of what somebody says. Who is here has got it, so that to say
// it again would be to say it twice.
func (h *Handler) said(req Request, err error) error {
	if err == nil || !h.clustered {
		return err
	}
	h.report(req.Type, err)
	return refuse(CodePartly, "Some may not have got that: a part of the chat cannot be reached.")
}

// Run implements [hooks.Runner]: it tells clients the state anew when it is stale.
func (h *Handler) Run(ctx context.Context, bus hooks.Bus) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-h.stale:
		}
		for err := h.refresh(ctx, bus); err != nil; err = h.refresh(ctx, bus) {
			h.log.Debug("chat: not all can be told yet", "error", err)
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(again):
			}
		}
	}
}

// refresh tells the clients of this node, or of all if some are owed it by this node,
// who is where. Unless all nodes answer, it tells nothing and returns an error: what
// the clients know already may be more.
func (h *Handler) refresh(ctx context.Context, bus hooks.Bus) error {
	to := hooks.Local(bus)
	all := h.untold.Swap(false)
	if all {
		to = bus
	}
	err := h.refreshAt(ctx, bus, to)
	if err != nil && all {
		h.untold.Store(true)
	}
	return err
}

func (h *Handler) refreshAt(ctx context.Context, bus, to hooks.Bus) error {
	counts, err := to.TopicCustomerIDCounts(ctx, nil, true)
	if err != nil {
		return err
	}
	for topic := range counts {
		room, ok := strings.CutPrefix(topic, roomPrefix)
		if !ok {
			continue
		}
		if err := publish(ctx, to, topic, func() ([]byte, error) { return look(ctx, bus, room) }); err != nil {
			return err
		}
		if err := h.appoint(ctx, bus, room); err != nil { // the host may have been lost
			return err
		}
	}
	return publish(ctx, to, lobby, func() ([]byte, error) { return listed(ctx, bus) })
}

// publish settles what look finds at a topic.
func publish(ctx context.Context, to hooks.Bus, topic string, look func() ([]byte, error)) error {
	return settle(look, func(data []byte) error { return to.Publish(ctx, []string{topic}, data) })
}

// listed returns the message that lists the rooms.
func listed(ctx context.Context, bus hooks.Bus) ([]byte, error) {
	counts, err := bus.TopicCustomerIDCounts(ctx, nil, true)
	list := []Count{} // "[]" in JSON, not "null"
	for topic, n := range counts {
		if room, ok := strings.CutPrefix(topic, roomPrefix); ok {
			list = append(list, Count{Room: room, Members: n})
		}
	}
	slices.SortFunc(list, func(a, b Count) int {
		return cmp.Or(cmp.Compare(b.Members, a.Members), cmp.Compare(a.Room, b.Room))
	})
	return encode(Rooms{Rooms: list[:min(len(list), maxListed)]}), err
}

// Package room is the business code of a chat: nicknames, rooms, whispers and
// kicks, as a [hooks.Router].
//
// It keeps nothing. All that there is to know lives in the gateway and is asked
// for through the Bus: a nickname is the customer id of its connection, the
// session holds the secret by which a client takes its nickname back, and a
// room is a topic. So the handler may run inside the gateway's program or in
// other processes, in one or in several, and may be restarted while people
// talk. On the nodes of a cluster (see NewInCluster) the Bus finds the others'
// people too.
//
// Other handlers change the same things at the same time, so what is told of
// the state follows one rule: look, tell, look again, and tell anew if it
// changed meanwhile (see settle). Whoever told something stale corrects it,
// and in the end every page shows what is true.
package room

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/hooks"
)

// guestTime is how long a connection may go without a nickname.
const guestTime = 2 * time.Minute

// maxRounds bounds settle. It is reached only where somebody comes and goes
// faster than it can be told.
const maxRounds = 16

// Topics of the chat. A prefix each, so that no room can be mistaken for
// another kind of topic.
const (
	lobby      = "lobby" // everybody with a nickname
	roomPrefix = "room:" // the members of a room
	hostPrefix = "host:" // those of them who may kick
)

// Handler is the chat's business code.
type Handler struct {
	log       *slog.Logger
	clustered bool
	stale     chan struct{} // has a token when Run is to tell the state anew
	untold    atomic.Bool   // some clients of other nodes were not told a change
}

// New returns a Handler that logs failures of the gateway to log; nil means
// slog.Default.
func New(log *slog.Logger) *Handler {
	if log == nil {
		log = slog.Default()
	}
	return &Handler{log: log, stale: make(chan struct{}, 1)}
}

var (
	_ hooks.Router = (*Handler)(nil)
	_ hooks.Runner = (*Handler)(nil)
)

// Open implements hooks.Router. Nothing happens until the client has chosen a
// nickname, but it must not take for ever.
func (h *Handler) Open(ctx context.Context, bus hooks.Bus, e hooks.OpenEvent) {
	bye := encode(Offline{Reason: ReasonGuest})
	h.report("open", bus.ForceOfflineGuest(ctx, []string{e.UniqID}, guestTime, bye))
}

// Message implements hooks.Router.
func (h *Handler) Message(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
	var req Request
	var err error
	if json.Unmarshal(e.Data, &req) != nil {
		req.Type = ""
		err = refuse(CodeMalformed, "This is not a message of the chat.")
	} else {
		err = h.do(ctx, bus, e, req)
	}
	if err == nil {
		return
	}
	answer := Error{Re: req.Type, Code: CodeFailed, Text: "That did not work. Try again."}
	var no *refusal
	if errors.As(err, &no) {
		answer.Code, answer.Text = no.code, no.text
	} else {
		h.report(req.Type, err)
	}
	h.report("error", bus.SingleCast(ctx, e.UniqID, encode(answer)))
}

// do carries out one request. Requests other than "nick" need a nickname.
func (h *Handler) do(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent, req Request) error {
	if req.Type != TypeNick && !named(e.CustomerID, e.Session) {
		return refuse(CodeNoNick, "Choose a nickname first.")
	}
	switch req.Type {
	case TypeNick:
		return h.nick(ctx, bus, e, req)
	case TypeRooms:
		return h.rooms(ctx, bus, e)
	case TypeJoin:
		return h.join(ctx, bus, e, req)
	case TypeLeave:
		return h.leave(ctx, bus, e, req)
	case TypeSay:
		return h.say(ctx, bus, e, req)
	case TypeWhisper:
		return h.whisper(ctx, bus, e, req)
	case TypeKick:
		return h.kick(ctx, bus, e, req)
	}
	return refuse(CodeUnknown, "The chat knows no such request.")
}

// Close implements hooks.Router. The client is in no topic any more; the event
// says in which it was.
func (h *Handler) Close(ctx context.Context, bus hooks.Bus, e hooks.CloseEvent) {
	if !named(e.CustomerID, e.Session) {
		return
	}
	for _, room := range roomsOf(e.Topics) {
		h.report("close", h.changed(ctx, bus, room, e.CustomerID))
	}
}

// report logs what went wrong between handler and gateway. That the gateway
// stops is nothing to complain about.
func (h *Handler) report(doing string, err error) {
	if err == nil {
		return
	}
	level := slog.LevelWarn
	if errors.Is(err, hooks.ErrStopped) || errors.Is(err, context.Canceled) {
		level = slog.LevelDebug
	}
	h.log.Log(context.Background(), level, "chat: "+doing, "error", err)
}

// A refusal is what the client itself did wrong.
type refusal struct{ code, text string }

func (r *refusal) Error() string { return r.text }

func refuse(code, format string, args ...any) error {
	return &refusal{code: code, text: fmt.Sprintf(format, args...)}
}

// settle tells what look finds, and tells it again until it is still so
// afterwards. Between looking and telling somebody else may have changed it
// and told so first; then the stale word would be the last one.
func settle(look func() ([]byte, error), tell func([]byte) error) error {
	now, err := look()
	if err != nil {
		return err
	}
	for range maxRounds {
		if err := tell(now); err != nil {
			return err
		}
		told := now
		if now, err = look(); err != nil {
			return err
		}
		if bytes.Equal(told, now) {
			break
		}
	}
	return nil
}

// named says whether a connection's nickname is confirmed: the customer id
// claims it, the session seals it.
func named(customerID, session string) bool { return customerID != "" && session != "" }

// roomsOf returns the rooms among topics.
func roomsOf(topics []string) []string {
	var rooms []string
	for _, t := range topics {
		if room, ok := strings.CutPrefix(t, roomPrefix); ok {
			rooms = append(rooms, room)
		}
	}
	return rooms
}

func in(topics []string, room string) bool      { return slices.Contains(topics, roomPrefix+room) }
func hosting(topics []string, room string) bool { return slices.Contains(topics, hostPrefix+room) }

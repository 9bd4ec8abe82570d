// Package command is the table of the protocol's commands: what each of them
// does on a [hooks.Bus]. Whoever takes packets looks a packet's number up there,
// unmarshals its body and has the command carried out.
package command

import (
	"context"
	"fmt"
	"maps"

	"google.golang.org/protobuf/proto"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/protocol"
)

// A Command carries out one kind of the protocol's commands. It keeps nothing
// between two calls and may be used on any goroutine.
type Command struct {
	// New returns an empty body, for a packet to be unmarshalled into. It is nil
	// if the command is carried out whatever its body says.
	New func() proto.Message
	// Do carries out the command on a bus. The body is one of New's; any other is
	// an error, and nothing is done. If New is nil the body is not looked at, and
	// may be nil. The reply is nil if the command is never answered; it may come
	// with an error, if the answer is incomplete.
	Do func(ctx context.Context, bus hooks.Bus, body proto.Message) (reply proto.Message, err error)
	// Answers says that the command is a question, with a reply.
	Answers bool
}

// Table returns the commands, by number: all of the protocol but the events, and
// Register and Unregister. These are what a gateway takes on its task listener.
// The map is the caller's.
func Table() map[protocol.Cmd_Number]Command {
	all := make(map[protocol.Cmd_Number]Command)
	for _, some := range []map[protocol.Cmd_Number]Command{sends(), changes(), lists(), topicQueries(), infoQueries()} {
		maps.Copy(all, some)
	}
	return all
}

// message is a pointer to a message of type T.
type message[T any] interface {
	*T
	proto.Message
}

// empty is the New of commands with a T for a body.
func empty[T any, M message[T]]() proto.Message { return M(new(T)) }

// tell makes a command of what is never answered.
func tell[T any, M message[T]](do func(ctx context.Context, bus hooks.Bus, m M) error) Command {
	return Command{New: empty[T, M], Do: func(ctx context.Context, bus hooks.Bus, body proto.Message) (proto.Message, error) {
		m, ok := body.(M)
		if !ok {
			return nil, wrongBody(body, m)
		}
		return nil, do(ctx, bus, m)
	}}
}

// ask makes a command of what is answered, even if the answer is incomplete.
func ask[T any, M message[T], R proto.Message](do func(ctx context.Context, bus hooks.Bus, m M) (R, error)) Command {
	return Command{New: empty[T, M], Answers: true, Do: func(ctx context.Context, bus hooks.Bus, body proto.Message) (proto.Message, error) {
		m, ok := body.(M)
		if !ok {
			return nil, wrongBody(body, m)
		}
		return do(ctx, bus, m)
	}}
}

// query makes a command of what is answered whatever its body says.
func query[R proto.Message](do func(ctx context.Context, bus hooks.Bus) (R, error)) Command {
	return Command{Answers: true, Do: func(ctx context.Context, bus hooks.Bus, _ proto.Message) (proto.Message, error) {
		return do(ctx, bus)
	}}
}

// wrongBody is an error of the caller's, who did not use New.
func wrongBody(got, want proto.Message) error {
	return fmt.Errorf("command: a body of type %T where %T belongs", got, want)
}

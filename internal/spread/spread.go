// Package spread is a [hooks.Bus] over several gateways: it makes each call a
// message of the protocol, has it sent to the gateways that it concerns, and
// merges what they answer. How messages travel is up to its [Gateways].
//
// Commands to clients go where their ids say, those to customers and topics to
// all. Lists are joined without duplicates, maps are merged, counts and rates are
// added, and of limits the lowest counts. A customer or topic that is on two
// gateways therefore counts twice.
package spread

import (
	"context"
	"errors"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/protocol"
)

// Gateways are those that a [Bus] speaks to, and the way to them. G names one.
// Methods may be called on any goroutine. Slices of gateways are changed neither by
// the Bus nor, once they are returned, by the Gateways. Whatever a message refers
// to is the caller's again when a method returns.
type Gateways[G comparable] interface {
	// All returns all of them.
	All() []G
	// Home returns those that may have a client: the one that its id names,
	// or all if it names none that is known.
	Home(uniqID string) []G
	// Tell sends a command to some of them. One's trouble is not the others'.
	Tell(ctx context.Context, to []G, cmd protocol.Cmd_Number, m proto.Message) error
	// Ask puts a question, which may be nil, to some of them. It reads each
	// answer into a message that reply makes and hands it to merge, which it
	// calls for one at a time, and not after it has returned. What went wrong
	// with some comes back as an error, joined; what the others answered is
	// merged all the same.
	Ask(ctx context.Context, to []G, cmd protocol.Cmd_Number, question proto.Message,
		reply func() proto.Message, merge func(proto.Message)) error
}

// A Bus implements [hooks.Bus] over some gateways. It is no more than its
// [Gateways] and may be copied. It is made by [New].
type Bus[G comparable] struct{ to Gateways[G] }

var _ hooks.Bus = Bus[int]{}

// New returns a Bus over gateways.
func New[G comparable](to Gateways[G]) Bus[G] { return Bus[G]{to} }

// Each calls f for every gateway, or part of one, for all at the same time: those
// that cannot be reached share one wait, and hold up none of the others. It joins
// their errors.
func Each[G any](all []G, f func(G) error) error {
	if len(all) == 1 {
		return f(all[0])
	}
	var running sync.WaitGroup
	errs := make([]error, len(all))
	for i, g := range all {
		running.Go(func() { errs[i] = f(g) })
	}
	running.Wait()
	return errors.Join(errs...)
}

// ask is Gateways.Ask for answers of one type.
func ask[R any, P interface {
	*R
	proto.Message
}, G comparable](ctx context.Context, b Bus[G], to []G, cmd protocol.Cmd_Number, question proto.Message, merge func(P)) error {
	return b.to.Ask(ctx, to, cmd, question,
		func() proto.Message { return P(new(R)) },
		func(m proto.Message) { merge(m.(P)) })
}

// split calls f for each gateway with those of the ids that are, or may be, its
// own, as indexes; for all gateways at the same time.
func (b Bus[G]) split(uniqIDs []string, f func(to []G, mine []int) error) error {
	mine := make(map[G][]int)
	var owners []G // not All: which gateways there are may change meanwhile
	for i, id := range uniqIDs {
		for _, g := range b.to.Home(id) {
			if mine[g] == nil {
				owners = append(owners, g)
			}
			mine[g] = append(mine[g], i)
		}
	}
	return Each(owners, func(g G) error { return f([]G{g}, mine[g]) })
}

// splitIDs is split for messages that need no more than the ids.
func (b Bus[G]) splitIDs(uniqIDs []string, f func(to []G, mine []string) error) error {
	if len(uniqIDs) == 0 {
		return nil
	}
	if to := b.home(uniqIDs); to != nil {
		return f(to, uniqIDs)
	}
	return b.split(uniqIDs, func(to []G, mine []int) error { return f(to, pick(uniqIDs, mine)) })
}

// home returns the one gateway that all of the ids are of, or nil if there is none.
func (b Bus[G]) home(uniqIDs []string) []G {
	var to []G
	for _, id := range uniqIDs {
		next := b.to.Home(id)
		if len(next) != 1 || to != nil && next[0] != to[0] {
			return nil
		}
		to = next
	}
	return to
}

func pick[T any](all []T, which []int) []T {
	some := make([]T, len(which))
	for i, at := range which {
		some[i] = all[at]
	}
	return some
}

package business

import (
	"context"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/sluicegate/sluice/internal/spread"
	"github.com/sluicegate/sluice/protocol"
)

// bus is a hooks.Bus over a way. The name keeps it from being an exported field of
// a Client.
type bus = spread.Bus[*gate]

func newBus(lane int, gates []*gate) bus { return spread.New(&way{lane: lane, gates: gates}) }

// A way is one lane to each of some gateways.
type way struct {
	lane  int
	gates []*gate
}

var _ spread.Gateways[*gate] = (*way)(nil)

// All implements [spread.Gateways].
func (w *way) All() []*gate { return w.gates }

// Home implements [spread.Gateways].
func (w *way) Home(uniqID string) []*gate {
	if len(w.gates) == 1 {
		return w.gates
	}
	if id, err := protocol.ParseUniqID(uniqID); err == nil {
		node := nodeNumber(id.Node)
		for i, g := range w.gates {
			if g.node.Load() == node {
				return w.gates[i : i+1]
			}
		}
	}
	return w.gates
}

// Tell implements [spread.Gateways].
func (w *way) Tell(ctx context.Context, to []*gate, cmd protocol.Cmd_Number, m proto.Message) error {
	if len(to) == 1 { // as most often; what several need costs an allocation
		return to[0].lanes[w.lane].put(ctx, cmd, m, nil)
	}
	return spread.Each(to, func(g *gate) error { return g.lanes[w.lane].put(ctx, cmd, m, nil) })
}

// Ask implements [spread.Gateways].
func (w *way) Ask(ctx context.Context, to []*gate, cmd protocol.Cmd_Number, question proto.Message,
	reply func() proto.Message, merge func(proto.Message),
) error {
	if len(to) == 1 {
		r := reply()
		if err := to[0].lanes[w.lane].ask(ctx, cmd, question, r); err != nil {
			return err
		}
		merge(r)
		return nil
	}
	var mu sync.Mutex
	return spread.Each(to, func(g *gate) error {
		r := reply()
		if err := g.lanes[w.lane].ask(ctx, cmd, question, r); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		merge(r)
		return nil
	})
}

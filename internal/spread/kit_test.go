package spread_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/sluicegate/sluice/internal/spread"
	"github.com/sluicegate/sluice/protocol"
)

type (
	pb  = proto.Message
	bss = [][]byte
)

// late is a gateway that ids lead to, but that is not among all: it has come since
// those were asked for.
const late = "l"

// message is one that a gateway was sent.
type message struct {
	cmd  protocol.Cmd_Number
	body pb
}

// fakes are gateways in memory. Ids begin with the name of their gateway.
type fakes struct {
	gates   []string
	answers map[string]pb    // by gateway
	away    map[string]error // by gateway, which gets what it is sent all the same
	asking  func()           // called before each answer

	mu   sync.Mutex
	sent map[string][]message
}

var _ spread.Gateways[string] = (*fakes)(nil)

func newFakes(gates ...string) *fakes {
	return &fakes{gates: gates, answers: make(map[string]pb), away: make(map[string]error), sent: make(map[string][]message)}
}

func (f *fakes) All() []string { return slices.Clone(f.gates) }

func (f *fakes) Home(uniqID string) []string {
	if g := uniqID[:1]; slices.Contains(f.gates, g) || g == late {
		return []string{g}
	}
	return f.All()
}

func (f *fakes) receive(g string, cmd protocol.Cmd_Number, m pb) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sent[g] = append(f.sent[g], message{cmd, m})
	return f.away[g]
}

func (f *fakes) Tell(_ context.Context, to []string, cmd protocol.Cmd_Number, m pb) error {
	return spread.Each(to, func(g string) error { return f.receive(g, cmd, m) })
}

func (f *fakes) Ask(_ context.Context, to []string, cmd protocol.Cmd_Number, question pb, reply func() pb, merge func(pb)) error {
	var mu sync.Mutex // of this call: the Bus has others on its hands
	return spread.Each(to, func(g string) error {
		if f.asking != nil {
			f.asking()
		}
		if err := f.receive(g, cmd, question); err != nil {
			return err
		}
		r := reply()
		if answer := f.answers[g]; answer != nil {
			proto.Merge(r, answer)
		}
		mu.Lock()
		defer mu.Unlock()
		merge(r)
		return nil
	})
}

// expect checks that gateways were sent one message each, and others none, since it
// was called before.
func (f *fakes) expect(t *testing.T, cmd protocol.Cmd_Number, want map[string]pb) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, g := range append(f.All(), late) {
		m, wanted := want[g]
		switch got := f.sent[g]; {
		case !wanted && len(got) > 0:
			t.Errorf("%s was sent %v %v, want nothing", g, got[0].cmd, got[0].body)
		case wanted && len(got) != 1:
			t.Errorf("%s was sent %d messages, want 1", g, len(got))
		case wanted && (got[0].cmd != cmd || !equal(got[0].body, m)):
			t.Errorf("%s was sent %v %v, want %v %v", g, got[0].cmd, got[0].body, cmd, m)
		}
	}
	clear(f.sent)
}

func equal(a, b pb) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return proto.Equal(a, b)
}

// every is one message to each of three.
func every(m pb) map[string]pb { return map[string]pb{"a": m, "b": m, "c": m} }

var errAway = errors.New("the gateway is away")

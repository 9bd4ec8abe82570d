package gateway

import (
	"testing"

	"github.com/sluicegate/sluice/registry"
	"github.com/sluicegate/sluice/transport"
)

// heldLoop takes tasks and runs none.
type heldLoop struct {
	transport.Loop
	tasks []transport.Task
}

func (l *heldLoop) PostAlways(t transport.Task) error {
	l.tasks = append(l.tasks, t)
	return nil
}

// connOf is a connection of a loop, for which something waits.
type connOf struct {
	transport.Conn
	loop *heldLoop
}

func (c connOf) Loop() transport.Loop { return c.loop }
func (c connOf) Waiting() int         { return 1 }

// A drain goes on asking loops to close who is left. One that is held up is not
// asked again before it has done what it was asked, or its mailbox would grow by a
// list of all its clients at every tick.
func TestDrainAsksAHeldLoopOnce(t *testing.T) {
	g := &Gateway{reg: registry.NewMemory()}
	held, free := new(heldLoop), new(heldLoop)
	for id, l := range map[string]*heldLoop{"a": held, "b": held, "c": free} {
		if err := g.reg.Add(new(registry.Client), registry.Entry{UniqID: id, Conn: connOf{loop: l}}); err != nil {
			t.Fatal(err)
		}
	}
	asked := make(map[transport.Loop]*kick)
	const rounds = 10
	for range rounds {
		g.sendRest(asked)
		free.tasks[len(free.tasks)-1].Run(1)
	}
	if n := len(held.tasks); n != 1 {
		t.Errorf("the loop that is held up was asked %d times, want once", n)
	}
	if n := len(free.tasks); n != rounds {
		t.Errorf("the other loop was asked %d times, want %d", n, rounds)
	}
	held.tasks[0].Drop()
	if g.sendRest(asked); len(held.tasks) != 2 {
		t.Errorf("%d tasks, want a second one when the first is over", len(held.tasks))
	}
}

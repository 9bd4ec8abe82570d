package gnet

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/sluicegate/sluice/internal/leaks"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/internal/enginetest"
)

func this() enginetest.Engine {
	return enginetest.Engine{
		Name:   "gnet",
		Limit:  "serve",
		Listen: func(addr string, loops int) transport.Transport { return Listen(addr, Loops(loops)) },
	}
}

func TestMain(m *testing.M) {
	this().Main(m, append(leaks.Ants(),
		// Its workers, which took adopted connections in, wait for more.
		goleak.IgnoreTopFunction("github.com/panjf2000/ants/v2.(*goWorker).run.func1"),
	)...)
}

func TestEngine(t *testing.T) { this().Test(t) }

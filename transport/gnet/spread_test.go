package gnet

import (
	"testing"

	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/internal/enginetest"
)

// The system spreads connections over the loops' listeners by a hash of their
// addresses: as evenly as coins fall, which is within five standard deviations.
func TestClientsAreSpreadOverLoops(t *testing.T) {
	const clients, loops = 1024, 2
	e := new(enginetest.Echo)
	opened := make(chan int, clients)
	e.OnOpen = func(c transport.Conn) { opened <- c.Loop().Index() }
	s := this().Start(t, e, enginetest.Options(), loops)
	var on [loops]int
	for range clients {
		c := s.Dial()
		on[<-opened]++
		t.Cleanup(func() { _ = c.NetConn().Close() })
	}
	t.Logf("clients of each loop: %d", on)
	for _, n := range on {
		if mean, most := clients/loops, 5*16; n < mean-most || n > mean+most {
			t.Errorf("a loop has %d of %d clients", n, clients)
		}
	}
}

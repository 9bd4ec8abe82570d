package gatewaytest

// Freeze has the event loops stand still, as if something held them up, until
// thaw is called or the gateway stops. Commands then find the loops' mailboxes
// full, wait for Config.OverloadWait, and return [hooks.ErrOverloaded]; a
// Config.MailboxLimit of 1 makes that so from the second command on, and a short
// OverloadWait, which is real time, makes it soon. What was taken arrives when
// the loops go on. Settle and Advance pass over what stands still.
//
// It needs connections in memory.
func (g *Gateway) Freeze() (thaw func()) {
	g.t.Helper()
	if !g.inMemory {
		g.t.Fatal("gatewaytest: Freeze needs connections in memory")
	}
	thaws := make([]func(), 0, len(g.pipes))
	for _, p := range g.pipes {
		thaws = append(thaws, p.Freeze())
	}
	return func() {
		for _, thaw := range thaws {
			thaw()
		}
	}
}

// Fail ends the transports as if they had failed with err: the clients are
// closed, hooks.Runners end, and Run returns an error that wraps err. Stop waits
// for that and returns it.
func (g *Gateway) Fail(err error) { g.spy.fail(err) }

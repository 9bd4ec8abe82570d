package business_test

import (
	"context"
	"testing"
	"time"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/protocol"
)

// A worker connection that ends is made again even while a receipt waits for
// commands to be carried out.
func TestReceiptDoesNotHoldUpRegistering(t *testing.T) {
	a := newFake(t)
	a.silence(protocol.Cmd_CheckOnline, true)
	cfg := config(hooks.RouterFuncs{OnOpen: func(ctx context.Context, bus hooks.Bus, e hooks.OpenEvent) {
		_ = bus.SingleCast(ctx, e.UniqID, []byte("hello"))
	}}, a)
	cfg.Wait = time.Hour
	c := run(t, cfg, true)
	a.registered(1).open(a.id(1))
	a.await(1, is(protocol.Cmd_CheckOnline))
	a.cut(true)
	a.registered(2)
	a.silence(protocol.Cmd_CheckOnline, false)
	a.cut(false) // the question is not answered any more
	must(t, c.stop())
}

// A connection whose Register was refused is closed.
func TestRefusedRegisterClosesItsConnection(t *testing.T) {
	a := newFake(t)
	a.set(func() { a.refuse = 1 })
	run(t, config(hooks.RouterFuncs{}, a), true)
	refused := a.await(2, is(protocol.Cmd_Register))[0].conn
	a.await(1, func(p packet) bool { return p.conn == refused && p.end != nil })
}

// Package probe lets the test kit see of a gateway what hosts need not: whether
// its handlers are at work.
package probe

import "context"

// Workers are a gateway's goroutines that call the host's code.
type Workers interface {
	// Await waits until no call of the Router, an Authenticator or an Admitter
	// waits or runs. If excused is true, it does not wait for those that have
	// a deadline by the gateway's clock and time left. It returns how much work
	// there has been so far: two calls that return the same saw none between
	// them. Its error is ctx's.
	Await(ctx context.Context, excused bool) (work uint64, err error)
}

// A Probe is put into the context of a gateway's Run, which fills it in.
type Probe struct {
	// Workers is set before the gateway is ready.
	Workers Workers
}

type key struct{}

// NewContext returns a context that carries p.
func NewContext(ctx context.Context, p *Probe) context.Context {
	return context.WithValue(ctx, key{}, p)
}

// Attach fills in the probe that ctx carries, if there is one.
func Attach(ctx context.Context, w Workers) {
	if p, ok := ctx.Value(key{}).(*Probe); ok {
		p.Workers = w
	}
}

package gateway

import (
	"context"
	"fmt"
	"runtime/debug"

	"github.com/sluicegate/sluice/hooks"
)

// rescue keeps a panic of the host's code to what it was called for: it is logged,
// now and then if there are many, and failed, unless it is nil, is told. uniqID is the client that it was about, or
// empty. It must be deferred.
func (g *Gateway) rescue(what, uniqID string, failed func(error)) {
	v := recover()
	if v == nil {
		return
	}
	if n, ok := g.noise.panicked.Of(what).Next(); ok {
		g.log.Error("handler panicked", "what", what, "uniqId", uniqID, "panic", fmt.Sprint(v), "stack", string(debug.Stack()), "suppressed", n)
	}
	if failed != nil {
		failed(fmt.Errorf("gateway: %s panicked: %v", what, v))
	}
}

// runHook runs r, whose panic is an error of its.
func (g *Gateway) runHook(ctx context.Context, r hooks.Runner) (err error) {
	defer g.rescue("runner", "", func(e error) { err = e })
	return r.Run(ctx, g)
}

// setLimits has s change its limits.
func (g *Gateway) setLimits(s hooks.LimitSetter, l hooks.Limits) (now hooks.Limits, err error) {
	defer g.rescue("limiter", "", func(e error) { err = e })
	now = s.SetLimits(l)
	g.logLimits(l, now)
	return now, nil
}

// failedSendsOf asks a Forwarder.
func (g *Gateway) failedSendsOf(f hooks.Forwarder) int64 {
	defer g.rescue("forwarder", "", nil)
	return f.FailedSends()
}

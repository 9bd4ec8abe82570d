package gateway

import (
	"context"
	"fmt"
	"runtime/debug"

	"github.com/sluicegate/sluice/hooks"
)

// rescue keeps a panic of the host's code to what it was called for: it is logged,
// and becomes an error unless err is nil. It must be deferred.
func (g *Gateway) rescue(what string, err *error) {
	v := recover()
	if v == nil {
		return
	}
	g.log.Error(what+" panicked", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
	if err != nil {
		*err = fmt.Errorf("gateway: %s panicked: %v", what, v)
	}
}

// runHook runs r, whose panic is an error of its.
func (g *Gateway) runHook(ctx context.Context, r hooks.Runner) (err error) {
	defer g.rescue("runner", &err)
	return r.Run(ctx, g)
}

// setLimits has s change its limits.
func (g *Gateway) setLimits(s hooks.LimitSetter, l hooks.Limits) (now hooks.Limits, err error) {
	defer g.rescue("limiter", &err)
	return s.SetLimits(l), nil
}

// failedSendsOf asks a Forwarder.
func (g *Gateway) failedSendsOf(f hooks.Forwarder) int64 {
	defer g.rescue("forwarder", nil)
	return f.FailedSends()
}

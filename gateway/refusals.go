package gateway

// RefuseReason says why a handshake was refused that was valid by itself.
type RefuseReason string

// The reasons for refusing a handshake.
const (
	// RefuseLimited: the Limiter refused it.
	RefuseLimited RefuseReason = "limited"
	// RefuseDenied: an Authenticator did.
	RefuseDenied RefuseReason = "denied"
	// RefuseFailed: an Authenticator panicked.
	RefuseFailed RefuseReason = "failed"
	// RefuseBusy: too many Authenticators and Admitters are at work.
	RefuseBusy RefuseReason = "busy"
	// RefuseMemory: all clients together hold more than Config.MemoryBudget.
	RefuseMemory RefuseReason = "memory"
	// RefuseDraining: the gateway drains.
	RefuseDraining RefuseReason = "draining"
)

// The places of these reasons among the counters.
const (
	refusedLimited = iota
	refusedDenied
	refusedFailed
	refusedBusy
	refusedMemory
	refusedDraining
	refuseCount
)

func refuseReasons() [refuseCount]RefuseReason {
	return [...]RefuseReason{RefuseLimited, RefuseDenied, RefuseFailed, RefuseBusy, RefuseMemory, RefuseDraining}
}

func (c *counters) refuse(why int) { c.refused[why].Add(1) }

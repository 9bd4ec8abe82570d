package hooks

import "time"

// A Clock is the time that a gateway goes by. Hosts have no need of one in
// production: it is there so that tests can move time on instead of waiting,
// see gateway/gatewaytest.
type Clock interface {
	// Now returns the time. It may be called on any goroutine.
	Now() time.Time
	// AfterFunc calls f once d has passed, on a goroutine of the clock's
	// choosing, and returns at once. stop keeps that from happening; it
	// returns false if it comes too late, and does not wait for f. Both may
	// be called on any goroutine.
	AfterFunc(d time.Duration, f func()) (stop func() bool)
}

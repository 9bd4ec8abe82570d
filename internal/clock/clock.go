// Package clock has the clock of those who are not given another.
package clock

import "time"

// System is a hooks.Clock that goes by the system's time. A gateway knows it by
// its type, and then uses what package context has.
type System struct{}

// Now returns the time.
func (System) Now() time.Time { return time.Now() }

// AfterFunc is time.AfterFunc.
func (System) AfterFunc(d time.Duration, f func()) (stop func() bool) {
	return time.AfterFunc(d, f).Stop
}

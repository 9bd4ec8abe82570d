// Package await waits in tests for state that changes without an event to wait for.
package await

import (
	"testing"
	"time"
)

// Patience is how long Until waits: it is reached only if a promise is broken.
const Patience = 30 * time.Second

// Until waits until cond, which says why not yet, returns an empty string, and fails
// the test with what it says if that takes longer than Patience. cond is called again
// and again, on the caller's goroutine, which must be the test's own.
func Until(t testing.TB, cond func() string) {
	t.Helper()
	deadline := time.Now().Add(Patience)
	for pause := time.Millisecond; ; pause = min(2*pause, 10*time.Millisecond) { // cond may be costly
		why := cond()
		if why == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(why)
		}
		time.Sleep(pause)
	}
}

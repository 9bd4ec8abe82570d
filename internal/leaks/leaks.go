// Package leaks fails test binaries that leave goroutines behind.
package leaks

import (
	"testing"

	"go.uber.org/goleak"
)

// Main is for TestMain: it runs the tests, and then fails if a goroutine is left that
// is not of [Ants].
func Main(m *testing.M) { goleak.VerifyTestMain(m, Ants()...) }

// Ants ignores the goroutines that a dependency of the engine gnet starts when it is
// loaded and never ends.
func Ants() []goleak.Option {
	const pool = "github.com/panjf2000/ants/v2.(*poolCommon)."
	return []goleak.Option{
		goleak.IgnoreTopFunction(pool + "purgeStaleWorkers"),
		goleak.IgnoreTopFunction(pool + "ticktock"),
	}
}

//go:build unix

package attack

import (
	"os"
	"testing"
	"time"

	"github.com/sluicegate/sluice/internal/leaks"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == childMode {
		os.Exit(child(os.Args[2:]))
	}
	leaks.Main(m)
}

// wait bounds what a test awaits: it is reached only if a promise is broken.
const wait = 30 * time.Second

// must fails the test on an error.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// scaled is n, or a part of it where the race detector makes everything slow.
func scaled(n, part int) int {
	if raceDetector {
		return n / part
	}
	return n
}

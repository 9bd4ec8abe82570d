package await_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicegate/sluice/internal/await"
)

// failing is a test that notes why it has failed.
type failing struct {
	testing.TB
	why string
}

func (f *failing) Helper() {}

func (f *failing) Fatal(args ...any) {
	f.why, _ = args[0].(string)
	panic(f)
}

func TestUntil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun, asked := time.Now(), 0
		await.Until(t, func() string {
			if asked++; time.Since(begun) < time.Second {
				return "too early"
			}
			return ""
		})
		if took := time.Since(begun); took > time.Second+10*time.Millisecond || asked > 200 {
			t.Errorf("asked %d times in %v", asked, took)
		}
	})
}

// What never comes ends the test, in time, with the last reason.
func TestNever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		f := new(failing)
		defer func() {
			if recover() != f || f.why != "not yet" || time.Since(begun) > await.Patience+time.Second {
				t.Errorf("after %v: %q", time.Since(begun), f.why)
			}
		}()
		await.Until(f, func() string { return "not yet" })
	})
}

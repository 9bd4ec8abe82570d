//go:build unix

package ulimit

import (
	"math"
	"testing"

	"golang.org/x/sys/unix"
)

func TestDescriptors(t *testing.T) {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		t.Fatal(err)
	}
	limit := math.MaxInt32
	if r.Cur < math.MaxInt32 {
		limit = int(r.Cur)
	}
	if b, c := Business(), Descriptors(); b < c || b > limit {
		t.Errorf("business processes may have those below %d, clients those below %d, with a limit of %d", b, c, limit)
	}
	if c := Descriptors(); c <= 0 || c > limit || c < limit-limit/4 {
		t.Errorf("clients may have those below %d with a limit of %d", c, limit)
	}
}

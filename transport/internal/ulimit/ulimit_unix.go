//go:build unix

package ulimit

import (
	"math"

	"golang.org/x/sys/unix"
)

// spare descriptors are kept for the host: its files, its database, its log.
const spare = 64

// Descriptors returns the number from which descriptors are not used for
// clients. Go has raised the soft limit to the hard one when the program
// started.
func Descriptors() int {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil || r.Cur > math.MaxInt32 {
		return math.MaxInt32
	}
	limit := int(r.Cur)
	return limit - min(spare, limit/4)
}

//go:build unix

package ulimit

import (
	"math"

	"golang.org/x/sys/unix"
)

const (
	// spare descriptors are kept for business processes and the host: its
	// files, its database, its log.
	spare = 64
	// reserve of these are not for business processes either.
	reserve = 16
)

// Descriptors returns the number from which descriptors are not used for
// clients. Go has raised the soft limit to the hard one when the program
// started.
func Descriptors() int { return below(spare) }

// Business returns the number from which descriptors are not used for connections
// of business processes.
func Business() int { return below(reserve) }

func below(kept int) int {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil || r.Cur > math.MaxInt32 {
		return math.MaxInt32
	}
	limit := int(r.Cur)
	return limit - min(kept, limit/4*kept/spare)
}

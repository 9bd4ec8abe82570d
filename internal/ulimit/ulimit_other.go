//go:build !unix

package ulimit

import "math"

// Descriptors returns the number from which descriptors are not used for
// clients.
func Descriptors() int { return math.MaxInt }

// Business returns the number from which descriptors are not used for connections
// of business processes.
func Business() int { return math.MaxInt }

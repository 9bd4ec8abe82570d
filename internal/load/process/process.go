// Package process knows what the operating system tells of processes, and starts
// this program once more as one.
package process

import (
	"errors"
	"time"
)

// ErrUnknown says that this system does not tell what processes use.
var ErrUnknown = errors.New("process: only Linux tells what another process uses")

// A Usage is what a process has used so far.
type Usage struct {
	User, System time.Duration // CPU time
	RSS          int64         // resident memory, in bytes
}

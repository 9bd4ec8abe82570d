//go:build !linux

package process

import "errors"

var errPin = errors.New("process: only Linux keeps a process on a CPU")

// PinToFirst has this process, and those that it starts from now on, run on the
// first CPU alone.
func PinToFirst() error { return errPin }

// PinToOthers has this process, and those that it starts from now on, run on all
// CPUs but the first.
func PinToOthers() error { return errPin }

package process

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// cpus is more than any machine has: CPUs that are not there do not count.
const cpus = 1024

// PinToFirst has this process, and those that it starts from now on, run on the
// first CPU alone.
func PinToFirst() error { return pin(0, 1) }

// PinToOthers has this process, and those that it starts from now on, run on all
// CPUs but the first.
func PinToOthers() error { return pin(1, cpus) }

// pin takes every thread along: the first one decides what children inherit.
func pin(from, to int) error {
	var set unix.CPUSet
	for i := from; i < to; i++ {
		set.Set(i)
	}
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return fmt.Errorf("process: %w", err)
	}
	for _, t := range tasks {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			return fmt.Errorf("process: %w", err)
		}
		switch err := unix.SchedSetaffinity(id, &set); {
		case errors.Is(err, unix.ESRCH): // a thread that has ended
		case errors.Is(err, unix.EINVAL):
			return errors.New("process: there is only one CPU to run on")
		case err != nil:
			return fmt.Errorf("process: %w", err)
		}
	}
	return nil
}

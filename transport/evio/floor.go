//go:build darwin || freebsd || linux

package evio

import (
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// A floor holds the lowest descriptors that were free before the engine began.
//
// At its end, the engine closes the number of each listener twice. If another
// goroutine were given that number in between, it would lose its descriptor.
// But the lowest that are free are given out first: the floor is released just
// before, and what is opened then gets its numbers. It also keeps the engine
// from being given number 0, which it takes for something else.
type floor struct {
	once sync.Once
	fds  []int
}

const floorSize = 32

// reserve makes a floor, and sees to it that the engine can begin: it panics,
// and does not return, when it can open no descriptors for its loops.
func reserve(loops, limit int) (*floor, error) {
	// For each loop a poller, what wakes it, and both ends of its bell; two
	// for each listener, and some for others that open descriptors now.
	n := floorSize + 4*loops + 16
	f := &floor{}
	for range n {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err != nil {
			f.release()
			return nil, fmt.Errorf("evio: %d loops need %d descriptors (ulimit -n): %w", loops, n, err)
		}
		unix.CloseOnExec(fd)
		f.fds = append(f.fds, fd)
	}
	slices.Sort(f.fds)
	if last := f.fds[n-1]; last >= limit {
		f.release()
		return nil, fmt.Errorf("evio: descriptor %d is in use and clients may have those below %d: raise the limit (ulimit -n)", last, limit)
	}
	for _, fd := range f.fds[floorSize:] {
		_ = unix.Close(fd)
	}
	f.fds = f.fds[:floorSize]
	return f, nil
}

func (f *floor) release() {
	f.once.Do(func() {
		for _, fd := range f.fds {
			_ = unix.Close(fd)
		}
	})
}

//go:build darwin || freebsd || linux

package evio

import (
	"bytes"
	"runtime"
	"time"
)

// The engine waits for its end on a condition that it is told of once: told
// before it waits, it waits for ever, and nothing that it offers says that it
// does. What Go says of its goroutine does.

// awaitParked returns when the goroutine called name waits on a condition, or
// after a time in which it surely has come to, or when ended is closed.
func awaitParked(name string, ended <-chan struct{}) {
	const often, long = time.Millisecond, 250 * time.Millisecond
	// Looking stops the program for as long as it takes to list all.
	const many = 5000
	for begun := time.Now(); time.Since(begun) < long; {
		if runtime.NumGoroutine() < many && parked(name) {
			return
		}
		select {
		case <-ended:
			return
		case <-time.After(often):
		}
	}
}

// goroutine returns the name of the goroutine that calls it.
func goroutine() string {
	buf := make([]byte, 64)
	buf = buf[:runtime.Stack(buf, false)]
	name, _, _ := bytes.Cut(buf, []byte(" ["))
	return string(name)
}

// parked reports whether the goroutine called name waits on a sync.Cond.
func parked(name string) bool {
	buf := make([]byte, 64<<10)
	n := runtime.Stack(buf, true)
	for n == len(buf) && n < 8<<20 {
		buf = make([]byte, 2*len(buf))
		n = runtime.Stack(buf, true)
	}
	return bytes.Contains(buf[:n], []byte("\n"+name+" [sync.Cond.Wait"))
}

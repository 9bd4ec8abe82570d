//go:build darwin || freebsd || linux

package evio

import (
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A version of the engine that is built otherwise is found out.
func TestUnknownEngine(t *testing.T) {
	type (
		loop  struct{ idx int }
		named struct{ index int }
	)
	_, _ = loop{}.idx, named{}.index
	for why, conn := range map[string]any{
		"connections are of type":     struct{ fd int }{},
		"no field fd":                 &struct{ loop *loop }{},
		"no field fd that is of kind": &struct{ fd string }{},
		"no field loop":               &struct{ fd int }{},
		"loops are of type": &struct {
			fd   int
			loop *int
		}{},
		"no field idx": &struct {
			fd   int
			loop *named
		}{},
	} {
		var in inner
		if err := in.find(reflect.TypeOf(conn)); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%v where %q was due", err, why)
		}
	}
	var in inner
	if err := in.find(reflect.TypeFor[*struct {
		loop *loop
		fd   int
	}]()); err != nil || in.fd != 1 || in.loop != 0 || in.idx != 0 {
		t.Errorf("%v, %+v", err, &in)
	}
}

func TestParked(t *testing.T) {
	var mu sync.Mutex
	cond := sync.NewCond(&mu)
	name, over := make(chan string), false
	done := make(chan struct{})
	go func() {
		defer close(done)
		name <- goroutine()
		mu.Lock()
		for !over {
			cond.Wait()
		}
		mu.Unlock()
	}()
	who := <-name
	for end := time.Now().Add(10 * time.Second); !parked(who); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it is not seen to wait")
		}
	}
	if parked(goroutine()) {
		t.Error("who asks does not wait")
	}
	begun := time.Now()
	awaitParked(who, nil)
	if took := time.Since(begun); took > 200*time.Millisecond {
		t.Errorf("took %v to see", took)
	}
	mu.Lock()
	over = true
	mu.Unlock()
	cond.Broadcast()
	<-done
}

// What is opened after the floor gets higher numbers, and lower ones once it is
// released.
func TestFloor(t *testing.T) {
	f, err := reserve(2, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	open := func() int {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Close(fd) })
		return fd
	}
	listener := open()
	if highest := f.fds[len(f.fds)-1]; listener < highest {
		t.Errorf("%d was free below %d", listener, highest)
	}
	f.release()
	f.release()
	for range floorSize {
		if fd := open(); fd > listener {
			t.Errorf("%d was given out before one below %d", fd, listener)
		}
	}
	if _, err := reserve(2, f.fds[floorSize-1]); err == nil {
		t.Error("a floor above the limit")
	}
}

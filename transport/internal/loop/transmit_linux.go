package loop

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

const canTransmit = true

// transmit gives p to the socket fd, and returns how much of it was taken. It tells
// of no error: whoever writes the rest will see it.
//
// The call cannot block, so Go's scheduler need not know of it and the raw system
// call will do. It is send and not write, which first looks for what files have and
// sockets have not.
func transmit(fd int32, p []byte) int {
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)),
		unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}

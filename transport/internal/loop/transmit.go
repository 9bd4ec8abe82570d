package loop

// A Descriptor is a Socket that is a non-blocking descriptor of the operating
// system. While the engine holds nothing for it, the loop writes to it itself:
// what the engine keeps for each connection then stays out of the CPU's caches.
type Descriptor interface {
	Socket
	// Fd is the descriptor. It stays the socket's until Conn.Closed was called.
	Fd() int
}

// noFD stands for the descriptor of a Socket that has none.
const noFD = -1

func descriptor(s Socket) int32 {
	if d, ok := bare(s).(Descriptor); ok && canTransmit {
		return int32(d.Fd())
	}
	return noFD
}

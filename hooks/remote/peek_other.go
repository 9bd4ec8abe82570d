//go:build !unix

package remote

import "net"

// nothingToRead cannot tell here; that the connection waits must do.
func nothingToRead(net.Conn) bool { return true }

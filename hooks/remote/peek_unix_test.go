//go:build unix

package remote

import (
	"crypto/tls"
	"net"
	"testing"
	"time"

	"github.com/sluicegate/sluice/internal/certs"
)

// What has arrived and was not read is seen, with TLS above it too.
func TestNothingToRead(t *testing.T) {
	authority := certs.New(t)
	for name, wrap := range map[string]func(net.Conn) net.Conn{
		"TCP": func(c net.Conn) net.Conn { return c },
		"TLS": func(c net.Conn) net.Conn {
			return tls.Server(c, &tls.Config{Certificates: []tls.Certificate{authority.Certificate()}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			peer, err := net.Dial("tcp", ln.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer peer.Close()
			raw, err := ln.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer raw.Close()
			conn := wrap(raw)
			if !nothingToRead(conn) {
				t.Error("there is something to read before anything was sent")
			}
			if _, err := peer.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			for deadline := time.Now().Add(10 * time.Second); nothingToRead(conn); time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("what has arrived is not seen")
				}
			}
		})
	}
}
